"""The one door: what is told, when, and what is left after stores failed and processes ended."""

import pytest

from callboard.core.catalog import commands as cmd
from callboard.core.catalog.changes import Changes
from callboard.model.check import Status
from callboard.model.errors import CompactedError
from callboard.model.instance import InstanceSpec
from callboard.model.rows import Outcome, Revision
from callboard.registry.itself import CHECK, SERVICE
from callboard.registry.registry import Registry
from callboard.registry.settings import RegistrySettings
from callboard.store.memory.engine import MemoryEngine
from callboard.store.memory.settings import MemorySettings
from callboard.store.memory.store import MemoryStore
from callboard.testing.clock import SeededEntropy, VirtualClock
from callboard.testing.digest import digest
from callboard.testing.faults import Fault, in_order
from tests.core.world import indexes
from tests.registry.stage import NODE, on_stage, outcome_of, played, registration, report, ttl


def reason(outcome: Outcome) -> str | None:
    return outcome.refusal.reason if outcome.refusal is not None else None


def plain(instance: str = "a", nonce: str = "r1", port: int = 0) -> cmd.Register:
    return cmd.Register(nonce=nonce, node=NODE, instance=InstanceSpec(service="web", id=instance, port=port))


# -- opening and closing


def test_a_server_signs_itself_in_and_does_so_again_without_another_entry() -> None:
    async def play(clock: VirtualClock) -> None:
        engine = MemoryEngine()
        for term in (1, 2):
            async with on_stage(clock, engine, seed=term) as stage:
                view = stage.registry.view
                assert view.term.number == term
                assert list(view.of_service("public", SERVICE)) == [("callboard", SERVICE)]
                check = view.check("public", "callboard", CHECK)
                assert check is not None
                assert check.status is Status.PASSING
                assert check.created == 1

    played(play)


def test_before_it_is_open_and_after_it_is_closed_commands_are_refused() -> None:
    async def play(clock: VirtualClock) -> None:
        engine = MemoryEngine()
        registry = Registry(MemoryStore(engine), RegistrySettings(member="m1"), clock, SeededEntropy())
        assert reason(await outcome_of(registry.submit(plain()))) == "unavailable"
        await registry.open()
        assert reason(await outcome_of(registry.submit(plain()))) is None
        await registry.close()
        assert reason(await outcome_of(registry.submit(plain("b")))) == "unavailable"
        assert not registry.beat("public", "n1", "c1", Status.PASSING, "")

    played(play)


def test_what_waits_when_the_server_closes_lands_or_is_told_that_nobody_knows() -> None:
    async def play(clock: VirtualClock) -> None:
        engine = MemoryEngine()
        told: dict[str, Outcome] = {}
        async with on_stage(clock, engine, choose=in_order(Fault.SLOW, Fault.SLOW)) as stage:
            stage.registry.submit(plain("a")).then(lambda outcome: told.update(a=outcome))
            await stage.wait(0.1)
            stage.registry.submit(plain("b", "r2")).then(lambda outcome: told.update(b=outcome))
        assert [reason(told["a"]), reason(told["b"])] == ["unknown_outcome", "deposed"]
        async with on_stage(clock, engine, seed=1) as stage:
            assert stage.registry.view.placed("public", "n1", "b") is None

    played(play)


def test_an_index_is_the_same_after_a_restart_and_grows_from_there() -> None:
    async def play(clock: VirtualClock) -> None:
        engine = MemoryEngine()
        async with on_stage(clock, engine) as stage:
            for number, name in enumerate("abc"):
                await stage.done(plain(name, f"r{number}"))
            await stage.done(cmd.DeregisterInstance(cmd.Target("n1", "c")))
            await stage.done(cmd.DeregisterNode("n1"))
            before, revision, content = indexes(stage.registry.view), stage.registry.revision, digest(stage.registry.view)
        async with on_stage(clock, engine, seed=1) as stage:
            after = indexes(stage.registry.view)
            assert all(after[topic] >= index for topic, index in before.items())
            assert after["s/public/web"] == before["s/public/web"]  # type: ignore[index]  # a topic is text
            assert stage.registry.revision > revision
            assert digest(stage.registry.view) == content

    played(play)


# -- outcomes


def test_an_outcome_is_told_after_its_commit_returned_and_the_view_has_it() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock, choose=in_order(Fault.SLOW)) as stage:
            submissions = [stage.registry.submit(command) for command in (
                plain(), plain(nonce="r2"), cmd.DeregisterInstance(cmd.Target("n1", "x")),
            )]  # fmt: skip
            seen: list[str] = []
            stage.registry.subscribe(lambda changes: seen.append("listener"))
            for submission in submissions:
                submission.then(lambda outcome: seen.append(reason(outcome) or "done"))
            await stage.wait(2.9)
            assert seen == []
            assert stage.registry.view.placed("public", "n1", "a") is None, "no reader sees what is not durable"
            await stage.wait(0.2)
            assert seen == ["listener", "done", "done", "unknown_instance"]

    played(play)


def test_a_refused_command_waits_for_its_group_and_is_void_with_it() -> None:
    """A "no" from state that never became durable would be a lie."""

    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock, choose=in_order(Fault.UNAVAILABLE)) as stage:
            submissions = [stage.registry.submit(plain()), stage.registry.submit(report(Status.PASSING))]
            assert [reason(await outcome_of(submission)) for submission in submissions] == ["unavailable", "unavailable"]

    played(play)


def test_commands_of_one_turn_share_a_group() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            sent = len(stage.store.sent)
            submissions = [stage.registry.submit(plain(f"i{number}", f"r{number}")) for number in range(100)]
            for submission in submissions:
                await outcome_of(submission)
            assert len(stage.store.sent) == sent + 1
            assert len({submission.outcome.revision for submission in submissions if submission.outcome}) == 100

    played(play)


def test_too_many_waiting_commands_are_refused_and_the_others_land() -> None:
    async def play(clock: VirtualClock) -> None:
        settings = RegistrySettings(member="m1", commands_pending_max_count=10)
        async with on_stage(clock, settings=settings, choose=in_order(Fault.SLOW)) as stage:
            submissions = [stage.registry.submit(plain(f"i{number}", f"r{number}")) for number in range(15)]
            reasons = [reason(await outcome_of(submission)) for submission in submissions]
            assert reasons == [None] * 10 + ["overloaded"] * 5
            assert "commands_pending_max_count" in submissions[-1].outcome.refusal.detail  # type: ignore[union-attr]  # refused

    played(play)


# -- a store that fails


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.FULL])
def test_a_group_that_surely_did_not_land_is_refused_and_the_lead_is_kept(fault: Fault) -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock, choose=in_order(fault)) as stage:
            before = digest(stage.registry.view)
            assert reason(await stage.done(plain())) == fault.value
            assert digest(stage.registry.view) == before
            assert reason(await stage.done(plain())) is None
            assert stage.registry.ready

    played(play)


@pytest.mark.parametrize(
    "faults",
    [
        (Fault.LOST,), (Fault.LANDED,), (Fault.LATE,), (Fault.LOST, Fault.LATE, Fault.LANDED),
        (Fault.LANDED, Fault.UNAVAILABLE), (Fault.LATE, Fault.FULL), (Fault.LOST, Fault.UNAVAILABLE, Fault.LOST),
    ],
)  # fmt: skip
def test_a_group_with_an_open_end_is_sent_again_and_lands_once(faults: tuple[Fault, ...]) -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock, choose=in_order(*faults)) as stage:
            revision, sent = stage.registry.revision, len(stage.store.sent)
            assert reason(await stage.done(plain())) is None
            assert stage.registry.revision == revision + 1
            again = stage.store.sent[sent:]
            assert len(again) == len(faults) + 1
            assert all(group is again[0] for group in again), "the same group, with the same mark, and nothing else in between"
            assert reason(await stage.done(plain("b", "r2"))) is None

    played(play)


def test_who_is_deposed_leads_no_more_and_says_so() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock, choose=in_order(Fault.DEPOSED)) as stage:
            submission = stage.registry.submit(plain())
            retried: list[str | None] = []
            submission.then(lambda _: stage.registry.submit(plain("b", "r2")).then(lambda outcome: retried.append(reason(outcome))))
            await stage.registry.failed()
            assert reason(await outcome_of(submission)) == "unknown_outcome"
            assert not stage.registry.ready
            await stage.wait(1)
            assert retried == ["unavailable"], "who tries again at once is not left waiting"
            assert reason(await stage.done(plain())) == "unavailable"
            assert not stage.beat()

    played(play)


def test_a_lead_that_ends_while_nothing_is_written_is_noticed() -> None:
    async def play(clock: VirtualClock) -> None:
        engine = MemoryEngine()
        async with on_stage(clock, engine) as stage:
            await stage.done(registration(ttl(10)))
            assert stage.beat()
            engine.depose()
            assert "lead lost" in await stage.registry.failed()
            assert not stage.beat(), "no heartbeat is acknowledged by who does not lead"

    played(play)


def test_a_group_that_landed_although_its_leader_was_deposed_since_is_acknowledged() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock, choose=in_order(Fault.LANDED, Fault.DEPOSED)) as stage:
            assert reason(await stage.done(plain())) is None
            await stage.registry.failed()

    played(play)


@pytest.mark.parametrize("last", [Fault.LOST, Fault.UNAVAILABLE])
def test_a_group_whose_end_stays_open_costs_the_lead_and_nobody_is_told_it_did_not_count(last: Fault) -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock, choose=lambda: Fault.LOST if len(stage.store.sent) == 2 else last) as stage:
            assert reason(await stage.done(plain())) == "unknown_outcome"
            await stage.registry.failed()

    played(play)


def test_a_bug_while_a_group_is_folded_ends_the_lead_loudly() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:

            def fail(_changes: Changes) -> None:
                raise ZeroDivisionError

            stage.registry.subscribe(fail)
            submission = stage.registry.submit(plain())
            assert "ZeroDivisionError" in await stage.registry.failed()
            assert reason(await outcome_of(submission)) == "unknown_outcome"

    played(play)


# -- being told


def test_a_listener_hears_each_group_once_in_order_until_it_leaves() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            heard: list[Revision] = []
            leave = stage.registry.subscribe(lambda changes: heard.append(changes.revision))
            first = await stage.done(plain())
            await stage.done(plain())
            second = await stage.done(plain(port=1))
            leave()
            await stage.done(plain(port=2))
            assert heard == [first.revision, second.revision]
            assert next(stage.registry.changes_after(first.revision)).revision == second.revision

    played(play)


def test_a_watcher_who_was_away_too_long_is_told_so() -> None:
    async def play(clock: VirtualClock) -> None:
        settings = RegistrySettings(member="m1", history_max_count=10)
        async with on_stage(clock, settings=settings) as stage:
            start = stage.registry.revision
            for number in range(10):
                await stage.done(plain(f"i{number}", f"r{number}"))
            with pytest.raises(CompactedError):
                stage.registry.changes_after(start)
            recent = list(stage.registry.changes_after(Revision(stage.registry.revision - 3)))
            assert [changes.revision for changes in recent] == [stage.registry.revision + step for step in (-2, -1, 0)]

    played(play)


# -- floors


def test_floors_are_swept_one_sweep_at_a_time_within_the_limits_of_the_store() -> None:
    async def play(clock: VirtualClock) -> None:
        settings = RegistrySettings(member="m1", floors_max_count=40)
        engine = MemoryEngine(MemorySettings(group_max_rows=20))
        async with on_stage(clock, engine, settings=settings) as stage:
            for number in range(60):
                command = cmd.Register(nonce=f"r{number}", node=NODE, instance=InstanceSpec(service=f"s{number}", id="a"))
                await stage.done(command)
                await stage.done(cmd.DeregisterInstance(cmd.Target("n1", "a")))
            index = indexes(stage.registry.view)
            stage.store.choose = in_order(Fault.SLOW)
            sent = len(stage.store.sent)
            await stage.wait(10)
            assert len(stage.registry.view.floors) <= 40
            assert len(stage.store.sent) - sent < 15
            assert all(now >= index[topic] for topic, now in indexes(stage.registry.view).items())

    played(play)


def test_floors_are_swept_while_groups_land_all_the_time() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock, settings=RegistrySettings(member="m1", floors_max_count=40)) as stage:
            most = 0
            for number in range(300):
                command = cmd.Register(nonce=f"r{number}", node=NODE, instance=InstanceSpec(service=f"s{number}", id="a"))
                await stage.done(command)
                await stage.done(cmd.DeregisterInstance(cmd.Target("n1", "a")))
                await stage.wait(0.05)
                most = max(most, len(stage.registry.view.floors))
            assert most < 100

    played(play)


def test_where_there_is_no_room_removals_pass_also_when_they_came_together_with_additions() -> None:
    async def play(clock: VirtualClock) -> None:
        engine = MemoryEngine(MemorySettings(rows_max_count=16))
        async with on_stage(clock, engine) as stage:
            await stage.done(plain("first", "r0"))
            await stage.done(cmd.DeregisterInstance(cmd.Target("n1", "first")))  # the marks that removals leave are there now
            number = 0
            while reason(await stage.done(plain(f"i{number}", f"r{number + 1}"))) is None:
                number += 1
            asked = [
                stage.registry.submit(plain("new", "x1")), stage.registry.submit(cmd.DeregisterInstance(cmd.Target("n1", "i0"))),
                stage.registry.submit(plain("newer", "x2")),
            ]  # fmt: skip
            assert [reason(await outcome_of(each)) for each in asked] == ["full", None, "full"]
            assert reason(await stage.done(plain("after", "x3"))) is None

    played(play)
