"""Cases of the frontend suite about HTTP: errors in the protocol's own form, garbage, and reads that say what they depend on."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Final, NamedTuple

from hypothesis import HealthCheck, given, settings

from callboard.core.catalog.changes import Changes
from callboard.core.catalog.commands import (
    Attached,
    Command,
    DeregisterCheck,
    DeregisterInstance,
    DeregisterNode,
    Register,
    RegisterCheck,
    ReportCheck,
    SetMaintenance,
    SetPhase,
    Target,
)
from callboard.model.check import CheckSpec, ManualCheck, Status, TtlCheck
from callboard.model.instance import InstanceSpec, NodeSpec, Phase
from callboard.model.names import PUBLIC
from callboard.model.time import MINUTE
from callboard.model.topics import Topic
from callboard.net.http.message import Answer, Content, Read, Route
from callboard.testing.digest import digest
from callboard.testing.frontend_suite_kit import Ability, Door, Exchange, Sample, World
from callboard.testing.frontend_suite_requests import requests
from callboard.testing.frontend_suite_stage import Stage

HOME: Final = "callboard"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS: Final = ("GET", "PUT", "POST", "DELETE", "PATCH")
_INSTANCES_MAX: Final = 25


# -- errors


def an_unknown_path_is_told_in_its_own_form(stage: Stage) -> None:
    """404 below each of its sites."""
    with stage.world() as world:
        door = world.door(stage.harness)
        for site in door.frontend.sites:
            prefix = site.prefix.rstrip("/")
            for method, path in product(_METHODS, (prefix or "/", prefix + "/no-such-path/at-all")):
                exchange = door.exchange(Sample(method, path))
                if not exchange.route and exchange.answer.status != 405:  # else a route takes this path
                    _expect_error(stage, exchange, 404)


def a_wrong_method_is_told_in_its_own_form(stage: Stage) -> None:
    """405 with the methods there are; OPTIONS is answered too."""
    with stage.world() as world:
        door = world.door(stage.harness)
        allowed: dict[str, set[str]] = {}
        for route in routes_of(door):
            allowed.setdefault(route.path, set()).add(route.method)
        for path, methods in allowed.items():
            for method in {*_METHODS, "BREW"} - methods:
                exchange = door.exchange(Sample(method, path))
                _expect_error(stage, exchange, 405)
                assert methods <= _allow(exchange.answer), f"{method} {path}: Allow must name {sorted(methods)}"
            answer = door.call("OPTIONS", path)
            assert answer.status in {200, 204}, f"OPTIONS {path} is answered with {answer.status}"


def _allow(answer: Answer) -> set[str]:
    fields = [value.decode() for name, value in answer.headers if name.lower() == b"allow"]
    return {method.strip() for value in fields for method in value.split(",")}


def what_http_refuses_is_told_in_its_own_form(stage: Stage) -> None:
    """Also when the handler never saw it."""
    with stage.world() as world:
        for site in world.door(stage.harness).frontend.sites:
            for status in (400, 408, 413, 429, 431, 503):
                answer = site.errors.refused(status, "the reason")
                assert answer.status == status
                assert stage.harness.is_own_error(answer)
                assert b"the reason" in answer.body
            answer = site.errors.failure(RuntimeError("a secret"))
            assert answer.status == 500
            assert stage.harness.is_own_error(answer)
            assert b"a secret" not in answer.body


def without_a_catalog_it_says_so(stage: Stage) -> None:
    """503, for as long as there is no view, but for `before_ready`."""
    with stage.world(ready=False) as world:
        door = world.door(stage.harness)
        for sample in stage.harness.samples:
            exchange = door.exchange(sample)
            if sample.target.partition("?")[0] not in stage.harness.before_ready:
                _expect_error(stage, exchange, 503)


def every_route_has_a_sample_that_works(stage: Stage) -> None:
    """In the order in which they stand; so later ones may build on earlier ones."""
    with stage.world() as world:
        door = world.door(stage.harness)
        taken = set()
        for sample in stage.harness.samples:
            exchange = door.exchange(sample)
            if exchange.route in stage.harness.refuses:
                _expect_error(stage, exchange, exchange.answer.status)
            assert (exchange.answer.status < 400) is (exchange.route not in stage.harness.refuses), (
                f"{sample} is answered with {exchange.answer}"
            )
            taken.add(exchange.route)
        missing = {f"{route.method} {route.path}" for route in routes_of(door)} - taken
        assert not missing, f"no sample for {sorted(missing)}"


# -- garbage


def garbage_breaks_and_changes_nothing(stage: Stage) -> None:
    """No request makes it fail; a refused one changes nothing, nor does a reading one; equal keys of reads are equal answers."""
    with stage.world() as world:
        door = world.door(stage.harness)
        for route in routes_of(door):
            fuzz(stage, world, route)


def fuzz(stage: Stage, world: World, route: Route) -> None:
    """`examples_count` requests for one route."""
    door, samples = world.door(stage.harness), stage.harness.samples
    safe = (route.method in _SAFE and route.path not in stage.harness.writes_by_get) or Ability.REGISTER in stage.harness.cannot
    bodies: dict[str, tuple[str, Answer]] = {}

    @settings(settings.default, max_examples=stage.examples_count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(requests(route, samples))
    def attempt(sample: Sample) -> None:
        _bound(world)
        before = digest(world.registry.view)
        exchange = door.exchange(sample)
        answer, after = exchange.answer, digest(world.registry.view)
        if answer.status >= 500:
            assert stage.harness.means_to_fail(answer), f"{sample} is answered with {answer}"
        if answer.status >= 400:
            assert stage.harness.is_own_error(answer), f"{sample} is refused with {answer}"
        if answer.status >= 400 or safe:
            assert before == after, f"{sample} is answered with {answer} and has changed the catalog"
        _expect_well_formed(answer)
        if exchange.read is not None:
            known = bodies.setdefault(exchange.read.key, (after, answer))
            if known[0] != after:
                bodies[exchange.read.key] = after, answer
            else:
                assert known[1] == answer, f"two answers have the key {exchange.read.key}: {known[1]} and {answer}"

    attempt()


def _bound(world: World) -> None:
    """Keep the catalog small: an attempt looks at every row of it."""
    view = world.registry.view
    there = [placed.instance for space in view.spaces.values() for on_node in space.by_node.values() for placed in on_node.values()]
    if len(there) > _INSTANCES_MAX or len(view.nodes) > _INSTANCES_MAX:
        for instance in there:
            world.submit(DeregisterInstance(Target(instance.node, instance.id, instance.namespace)))
        for node in [name for name in view.nodes if name != HOME]:
            world.submit(DeregisterNode(node))


def _expect_well_formed(answer: Answer) -> None:
    assert 200 <= answer.status <= 599, f"status {answer.status}"
    for name, value in answer.headers:
        assert b"\n" not in name + value, f"a line break in header field {name!r}: {value!r}"
        assert b"\r" not in name + value, f"a line break in header field {name!r}: {value!r}"


# -- reads


class _Kept(NamedTuple):
    read: Read
    content: Content


def reads_name_what_they_depend_on(stage: Stage) -> None:
    """An answer changes only with one of its topics, its index rises when it does and never falls."""
    with stage.world() as world:
        door = world.door(stage.harness)
        kept = [(sample, _Kept(read, read.render())) for sample, read in _reads(door, stage.harness.samples)]
        groups: list[Changes] = []
        world.registry.subscribe(groups.append)
        for command in _history():
            outcome = world.submit(command)
            assert outcome.refusal is None, f"{command} was refused: {outcome.refusal}"
            touched = {topic for changes in groups for topic in changes.topics}
            groups.clear()
            kept = [(sample, _compare(sample, before, touched, command)) for sample, before in kept]


def _reads(door: Door, samples: Sequence[Sample]) -> list[tuple[Sample, Read]]:
    found = []
    for sample in samples:
        if sample.method == "GET":
            read = door.exchange(sample).read
            if read is not None:
                found.append((sample, read))
    return found


def _compare(sample: Sample, kept: _Kept, touched: set[Topic], command: Command) -> _Kept:
    before, after = kept.content, kept.read.render()
    what = f"GET {sample.target} after {command}"
    assert after.index >= before.index, f"{what}: the index fell from {before.index} to {after.index}"
    if after.answer != before.answer:
        assert after.index > before.index, f"{what}: another answer with the same index {after.index}"
        assert touched & set(kept.read.topics), f"{what}: another answer, though none of {kept.read.topics} was touched"
    return _Kept(kept.read, after)


def _history() -> list[Command]:
    """Every kind of change there is, about the names that samples use: service web, instances web-1 and web-2, home and another node."""
    home = NodeSpec(name=HOME, address="127.0.0.1", implicit=True)
    other = NodeSpec(name="other", address="192.0.2.2")
    ttl = CheckSpec(id="service:web-1", definition=TtlCheck(MINUTE))
    of_node = CheckSpec(id="disk", definition=ManualCheck(), status=Status.PASSING)
    web_1 = InstanceSpec(service="web", id="web-1", address="192.0.2.7", port=8080, tags=("blue",))
    web_2 = InstanceSpec(service="web", id="web-2", port=8081)

    def sign_in(node: NodeSpec, instance: InstanceSpec, *checks: CheckSpec) -> Register:
        attached = tuple(Attached(instance.id, check) for check in checks)
        return Register(nonce=f"{node.name} {instance.id}", node=node, instance=instance, namespace=instance.namespace, checks=attached)

    def on_other(check: CheckSpec) -> Register:
        return Register(nonce="checked", node=other, checks=(Attached("", check),), set_status=True)

    report: Callable[[Status, str], ReportCheck] = lambda status, output: ReportCheck(  # noqa: E731  # one line for each turn below
        target=Target(HOME, "service:web-1"), status=status, output=output
    )
    return [
        sign_in(home, web_1, ttl), report(Status.PASSING, "fine"), report(Status.PASSING, "still fine"), report(Status.WARNING, "slow"),
        sign_in(other, web_2), sign_in(other, InstanceSpec(service="web", id="web-2", port=8082, meta={"zone": "a"})),
        Register(nonce="moved", node=NodeSpec(name="other", address="192.0.2.3", meta={"rack": "7"})),
        on_other(of_node), on_other(CheckSpec(id="disk", definition=ManualCheck(), status=Status.CRITICAL, output="full")),
        SetPhase(Target("other", "web-2"), Phase.DRAINING), SetPhase(Target("other", "web-2"), Phase.SERVING),
        SetMaintenance(nonce="m1", node=home, enable=True, instance=Target(HOME, "web-1")),
        SetMaintenance(nonce="m2", node=home, enable=False, instance=Target(HOME, "web-1")),
        SetMaintenance(nonce="m3", node=other, enable=True), SetMaintenance(nonce="m4", node=other, enable=False),
        sign_in(other, web_1), RegisterCheck(nonce="c1", node=other, check=of_node, instance=Target("other", "web-1")),
        sign_in(other, InstanceSpec(service="db", id="web-2")), DeregisterInstance(Target(HOME, "web-1")),
        sign_in(home, InstanceSpec(service="web", id="web-1", namespace="elsewhere")), DeregisterCheck(Target("other", "disk")),
        DeregisterNode("other"), sign_in(home, web_1, ttl), DeregisterInstance(Target(HOME, "web-1", PUBLIC)),
    ]  # fmt: skip


# -- common


def routes_of(door: Door) -> list[Route]:
    """The table of a frontend."""
    return [route for site in door.frontend.sites for route in site.routes]


def _expect_error(stage: Stage, exchange: Exchange, status: int) -> None:
    answer = exchange.answer
    assert answer.status == status, f"{exchange.sample} is answered with {answer}, expected {status}"
    assert stage.harness.is_own_error(answer), f"{exchange.sample} is refused in another protocol's form: {answer}"
