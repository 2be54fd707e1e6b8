"""Sidecars and tags that others gave, where a history would not say why."""

from msgspec.structs import replace

from callboard.core.catalog import commands as cmd
from callboard.core.catalog.connected import connect_index
from callboard.core.catalog.draft import Draft
from callboard.core.catalog.overlay import Overlay
from callboard.core.catalog.planning import plan
from callboard.model.check import AliasCheck, CheckSpec, Status, TcpCheck, TtlCheck
from callboard.model.instance import Instance, InstanceSpec, NodeSpec, Phase
from callboard.model.rows import Revision
from callboard.model.service import NamedPort
from callboard.model.time import SECOND, Duration, Timestamp
from callboard.model.topics import connect_topic
from tests.core.catalog.test_planning import done
from tests.core.histories import fixed
from tests.core.world import World

HOME = NodeSpec(name="home", address="10.0.0.1", implicit=True)
PROXY = InstanceSpec(service="web-proxy", id="a-sidecar-proxy", kind="connect-proxy", destination="web")
SIDECAR = cmd.Sidecar(instance=PROXY, listens_at="10.0.0.7", connect="10.0.0.9")
TTL = CheckSpec(id="alive", definition=TtlCheck(Duration(10 * SECOND), deregister_after=Duration(60 * SECOND)), status=Status.PASSING)


def register(nonce: str, sidecar: cmd.Sidecar | None = SIDECAR, **more: object) -> cmd.Register:
    spec = InstanceSpec(service="web", id="a", port=80)
    return replace(cmd.Register(nonce=nonce, node=HOME, instance=spec, sidecar=sidecar, checks=(cmd.Attached("a", TTL),)), **more)


def instance(world: World, name: str) -> Instance:
    placed = world.view.placed("public", "home", name)
    assert placed is not None
    return placed.instance


def test_parent_and_sidecar_are_one_command_and_one_group() -> None:
    world = World()
    step = done(world, register("r1"))
    assert {key for key in step.rows if not key.startswith("f/")} == {
        "n/home", "i/public/home/a", "c/public/home/alive", "i/public/home/a-sidecar-proxy",
        "c/public/home/service:a-sidecar-proxy:1", "c/public/home/service:a-sidecar-proxy:2",
    }  # fmt: skip
    made = instance(world, "a-sidecar-proxy")
    assert (made.port, made.sidecar, made.destination) == (21_000, "a", "web")
    checks = world.view.on_node("public", "home")["a-sidecar-proxy"].checks
    assert [(check.name, check.definition) for check in checks] == [
        ("Connect Sidecar Listening", TcpCheck("10.0.0.7", 21_000, Duration(10 * SECOND), connect="10.0.0.9")),
        ("Connect Sidecar Aliasing a", AliasCheck(alias_service="a")),
    ]


def test_a_port_that_another_listens_on_under_a_name_is_not_free() -> None:
    world = World()
    ports = (NamedPort("http", 80, default=True), NamedPort("admin", 21_000), NamedPort("debug", 21_001))
    done(world, cmd.Register(nonce="r0", node=HOME, instance=InstanceSpec(service="x", id="x", ports=ports)), register("r1"))
    assert instance(world, "a-sidecar-proxy").port == 21_002


def test_nothing_is_registered_when_no_port_is_free() -> None:
    world = World()
    full = [
        cmd.Register(nonce=f"p{port}", node=HOME, instance=InstanceSpec(service="x", id=f"x{port}", port=port))
        for port in range(21_000, 21_256)
    ]
    for command in full:
        world.do(fixed(command))
    draft = Draft(world.view, Overlay(), Revision(world.view.revision + 1))
    decision = plan(draft, register("r1"), Timestamp(1))
    assert decision.refusal is not None
    assert (decision.refusal.reason, decision.refusal.subject, draft.rows) == ("invalid", "a-sidecar-proxy", {})


def test_a_reaped_instance_takes_its_sidecar_along() -> None:
    world = World()
    done(world, register("r1"), cmd.ReportCheck(target=cmd.Target("home", "alive"), status=Status.CRITICAL, output=""))
    check = world.view.check("public", "home", "alive")
    assert check is not None
    done(world, cmd.Reap(cmd.Target("home", "alive"), check.nonce, check.turned))
    assert (dict(world.view.on_node("public", "home")), world.view.nodes) == ({}, {})


def test_a_sidecar_drains_with_its_parent_and_stays_so_when_both_come_again() -> None:
    world = World()
    done(world, register("r1"), cmd.SetPhase(cmd.Target("home", "a"), Phase.DRAINING), register("r2"))
    assert [instance(world, name).phase for name in ("a", "a-sidecar-proxy")] == [Phase.DRAINING] * 2


def test_removing_the_checks_that_are_not_named_leaves_the_sidecars_usual_ones() -> None:
    world = World()
    done(world, register("r1"))
    assert done(world, register("r2", replace_checks=True)).rows == {}
    own = replace(SIDECAR, checks=(CheckSpec(id="mine", definition=TtlCheck(Duration(SECOND))),))
    done(world, register("r3", own, replace_checks=True))
    assert [check.id for check in world.view.on_node("public", "home")["a-sidecar-proxy"].checks] == ["mine"]


def test_the_end_of_a_sidecar_raises_the_index_of_those_it_spoke_for() -> None:
    world = World()
    done(world, register("r1"))
    before = connect_index(world.view, "public", "web")
    step = done(world, register("r2", None))
    assert step.changes is not None
    assert connect_topic("public", "web") in step.changes.topics
    assert connect_index(world.view, "public", "web") > before
    assert connect_index(world.reloaded(), "public", "web") == connect_index(world.view, "public", "web")


def test_who_registers_through_the_catalog_neither_ends_a_sidecar_nor_makes_one_of_a_proxy() -> None:
    world = World()
    done(world, register("r1"))
    spoken_for = replace(PROXY, port=21_000)
    done(world, register("r2", None, of_catalog=True), cmd.Register(nonce="r3", node=HOME, instance=spoken_for, of_catalog=True))
    assert instance(world, "a-sidecar-proxy").sidecar == "a"
    done(world, cmd.Register(nonce="r4", node=HOME, instance=spoken_for))
    assert instance(world, "a-sidecar-proxy").sidecar == ""
