"""Frontends that keep parts of their answers: after any history each read says, byte for byte, what a frontend made anew says."""

from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from callboard.core.catalog import commands as cmd
from callboard.core.catalog.restoring import pack
from callboard.model.check import CheckSpec, Status, TtlCheck
from callboard.model.instance import InstanceSpec, NodeSpec, Phase, TaggedAddress, Weights
from callboard.model.service import NamedPort
from callboard.model.time import HOUR, Timestamp
from callboard.net.http.routing import Router
from callboard.testing.frontend_suite_harnesses import ConsulHarness, NativeHarness, PrometheusHarness
from callboard.testing.frontend_suite_kit import Door, Harness, Sample, World
from callboard.testing.oracle import Oracle
from tests.core.histories import Maker, histories, mesh_histories

HARNESSES: Final[tuple[Harness, ...]] = (NativeHarness(), PrometheusHarness(), ConsulHarness())
_CONSUL: Final = [
    f"/v1/{table}/service/{service}{query}"
    for table in ("health", "catalog")
    for service in ("web", "Web", "db")
    for query in (
        "", "?pretty", "?stale&cached", "?tag=T1", "?tag=t1&tag=t2", "?node-meta=rack:1", "?near=n2", "?near=n2&tag=t1&pretty",
        "?filter=Node.Address+%3D%3D+%2210.0.0.1%22" if table == "health" else "?filter=Address+%3D%3D+%2210.0.0.1%22",
        "?passing" if table == "health" else "?consistent", "?passing=true&near=n1&node-meta=rack:1" if table == "health" else "?dc=dc1",
    )
]  # fmt: skip
_LISTS: Final = [
    "/v1/catalog/services", "/v1/catalog/services?pretty", "/v1/catalog/services?node-meta=rack:1", "/v1/catalog/nodes",
    "/v1/catalog/services?filter=ServiceName+%21%3D+%22db%22", "/v1/catalog/node/n1", "/v1/health/node/n1", "/v1/health/checks/web",
    *(f"/v1/health/state/{state}{query}" for state in ("any", "passing", "warning", "critical") for query in ("", "?node-meta=rack:1")),
    "/v1/catalog/connect/web", "/v1/health/connect/web", "/v1/health/connect/web?passing",
]  # fmt: skip
_NATIVE: Final = [
    f"/api/v1/{what}{query}"
    for what in ("services", "services/web", "services/DB", "nodes", "resolve/web", "resolve/db?passing_only=true")
    for query in ("", f"{'&' if '?' in what else '?'}namespace=blue")
]
_PROMETHEUS: Final = [f"/sd/prometheus{query}" for query in (
    "", "?namespace=blue", "?service=web", "?service=web&service=DB&passing_only", "?tag=t1", "?passing_only=true&namespace=blue",
)]  # fmt: skip
READS: Final = (*_CONSUL, *_LISTS, *_NATIVE, *_PROMETHEUS)


def anew(world: World) -> Door:
    """All frontends once more, as they are after a start."""
    frontends = [harness.plugin.build(world.registry, harness.settings) for harness in HARNESSES]
    return Door(world, frontends[0], (), Router(tuple(site for frontend in frontends for site in frontend.sites)))


def said(door: Door, target: str) -> tuple[int, bytes, int]:
    """Status, body and index."""
    exchange = door.exchange(Sample("GET", target))
    index = exchange.read.render().index if exchange.read is not None else 0
    return exchange.answer.status, exchange.answer.body, index


def do(world: World, oracle: Oracle, maker: Maker, number: int) -> None:
    """One command, at the registry and at the oracle that histories ask."""
    command = maker(oracle, number)
    if isinstance(command, cmd.Register) and command.instance is not None and not command.instance.port and not command.instance.ports:
        command = replace(command, instance=replace(command.instance, port=number))
    oracle.apply(command, Timestamp(number))
    world.submit(command)


WATCHED: Final = ("/v1/health/service/web", "/v1/catalog/service/web", "/v1/catalog/services", "/api/v1/services/web", "/sd/prometheus")


@settings(max_examples=25, deadline=None)
@given(histories | mesh_histories, st.lists(st.sampled_from(READS), max_size=8), st.data())
def test_what_is_kept_says_what_is_made_anew(history: list[Maker], others: list[str], data: st.DataObject) -> None:
    with World(HARNESSES) as world:
        door, oracle, snapshot = world.door(HARNESSES[0]), Oracle(), b""
        for number, maker in enumerate(history, 1):
            do(world, oracle, maker, number)
            then = data.draw(st.sampled_from(["", "look", "look", "keep", "restore"]), label="then")
            if then == "keep":
                snapshot = world.run(packed(world))
            elif then == "restore" and snapshot:
                world.submit(cmd.Restore(snapshot, "callboard"))
            if then:
                for target in (*WATCHED, *others):
                    said(door, target)
        fresh = anew(world)
        for target in READS:
            told = said(door, target)
            assert told[0] == 200, told
            assert told == said(fresh, target), target


async def packed(world: World) -> bytes:
    """The catalog as it is now, to be restored."""
    snapshot = await world.registry.load()
    return pack([row async for rows in snapshot.batches for row in rows])


_NODE: Final = NodeSpec(name="n1", address="10.0.0.1")
_WEB: Final = InstanceSpec(service="web", id="a", port=80, tags=("t1",))
_TTL: Final = CheckSpec(id="c1", definition=TtlCheck(HOUR), status=Status.PASSING)


def _web(**fields: Any) -> cmd.Register:
    return cmd.Register(nonce="r", node=_NODE, instance=(spec := replace(_WEB, **fields)), namespace=spec.namespace)


def _node(**fields: Any) -> cmd.Register:
    return cmd.Register(nonce="r", node=replace(_NODE, **fields))


STEPS: Final[tuple[cmd.Command, ...]] = (
    _web(meta={"a": "1"}), _web(meta={"a": "2"}), _web(weights=Weights(7, 3)), _web(tagged={"wan": TaggedAddress("192.0.2.1", 1)}),
    _web(address="10.0.0.9"), _web(), _node(address="10.0.0.2"), _node(name="N1"),
    _node(meta={"rack": "1"}), _node(tagged={"wan": "192.0.2.1"}),
    cmd.SetPhase(cmd.Target("n1", "a"), Phase.DRAINING), cmd.SetPhase(cmd.Target("n1", "a"), Phase.SERVING),
    cmd.SetMaintenance(nonce="m", node=_NODE, enable=True, instance=cmd.Target("n1", "a"), reason="why"),
    cmd.SetMaintenance(nonce="m", node=_NODE, enable=True, instance=cmd.Target("n1", "a"), reason="because"),
    cmd.SetMaintenance(nonce="m", node=_NODE, enable=False, instance=cmd.Target("n1", "a")),
    cmd.SetMaintenance(nonce="m", node=_NODE, enable=True), cmd.SetMaintenance(nonce="m", node=_NODE, enable=False),
    cmd.RegisterCheck(nonce="c", node=_NODE, check=_TTL, instance=cmd.Target("n1", "a")),
    cmd.ReportCheck(target=cmd.Target("n1", "c1"), status=Status.PASSING, output="another"),
    cmd.ReportCheck(target=cmd.Target("n1", "c1"), status=Status.WARNING, output="another"),
    cmd.RegisterCheck(nonce="c", node=_NODE, check=_TTL, instance=cmd.Target("n1", "b")),
    cmd.RegisterCheck(nonce="c", node=_NODE, check=_TTL),
    cmd.DeregisterCheck(cmd.Target("n1", "c1")), _web(enable_tag_override=True),
    cmd.Register(nonce="o", node=_NODE, instance=replace(_WEB, tags=("foreign",), enable_tag_override=True), of_catalog=True),
    _web(tags=("own",), enable_tag_override=True), _web(connect_native=True),
    _web(kind="connect-proxy", destination="db", proxy='{"Mode":"direct"}'),
    _web(kind="connect-proxy", destination="db", proxy='{"Mode":"transparent"}'), _web(ports=(NamedPort("http", 80, default=True),)),
    _web(service="db"), _web(service="WEB"), _web(), _web(namespace="blue"), cmd.DeregisterInstance(cmd.Target("n1", "a", "blue")),
    cmd.DeregisterInstance(cmd.Target("n1", "a")), _web(), cmd.DeregisterNode("n1"), _node(address="10.0.0.3"), _web(),
)  # fmt: skip


def test_each_thing_that_may_change_is_in_the_next_answer() -> None:
    with World(HARNESSES) as world:
        door = world.door(HARNESSES[0])
        world.submit(_web())
        world.submit(_web(id="b", service="web"))
        for command in STEPS:
            for target in READS * 2:
                said(door, target)
            assert world.submit(command).refusal is None
            fresh = anew(world)
            for target in READS:
                assert said(door, target) == said(fresh, target), (command, target)
