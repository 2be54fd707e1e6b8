"""Guarantees of the leader, over random histories of commands, groups that land and groups that fail."""

from collections.abc import Mapping, Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.core.catalog import commands as cmd
from callboard.core.catalog import registering
from callboard.core.catalog.changes import Changes
from callboard.core.catalog.draft import Draft
from callboard.core.catalog.fold import fold
from callboard.core.catalog.loading import Loader
from callboard.core.catalog.overlay import Entry
from callboard.core.catalog.planning import plan
from callboard.core.catalog.registering import Decision
from callboard.core.catalog.view import View
from callboard.model.check import CheckSpec, ManualCheck, Status
from callboard.model.instance import InstanceSpec, NodeSpec, Phase
from callboard.model.rows import Group, Key, Outcome, Position
from callboard.model.time import Timestamp
from callboard.registry import leader as leading
from callboard.store.contract import Caps
from tests.core.histories import Maker, fixed, makers, mesh_makers
from tests.core.world import opened, picture
from tests.registry.runs import Run

Step = Maker | str
NODE = NodeSpec(name="n1", address="10.0.0.1", implicit=True)


def stepped(count: int) -> st.SearchStrategy[list[Step]]:
    """Commands, groups that land and groups that fail, up to `count` of all."""
    return _steps(makers, count)


def crowded(count: int) -> st.SearchStrategy[list[Step]]:
    """The same with few commands about few things, so that those in flight are about each other."""
    commands = st.sampled_from([
        *(fixed(register(name, service=service)) for name in "ab" for service in ("web", "db")),
        *(fixed(cmd.DeregisterInstance(cmd.Target("n1", name))) for name in "ab"),
        *(fixed(cmd.SetPhase(cmd.Target("n1", name), phase)) for name in "ab" for phase in (Phase.DRAINING, Phase.SERVING)),
        *(fixed(cmd.SweepFloors(keep)) for keep in range(4)),
    ])  # fmt: skip
    return _steps(commands, count)


def signing(count: int) -> st.SearchStrategy[list[Step]]:
    """Instances that come with checks and go, where an id may belong to another one already, or be there twice."""
    checks = [CheckSpec(id=name, definition=ManualCheck(), status=status) for name in ("c1", "c2") for status in Status]
    commands = st.sampled_from([
        *(
            fixed(cmd.Register(
                nonce=f"r{instance}", node=NODE, instance=InstanceSpec(service="web", id=instance),
                checks=tuple(cmd.Attached(instance, check) for check in attached),
            ))
            for instance in "ab" for attached in [(), *product(checks), *product(checks[:6], repeat=2)]
        ),
        *(fixed(cmd.DeregisterInstance(cmd.Target("n1", name))) for name in "ab" for _ in range(16)),
    ])  # fmt: skip
    return _steps(commands, count)


def _steps(commands: st.SearchStrategy[Maker], count: int) -> st.SearchStrategy[list[Step]]:
    step = commands | commands | commands | st.sampled_from(["commit", "commit", "fail"])
    return st.integers(0, count).flatmap(lambda length: st.lists(step, min_size=length, max_size=length))


def register(instance: str, nonce: str = "r1", service: str = "web", words: str = "") -> cmd.Register:
    return cmd.Register(nonce=nonce, node=NODE, instance=InstanceSpec(service=service, id=instance, meta={"words": words}))


def played(steps: Sequence[Step], group_commands_max_count: int = 4) -> Run:
    """A run of these steps to its end; what must hold on the way is asserted in `Run`."""
    run = Run(group_commands_max_count)
    for step in steps:
        if isinstance(step, Maker):
            run.submit(step)
        elif step == "commit":
            run.commit()
        else:
            run.fail()
    run.finish()
    return run


@given(stepped(40), st.integers(1, 5))
def test_planning_on_the_overlay_equals_planning_after_durability(steps: list[Step], group_commands_max_count: int) -> None:
    """And all that `Run` asserts: released by mark, overlay only, index never falls, what a failed group does to later ones."""
    played(steps, group_commands_max_count)


@given(crowded(40), st.integers(1, 3))
def test_commands_in_flight_about_the_same_things_end_as_if_they_had_waited(steps: list[Step], group_commands_max_count: int) -> None:
    played(steps, group_commands_max_count)


@given(stepped(40))
def test_load_equals_fold_after_groups_that_landed_and_failed(steps: list[Step]) -> None:
    run = played(steps)
    loader = Loader()
    loader.add(run.rows.values())
    assert picture(loader.finish(run.view.position)) == picture(run.view)


@given(stepped(30) | crowded(30) | _steps(mesh_makers, 30), st.integers(1, 5))
def test_a_leader_that_folds_what_it_planned_sees_what_a_member_reads_from_the_rows(steps: list[Step], most: int) -> None:
    """Down to the types of values, which `==` does not look at, and to what is told to have changed."""

    def folds(view: View, group: Group, position: Position, planned: Mapping[Key, Entry]) -> Changes:
        told, read = fold(view, group, position, planned), fold(member, group, position)
        assert [repr(part) for part in _parts(told)] == [repr(part) for part in _parts(read)]
        assert told.topics == read.topics
        assert picture(view) == picture(member)
        return told

    member = opened({})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leading, "fold", folds)
        played(steps, most)


def _parts(changes: Changes) -> Sequence[object]:
    return *changes.nodes, *changes.instances, *changes.checks


@given(signing(30) | _steps(mesh_makers, 30), st.integers(1, 5))
def test_the_short_way_of_a_registration_plans_what_the_long_way_does(steps: list[Step], most: int) -> None:
    def both(draft: Draft, command: cmd.Command, now: Timestamp) -> Decision:
        long = Draft(draft.view, draft.overlay, draft.revision)
        with pytest.MonkeyPatch.context() as long_way:
            long_way.setattr(registering, "_register_new", lambda *_: False)
            expected = plan(long, command, now)
        decision = plan(draft, command, now)
        assert decision == expected
        assert (list(draft.rows.items()), draft.touched, draft.aliased) == (list(long.rows.items()), long.touched, long.aliased)
        assert repr(draft.values) == repr(long.values)
        return decision

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leading, "plan", both)
        played(steps, most)


@given(stepped(30))
def test_the_overlay_is_empty_when_nothing_waits(steps: list[Step]) -> None:
    overlay = played(steps).leader._overlay  # noqa: SLF001  # what it keeps is what this is about
    for part in overlay.__slots__:
        kept = getattr(overlay, part)
        assert not kept or part == "global_floor", part


def reason(outcomes: list[Outcome]) -> str | None:
    [outcome] = outcomes
    return outcome.refusal.reason if outcome.refusal is not None else None


def test_a_refused_command_and_one_that_changes_nothing_take_their_place_in_a_group() -> None:
    run = Run()
    first, again = run.submit_command(register("a")), run.submit_command(register("a", "r2"))
    unknown = run.submit_command(cmd.DeregisterInstance(cmd.Target("n1", "x")))
    assert [sent.told for sent in (first, again, unknown)] == [[], [], []]
    run.commit()
    assert [reason(sent.told) for sent in (first, again, unknown)] == [None, None, "unknown_instance"]
    assert [sent.told[0].changed for sent in (first, again, unknown)] == [True, False, False]
    assert again.told[0].revision == first.told[0].revision, "it depends on what the first one did"


def test_what_was_planned_on_a_failed_group_is_planned_again() -> None:
    run = Run(group_commands_max_count=1)
    first = run.submit_command(register("a"))
    depends, phase = run.submit_command(register("a", "r2")), run.submit_command(cmd.DeregisterInstance(cmd.Target("n1", "a")))
    run.fail()
    run.finish()
    assert [reason(sent.told) for sent in (first, depends, phase)] == ["unavailable", None, None]
    assert depends.told[0].changed, "it found nothing there any more, and made it itself"


def test_a_door_may_submit_again_while_it_is_told_that_its_group_failed() -> None:
    run = Run(group_commands_max_count=1)
    first = run.submit_command(register("a"))
    behind = run.submit_command(register("b", "r2"))
    retried = []
    first.then = lambda: retried.append(run.submit_command(register("a", "r3")))
    run.fail()
    run.finish()
    assert reason(behind.told) is None
    assert [reason(sent.told) for sent in retried] == [None]


def test_a_command_larger_than_the_store_takes_is_refused_alone() -> None:
    run = Run(caps=Caps(value_bytes=300, group_rows=4, group_bytes=10_000, durable=False))
    small = run.submit_command(register("a"))
    large = run.submit_command(register("b", words="x" * 300))
    checks = tuple(cmd.Attached("a", CheckSpec(id=f"c{number}", definition=ManualCheck())) for number in range(5))
    spec = InstanceSpec(service="web", id="a")
    many = run.submit_command(cmd.Register(nonce="r3", node=NODE, instance=spec, checks=checks))
    run.leader.next_batch().release()
    assert reason(small.told) is None
    assert [reason(sent.told) for sent in (large, many)] == ["too_large", "too_large"]
    assert "300" in large.told[0].refusal.detail  # type: ignore[union-attr]  # refused, as the line above says


def test_groups_stay_within_what_the_store_takes() -> None:
    run = Run(group_commands_max_count=100, caps=Caps(value_bytes=1_000, group_rows=5, group_bytes=10_000, durable=False))
    for number in range(20):
        run.submit_command(register(f"i{number}", f"r{number}"))
    sizes = []
    while run.leader.busy:
        batch = run.leader.next_batch()
        sizes.append(len(batch.rows))
        group = batch.group(run.view.position, f"mark {len(sizes)}".encode())
        run.leader.durable(batch, group, group.position)
    assert max(sizes) <= 5
    assert sum(sizes) == 21, "twenty instances and their node"


def test_a_sweep_planned_behind_another_lets_the_global_floor_rise_only() -> None:
    run = Run(group_commands_max_count=1)
    for number, name in enumerate(["a", "b", "c"]):
        run.submit_command(register(name, f"r{number}"))
        run.submit_command(cmd.DeregisterInstance(cmd.Target("n1", name)))
    run.finish()
    run.submit_command(cmd.SweepFloors(0))
    run.submit_command(register("a", "r9"))
    run.submit_command(cmd.DeregisterInstance(cmd.Target("n1", "a")))
    run.submit_command(cmd.SweepFloors(1))
    run.finish()


def test_when_the_lead_is_lost_the_sent_commands_are_open_and_the_others_did_not_count() -> None:
    run = Run(group_commands_max_count=1)
    sent, waiting = run.submit_command(register("a")), run.submit_command(register("b", "r2"))
    run.leader.give_up(run.leader.next_batch()).refuse()
    assert (reason(sent.told), reason(waiting.told)) == ("unknown_outcome", "deposed")
    assert run.leader.lost


def test_a_door_that_fails_on_its_answer_keeps_nobody_else_from_theirs() -> None:
    run = Run()
    bad, good = run.submit_command(register("a")), run.submit_command(register("b", "r2"))
    bad.then = lambda: 1 // 0
    run.commit()
    assert reason(good.told) is None
