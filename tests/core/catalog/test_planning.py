"""What single commands do, where a history would not say why."""

from typing import get_args

import pytest

from callboard.core.catalog import commands as cmd
from callboard.core.catalog.planning import _PLANS, NODE_MAINTENANCE, SERVICE_MAINTENANCE
from callboard.model.check import CheckSpec, Definition, HttpCheck, ManualCheck, Status, TtlCheck
from callboard.model.errors import InvalidError
from callboard.model.instance import InstanceSpec, NodeSpec, Phase
from callboard.model.time import SECOND, Duration
from tests.core.histories import fixed
from tests.core.world import Step, World

HOME = NodeSpec(name="home", address="10.0.0.1", implicit=True)
TTL = TtlCheck(Duration(10 * SECOND), deregister_after=Duration(60 * SECOND))
CHECK = CheckSpec(id="c1", definition=TTL)


def register(
    instance: str = "a", service: str = "web", node: NodeSpec = HOME, nonce: str = "r1", namespace: str = "public"
) -> cmd.Register:
    return cmd.Register(
        nonce=nonce, node=node, instance=InstanceSpec(service=service, id=instance, namespace=namespace),
        checks=(cmd.Attached(instance, CHECK),), namespace=namespace,
    )  # fmt: skip


def done(world: World, *commands: cmd.Command) -> Step:
    """The last step; each one must be as the oracle says."""
    step = None
    for command in commands:
        step = world.do(fixed(command))
        reason = step.refusal.reason if step.refusal is not None else None
        assert (reason, bool(step.rows)) == (step.verdict.refusal, step.verdict.changed), command
    assert step is not None
    return step


def report(status: Status, output: str | None = "", *, node: str = "home", nonce: str = "") -> cmd.ReportCheck:
    return cmd.ReportCheck(target=cmd.Target(node, "c1"), status=status, output=output, nonce=nonce)


def test_every_command_has_a_plan() -> None:
    assert set(_PLANS) == set(get_args(cmd.Command))


def test_identical_registration_changes_nothing() -> None:
    world = World()
    done(world, register())
    assert done(world, register(nonce="r2")).rows == {}


def test_a_check_keeps_its_status_its_output_and_its_incarnation_when_it_is_registered_again() -> None:
    world = World()
    done(world, register(), report(Status.PASSING, "fine"), register(nonce="r2"))
    check = world.view.check("public", "home", "c1")
    assert check is not None
    assert (check.status, check.output, check.nonce) == (Status.PASSING, "fine", "r1")


def test_a_check_that_is_asked_otherwise_is_a_new_incarnation_with_the_old_status() -> None:
    world = World()
    done(world, register(), report(Status.PASSING, "fine"))
    asked_otherwise = CheckSpec(id="c1", definition=HttpCheck("http://x/", SECOND))
    done(world, cmd.RegisterCheck(nonce="r2", node=HOME, check=asked_otherwise, instance=cmd.Target("home", "a")))
    check = world.view.check("public", "home", "c1")
    assert check is not None
    assert (check.status, check.nonce) == (Status.PASSING, "r2")


def test_a_phase_that_is_not_named_stays() -> None:
    """Who registers again every minute does not undo a drain."""
    world = World()
    done(world, register(), cmd.SetPhase(cmd.Target("home", "a"), Phase.DRAINING), register(nonce="r2"))
    placed = world.view.placed("public", "home", "a")
    assert placed is not None
    assert placed.instance.phase is Phase.DRAINING


def test_an_implicit_node_goes_with_its_last_content_and_an_explicit_one_stays() -> None:
    world = World()
    done(
        world,
        register(),
        register(instance="b", nonce="r2"),
        cmd.RegisterCheck(nonce="r3", node=HOME, check=CheckSpec(id="n", definition=TTL)),
    )
    done(world, cmd.DeregisterInstance(cmd.Target("home", "a")), cmd.DeregisterInstance(cmd.Target("home", "b")))
    assert "home" in world.view.nodes
    done(world, cmd.DeregisterCheck(cmd.Target("home", "n")))
    assert "home" not in world.view.nodes
    explicit = NodeSpec(name="n1", address="10.0.0.2")
    done(world, register(node=explicit), cmd.DeregisterInstance(cmd.Target("n1", "a")))
    assert "n1" in world.view.nodes


def test_the_end_of_a_maintenance_nobody_began_makes_no_node() -> None:
    world = World()
    assert done(world, cmd.SetMaintenance(nonce="r1", node=HOME, enable=False)).rows == {}


def test_maintenance_is_a_check_that_a_replacement_of_checks_leaves_alone() -> None:
    world = World()
    done(world, register(), cmd.SetMaintenance(nonce="r2", node=HOME, enable=True, instance=cmd.Target("home", "a"), reason="repair"))
    replacing = cmd.Register(nonce="r3", node=HOME, instance=InstanceSpec(service="web", id="a"), replace_checks=True)
    done(world, replacing)
    placed = world.view.placed("public", "home", "a")
    assert placed is not None
    assert [(check.id, check.status, check.notes) for check in placed.checks] == [
        (SERVICE_MAINTENANCE + "a", Status.MAINTENANCE, "repair")
    ]  # fmt: skip
    done(world, cmd.SetMaintenance(nonce="r4", node=HOME, enable=True))
    assert world.view.check("public", "home", NODE_MAINTENANCE) is not None
    done(world, cmd.SetMaintenance(nonce="r5", node=HOME, enable=False))
    assert world.view.check("public", "home", NODE_MAINTENANCE) is None


def test_an_id_means_the_callers_own_instance_first_and_is_ambiguous_only_elsewhere() -> None:
    world = World()
    for number, node in enumerate(["home", "n1"]):
        done(world, register(node=NodeSpec(name=node, address="10.0.0.1", implicit=True), nonce=f"r{number}"))
    refused = done(world, cmd.DeregisterInstance(cmd.Target("n2", "a", anywhere=True))).refusal
    assert refused is not None
    assert refused.reason == "ambiguous"
    assert "(home, n1)" in refused.detail
    assert done(world, cmd.DeregisterInstance(cmd.Target("N1", "a", anywhere=True))).refusal is None
    assert world.view.placed("public", "home", "a") is not None
    assert done(world, report(Status.PASSING, node="n2")).refusal is not None
    assert done(world, cmd.DeregisterInstance(cmd.Target("n2", "a", anywhere=True))).refusal is None


def test_only_a_ttl_check_takes_a_status_from_a_client_and_a_probe_must_name_the_incarnation() -> None:
    world = World()
    for_probe = CheckSpec(id="c1", definition=HttpCheck("http://x/", SECOND))
    done(world, cmd.RegisterCheck(nonce="r1", node=HOME, check=for_probe))
    refused = done(world, report(Status.PASSING)).refusal
    assert refused is not None
    assert refused.reason == "not_ttl"
    assert done(world, report(Status.PASSING, nonce="other")).refusal is not None
    assert done(world, report(Status.PASSING, nonce="r1")).refusal is None


def test_an_expiry_counts_only_for_its_incarnation_and_says_the_last_output_once() -> None:
    world = World()
    done(world, register(), report(Status.PASSING, "fine"))
    target = cmd.Target("home", "c1")
    assert done(world, cmd.ExpireTtl(target, "other")).refusal is not None
    done(world, cmd.ExpireTtl(target, "r1"), report(Status.PASSING, None), cmd.ExpireTtl(target, "r1"))
    check = world.view.check("public", "home", "c1")
    assert check is not None
    assert check.output == "TTL expired (last output before timeout follows): fine"


def test_a_reap_counts_only_for_the_time_the_check_was_critical() -> None:
    world = World()
    done(world, register())
    check = world.view.check("public", "home", "c1")
    assert check is not None
    late = cmd.Reap(cmd.Target("home", "c1"), check.nonce, check.turned)
    done(world, report(Status.PASSING), report(Status.CRITICAL))
    assert done(world, late).refusal is not None
    check = world.view.check("public", "home", "c1")
    assert check is not None
    assert done(world, cmd.Reap(cmd.Target("home", "c1"), check.nonce, check.turned)).refusal is None
    assert world.view.nodes == {}


def test_the_output_of_a_probe_is_not_cut_again_and_that_of_a_client_is() -> None:
    world = World()
    done(world, register())
    told = "x" * 4096 + " ... (captured 4096 of 5000 bytes)"
    for command in (report(Status.PASSING, told, nonce="r1"), report(Status.PASSING, "x" * 5000)):
        world.do(fixed(command))
        check = world.view.check("public", "home", "c1")
        assert check is not None
        assert check.output == told


def test_moving_an_id_to_another_service_moves_its_checks_and_raises_both_services() -> None:
    world = World()
    done(world, register())
    step = done(world, register(service="db", nonce="r2"))
    assert step.changes is not None
    assert {"s/public/web", "s/public/db"} <= step.changes.topics
    assert world.view.of_service("public", "web") == {}
    assert len(world.view.of_service("public", "db")) == 1


@pytest.mark.parametrize("definition", [TTL, ManualCheck()])
def test_a_check_of_an_instance_lives_in_its_namespace_and_one_of_a_node_in_the_public_one(definition: Definition) -> None:
    world = World()
    checks = (cmd.Attached("a", CheckSpec(id="c1", definition=definition)), cmd.Attached("", CheckSpec(id="n", definition=definition)))
    done(
        world,
        cmd.Register(
            nonce="r1", node=HOME, instance=InstanceSpec(service="web", id="a", namespace="blue"), checks=checks, namespace="blue"
        ),
    )
    assert world.view.check("blue", "home", "c1") is not None
    assert world.view.check("blue", "home", "n") is None
    assert world.view.check("public", "home", "n") is not None


def test_a_registration_names_one_namespace() -> None:
    with pytest.raises(InvalidError, match="namespace"):
        cmd.Register(nonce="r1", node=HOME, instance=InstanceSpec(service="web", id="a", namespace="blue"))


def test_a_new_instance_may_name_a_check_twice_and_the_second_replaces_the_first() -> None:
    world = World()
    done(world, register("b"))
    first = CheckSpec(id="c2", name="first", definition=TTL, status=Status.PASSING)
    second = CheckSpec(id="c2", name="second", definition=TTL, status=Status.CRITICAL)
    attached = (cmd.Attached("a", first), cmd.Attached("a", second))
    done(world, cmd.Register(nonce="r2", node=HOME, instance=InstanceSpec(service="web", id="a"), checks=attached))
    check = world.view.check("public", "home", "c2")
    assert check is not None
    assert (check.name, check.status) == ("second", Status.PASSING)


def test_a_new_instance_takes_over_a_check_of_another_one() -> None:
    world = World()
    done(world, register("b"), report(Status.WARNING, "slow"), register("a", nonce="r2"))
    taken, left = world.view.placed("public", "home", "a"), world.view.placed("public", "home", "b")
    assert taken is not None
    assert left is not None
    assert ([check.status for check in taken.checks], left.checks) == ([Status.WARNING], ())
