"""Aliases: as healthy as what they look at, at every revision."""

from collections import deque

import pytest
from hypothesis import given

from callboard.core.catalog import aliasing
from callboard.core.catalog import commands as cmd
from callboard.core.catalog.draft import Draft
from callboard.core.catalog.overlay import Overlay
from callboard.core.catalog.planning import plan
from callboard.model.check import AliasCheck, Check, CheckSpec, ManualCheck, Status, TtlCheck
from callboard.model.instance import InstanceSpec, NodeSpec
from callboard.model.rows import Key, Revision, Row
from callboard.model.time import SECOND, Duration
from callboard.testing.oracle_aliases import behind
from tests.core.histories import Maker, alias_histories, fixed
from tests.core.world import World

P, W, C = Status.PASSING, Status.WARNING, Status.CRITICAL
NODES = {name: NodeSpec(name=name, address=f"10.0.0.{number}") for number, name in enumerate(("n1", "n2"), 1)}
TTL = TtlCheck(Duration(10 * SECOND))


class Board:
    """A world, in short words."""

    def __init__(self) -> None:
        self.world = World()

    def do(self, command: cmd.Command) -> dict[Key, Row | None]:
        """As the oracle does."""
        step = self.world.do(fixed(command))
        assert (step.refusal.reason if step.refusal is not None else None, bool(step.rows)) == step.verdict
        return step.rows

    def sign_in(self, instance: str, *checks: CheckSpec, node: str = "n1", namespace: str = "public") -> None:
        """Register an instance with checks."""
        self.do(cmd.Register(
            nonce=f"r{self.world.count}", node=NODES[node], namespace=namespace,
            instance=InstanceSpec(service="web", id=instance, namespace=namespace),
            checks=tuple(cmd.Attached(instance, check) for check in checks),
        ))  # fmt: skip

    def of_node(self, check: CheckSpec, node: str = "n1") -> None:
        """Register a check of a node."""
        self.do(cmd.RegisterCheck(nonce=f"r{self.world.count}", node=NODES[node], check=check))

    def report(self, check: str, status: Status, output: str = "", node: str = "n1") -> dict[Key, Row | None]:
        """A TTL check says how it is."""
        return self.do(cmd.ReportCheck(target=cmd.Target(node, check), status=status, output=output))

    def check(self, check: str, node: str = "n1", namespace: str = "public") -> Check:
        """A check as the view has it."""
        there = self.world.view.check(namespace, node, check)
        assert there is not None
        return there

    def says(self, check: str = "alias", node: str = "n1", namespace: str = "public") -> tuple[Status, str]:
        """What it says."""
        there = self.check(check, node, namespace)
        return there.status, there.output


def ttl(name: str) -> CheckSpec:
    return CheckSpec(id=name, name=f"the {name}", definition=TTL, status=P)


def alias(service: str = "", node: str = "", name: str = "alias") -> CheckSpec:
    return CheckSpec(id=name, name=f"the {name}", definition=AliasCheck(node, service))


def test_an_alias_turns_with_its_target_in_the_same_command_in_consuls_words() -> None:
    board = Board()
    board.sign_in("db", ttl("t1"), ttl("t2"))
    board.sign_in("web", alias("db"))
    assert board.says() == (P, "All checks passing.")
    assert set(board.report("t2", W, "slow")) == {"c/public/n1/t2", "c/public/n1/alias"}
    assert board.says() == (W, 'Aliased check "the t2" failing: slow')
    board.report("t1", C, "gone")
    assert board.says() == (C, 'Aliased check "the t1" failing: gone')
    turned = board.check("alias").turned
    board.report("t1", C, "still gone")
    assert board.says() == (C, 'Aliased check "the t1" failing: still gone')
    assert board.check("alias").turned == turned, "only its output is another one"
    board.report("t1", P)
    board.report("t2", P)
    assert board.says() == (P, "All checks passing.")


def test_an_alias_of_what_is_not_there_is_critical_until_it_comes_and_again_when_it_goes() -> None:
    board = Board()
    board.sign_in("web", alias("db", "N2"))
    assert board.says() == (C, "Service db could not be found on node N2")
    board.sign_in("db", node="n2")
    assert board.says() == (P, "No checks found.")
    board.do(cmd.DeregisterInstance(cmd.Target("n2", "db")))
    assert board.says() == (C, "Service db could not be found on node N2")
    board.sign_in("db", node="n2")
    board.do(cmd.DeregisterNode("n2"))
    assert board.says()[0] is C


def test_checks_of_the_targets_node_count_and_a_node_alone_can_be_looked_at() -> None:
    board = Board()
    board.sign_in("db", ttl("t1"), node="n2")
    board.sign_in("web", alias("db", "n2"), alias("", "n2", "of node"))
    board.of_node(ttl("disk"), "n2")
    board.report("disk", C, "full", "n2")
    assert board.says() == board.says("of node") == (C, 'Aliased check "the disk" failing: full')
    board.do(cmd.DeregisterCheck(cmd.Target("n2", "disk")))
    board.report("t1", C, "gone", "n2")
    assert board.says() == (C, 'Aliased check "the t1" failing: gone')
    assert board.says("of node") == (P, "No checks found.")
    board.do(cmd.DeregisterNode("n2"))
    assert board.says("of node") == (C, "Node n2 could not be found")


def test_who_looks_at_something_in_maintenance_fails_without_being_in_maintenance() -> None:
    board = Board()
    board.sign_in("db", ttl("t1"))
    board.sign_in("web", alias("db"))
    board.do(cmd.SetMaintenance(nonce="m", node=NODES["n1"], enable=True, instance=cmd.Target("n1", "db")))
    assert board.says() == (C, 'Aliased check "Service Maintenance Mode" failing: ')
    board.do(cmd.SetMaintenance(nonce="m", node=NODES["n1"], enable=False, instance=cmd.Target("n1", "db")))
    assert board.says()[0] is P


@pytest.mark.parametrize("far", [W, C])
def test_of_two_that_fail_alike_the_nearer_one_is_named_though_the_way_to_the_other_is_first(far: Status) -> None:
    board = Board()
    board.sign_in("far", ttl("t1"))
    board.sign_in("on the way", alias("far", name="a1"))
    board.sign_in("near", ttl("t2"))
    board.sign_in("fork", alias("on the way", name="a2"), alias("near", name="a3"))
    board.sign_in("web", alias("fork"))
    board.report("t1", far, "far")
    assert board.says() == (far, 'Aliased check "the t1" failing: far')
    board.report("t2", far, "near")
    assert board.says() == (far, 'Aliased check "the t2" failing: near')


def test_an_alias_of_an_alias_says_what_stands_behind_both() -> None:
    board = Board()
    board.sign_in("db", ttl("t1"))
    board.sign_in("api", alias("db", name="a1"))
    board.sign_in("web", alias("api", name="a2"))
    assert set(board.report("t1", C, "gone")) == {"c/public/n1/t1", "c/public/n1/a1", "c/public/n1/a2"}
    assert board.says("a1") == board.says("a2") == (C, 'Aliased check "the t1" failing: gone')
    board.do(cmd.DeregisterInstance(cmd.Target("n1", "db")))
    assert board.says("a2") == (C, 'Aliased check "the a1" failing: Service db could not be found on node n1')


@pytest.mark.parametrize("length", [1, 2, 3])
def test_aliases_that_look_at_each_other_end_and_get_well_again(length: int) -> None:
    board = Board()
    for number in range(length):
        board.sign_in(f"i{number}", ttl(f"t{number}"), alias(f"i{(number + 1) % length}", name=f"a{number}"))
    assert {board.says(f"a{number}") for number in range(length)} == {(P, "All checks passing.")}
    board.report("t0", C, "gone")
    assert {board.says(f"a{number}") for number in range(length)} == {(C, 'Aliased check "the t0" failing: gone')}
    board.report("t0", P)
    assert {board.says(f"a{number}") for number in range(length)} == {(P, "All checks passing.")}


def test_an_alias_of_nothing_but_itself_has_found_no_checks() -> None:
    board = Board()
    board.sign_in("web", alias("web"))
    assert board.says() == (P, "No checks found.")


def test_an_alias_looks_into_its_own_namespace() -> None:
    board = Board()
    board.sign_in("db", ttl("t1"))
    board.sign_in("web", alias("db"), namespace="blue")
    assert board.says(namespace="blue") == (C, "Service db could not be found on node n1")
    board.sign_in("db", namespace="blue")
    assert board.says(namespace="blue") == (P, "No checks found.")


def test_nobody_else_has_a_word_in_what_an_alias_says() -> None:
    board = Board()
    board.sign_in("web", alias("db"))
    step = board.world.do(fixed(cmd.ReportCheck(target=cmd.Target("n1", "alias"), status=P)))
    assert step.refusal is not None
    assert step.refusal.reason == "not_ttl"
    said = CheckSpec(id="alias", name="the alias", definition=AliasCheck("", "db"), status=P, output="fine")
    told = cmd.Register(nonce="r", node=NODES["n1"], checks=(cmd.Attached("web", said),), set_status=True)
    assert board.do(told) == {}
    assert board.says()[0] is C


def test_a_check_that_becomes_an_alias_and_one_no_longer() -> None:
    board = Board()
    board.sign_in("db", ttl("t1"))
    board.sign_in("web", CheckSpec(id="alias", definition=ManualCheck(), status=C, output="by hand"))
    board.sign_in("web", alias("db"))
    assert board.says() == (P, "All checks passing.")
    board.sign_in("web", ttl("alias"))
    board.report("t1", C)
    assert board.says() == (P, "All checks passing."), "what it said last, until it says something else"


def test_commands_of_one_group_see_each_others_aliases() -> None:
    """What is planned but not durable yet counts as if it were."""
    board = Board()
    view, overlay, now = board.world.view, Overlay(), board.world.now
    commands: list[cmd.Command] = [
        cmd.Register(
            nonce="r1", node=NODES["n1"], instance=InstanceSpec(service="web", id="web"), checks=(cmd.Attached("web", alias("db")),)
        ),
        cmd.Register(
            nonce="r2", node=NODES["n1"], instance=InstanceSpec(service="db", id="db"), checks=(cmd.Attached("db", ttl("t1")),)
        ),
        cmd.ReportCheck(target=cmd.Target("n1", "t1"), status=C, output="gone"),
    ]  # fmt: skip
    for number, command in enumerate(commands, 1):
        draft = Draft(view, overlay, Revision(view.revision + number))
        assert plan(draft, command, now).refusal is None
        assert "c/public/n1/alias" in draft.rows
        draft.accept()
    assert Draft(view, overlay, Revision(9)).check("public", "n1", "alias").output.endswith("gone")  # type: ignore[union-attr]  # it is there


def test_a_turn_costs_each_alias_the_same_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0
    real = Draft.check

    def check(draft: Draft, *place: str) -> Check | None:
        nonlocal looked
        looked += 1
        return real(draft, *place)

    monkeypatch.setattr(Draft, "check", check)
    costs = []
    for count in (30, 300):
        world = World()
        specs = [cmd.Register(nonce="db", node=NODES["n2"], checks=(cmd.Attached("", ttl("disk")),))]
        specs += [
            cmd.Register(
                nonce=f"r{number}", node=NODES["n1"], instance=InstanceSpec(service="web", id=f"i{number}"),
                checks=(cmd.Attached(f"i{number}", alias("", "n2", f"a{number}")),),
            )
            for number in range(count)
        ]  # fmt: skip
        for spec in specs:
            draft = Draft(world.view, Overlay(), Revision(world.view.revision + 1))
            assert plan(draft, spec, world.now).refusal is None
            world.fold(draft.rows)
        looked = 0
        draft = Draft(world.view, Overlay(), Revision(world.view.revision + 1))
        plan(draft, cmd.ReportCheck(target=cmd.Target("n2", "disk"), status=C, output="full"), world.now)
        assert len(draft.rows) == count + 1
        costs.append(looked / count)
    assert costs[1] < 2 * costs[0]


@pytest.mark.parametrize("ring", [False, True])
def test_a_chain_of_aliases_costs_its_length(monkeypatch: pytest.MonkeyPatch, ring: bool) -> None:  # a parameter
    """Each looks at the next; at the end stands a check, and in a ring an alias of the first."""
    looked = [0]
    real = deque.popleft

    class Counting(deque[object]):
        def popleft(self) -> object:
            looked[0] += 1
            return real(self)

    monkeypatch.setattr(aliasing, "deque", Counting)
    costs = []
    for count in (10, 60):
        world = World()
        for number in range(count + 1):
            last = (ttl("end"), *([alias("i0")] if ring else []))
            checks = last if number == count else (alias(f"i{number + 1}", name=f"a{number}"),)
            spec = InstanceSpec(service="web", id=f"i{number}")
            draft = Draft(world.view, Overlay(), Revision(world.view.revision + 1))
            attached = tuple(cmd.Attached(spec.id, check) for check in checks)
            plan(draft, cmd.Register(nonce=f"r{number}", node=NODES["n1"], instance=spec, checks=attached), world.now)
            world.fold(draft.rows)
        for status in (C, W, P):
            looked[0] = 0
            draft = Draft(world.view, Overlay(), Revision(world.view.revision + 1))
            plan(draft, cmd.ReportCheck(target=cmd.Target("n1", "end"), status=status), world.now)
            world.fold(draft.rows)
            assert len(draft.rows) == count + 1 + ring
            costs.append(looked[0] / count)
    assert max(costs) < 5


@given(alias_histories)
def test_every_alias_says_what_stands_behind_it_after_any_history(history: list[Maker]) -> None:
    world = World()
    for maker in history:
        world.do(maker)
        for check in world.view.checks():
            if isinstance(check.definition, AliasCheck):
                assert (check.status, check.output) == behind(world.oracle, check), (maker, check)


def test_a_place_is_looked_at_once_however_many_aliases_look_at_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0
    real = Draft.checks_of

    def checks_of(draft: Draft, *place: str) -> list[Check]:
        nonlocal looked
        looked += 1
        return real(draft, *place)

    world, count = World(), 12
    for number in range(count):
        checks = (ttl(f"t{number}"), *(alias(f"i{other}", name=f"a{number}.{other}") for other in range(count)))
        draft = Draft(world.view, Overlay(), Revision(world.view.revision + 1))
        spec = InstanceSpec(service="web", id=f"i{number}")
        attached = tuple(cmd.Attached(spec.id, check) for check in checks)
        assert plan(draft, cmd.Register(nonce=f"r{number}", node=NODES["n1"], instance=spec, checks=attached), world.now).refusal is None
        world.fold(draft.rows)
    monkeypatch.setattr(Draft, "checks_of", checks_of)
    for status in (C, P):
        looked = 0
        draft = Draft(world.view, Overlay(), Revision(world.view.revision + 1))
        plan(draft, cmd.ReportCheck(target=cmd.Target("n1", "t0"), status=status), world.now)
        world.fold(draft.rows)
        assert len(draft.rows) == count * count + 1
        assert looked <= count * count, "of each of the places, what is behind it is found out once"
