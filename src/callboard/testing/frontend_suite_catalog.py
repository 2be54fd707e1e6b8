"""Cases of the frontend suite about the catalog: whatever door an instance came in by, it is seen through every other."""

import contextlib
from collections.abc import Iterator

from callboard.core.catalog.commands import SetMaintenance, SetPhase, Target
from callboard.model.check import Status
from callboard.model.instance import NodeSpec, Phase
from callboard.model.names import PUBLIC
from callboard.registry.itself import SERVICE
from callboard.testing.frontend_suite_kit import Ability, Endpoint, Example, Harness, World
from callboard.testing.frontend_suite_stage import Stage


def registered_through_it_found_through_all(stage: Stage) -> None:
    """Each other frontend hands out what this one signed in."""
    with stage.world() as world:
        example = _sign_in(world, stage.harness, 0)
        for reader in stage.all_that_can(Ability.FIND):
            _expect(world, reader, example.service, {example.endpoint})


def registered_through_any_found_through_it(stage: Stage) -> None:
    """This one hands out what each other frontend signed in, next to one another."""
    with stage.world() as world:
        for example in _signed_in_by_all(stage, world):
            _expect(world, stage.harness, example.service, {example.endpoint})


def several_instances_are_told_apart(stage: Stage) -> None:
    """Two instances of one service on one node."""
    with stage.world() as world:
        first = _sign_in(world, stage.first_that_can(Ability.REGISTER), 0)
        second = first._replace(id="second", port=first.port + 1, address="192.0.2.8")
        _sign_in_as(world, stage.first_that_can(Ability.REGISTER), second)
        _expect(world, stage.harness, first.service, {first.endpoint, second.endpoint})


def an_unknown_service_has_no_instances(stage: Stage) -> None:
    """It is an answer, not a failure."""
    with stage.world() as world:
        _expect(world, stage.harness, "nobody-registered-this", set())


def a_critical_instance_is_not_handed_out(stage: Stage) -> None:
    """And is again when it has recovered."""
    with stage.world() as world:
        for example in _signed_in_by_all(stage, world):
            world.report(example, Status.CRITICAL)
            _expect(world, stage.harness, example.service, set())
            world.report(example, Status.PASSING)
            _expect(world, stage.harness, example.service, {example.endpoint})


def an_instance_in_maintenance_is_not_handed_out(stage: Stage) -> None:
    """Its own maintenance, and its node's."""
    with stage.world() as world:
        example = _sign_in(world, stage.first_that_can(Ability.REGISTER), 0)
        node = NodeSpec(name=world.registry.home.node, address=world.registry.home.address)
        for target in (Target(node.name, example.id), None):
            for enable, there in ((True, set()), (False, {example.endpoint})):
                world.submit(SetMaintenance(nonce=world.entropy.nonce(), node=node, enable=enable, instance=target))
                _expect(world, stage.harness, example.service, there)


def a_draining_instance_is_not_handed_out(stage: Stage) -> None:
    """Whatever its checks say."""
    with stage.world() as world:
        example = _sign_in(world, stage.first_that_can(Ability.REGISTER), 0)
        target = Target(world.registry.home.node, example.id)
        for phase, there in ((Phase.DRAINING, set()), (Phase.SERVING, {example.endpoint})):
            world.submit(SetPhase(target, phase))
            _expect(world, stage.harness, example.service, there)


def deregistered_through_it_gone_everywhere(stage: Stage) -> None:
    """Whoever signed it in."""
    with stage.world() as world:
        for example in _signed_in_by_all(stage, world):
            stage.harness.deregister(world.door(stage.harness), example)
            assert world.found(example) is None, f"{example.id} is still in the catalog"
            for reader in stage.all_that_can(Ability.FIND):
                _expect(world, reader, example.service, set())


def a_heartbeat_through_it_revives(stage: Stage) -> None:
    """An instance whose TTL check is critical, whoever signed it in, is handed out again after a sign of life."""
    with stage.world() as world:
        for example in _signed_in_by_all(stage, world):
            found = world.found(example)
            if found is None or all(check.id != example.check for check in found.checks):
                continue  # that protocol knows no time limits, so there is nothing a heartbeat could renew
            world.report(example, Status.CRITICAL)
            for _ in range(2):
                stage.harness.heartbeat(world.door(stage.harness), example)
                found = world.found(example)
                assert found is not None, f"{example.id} is gone"
                assert found.status is Status.PASSING, f"{example.id} is {found.status} after a heartbeat"


def the_servers_own_entry_is_safe(stage: Stage) -> None:
    """Nobody replaces or removes the entry by which the server itself is found."""
    with stage.world() as world:
        home, door = world.registry.home.node, world.door(stage.harness)
        before = world.registry.view.placed(PUBLIC, home, SERVICE)
        assert before is not None
        for attempt in (stage.harness.register, stage.harness.deregister):
            with contextlib.suppress(AssertionError):  # a refusal is what it should be
                attempt(door, Example(SERVICE, SERVICE, 8080))
            assert world.registry.view.placed(PUBLIC, home, SERVICE) == before, f"{attempt.__name__} changed the server's own entry"


def _signed_in_by_all(stage: Stage, world: World) -> Iterator[Example]:
    for number, writer in enumerate(stage.all_that_can(Ability.REGISTER)):
        yield _sign_in(world, writer, number)


def _sign_in(world: World, writer: Harness, number: int) -> Example:
    """A healthy instance of a service of its own."""
    name = f"web-{writer.plugin.name}"
    return _sign_in_as(world, writer, Example(name, f"{name}-1", 8080 + number))


def _sign_in_as(world: World, writer: Harness, example: Example) -> Example:
    writer.register(world.door(writer), example)
    found = world.found(example)
    assert found is not None, f"what {writer.plugin.name} registered is not in the catalog"
    assert (found.address, found.instance.port, found.instance.tags) == (example.address, example.port, example.tags)
    if found.status is not Status.PASSING:
        world.report(example, Status.PASSING)
    return example


def _expect(world: World, reader: Harness, service: str, endpoints: set[Endpoint]) -> None:
    found = reader.find(world.door(reader), service)
    assert found == endpoints, f"{reader.plugin.name} finds {sorted(found)} of {service}, the catalog has {sorted(endpoints)}"
