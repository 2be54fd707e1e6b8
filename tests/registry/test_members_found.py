"""What reviews, simulation and fault runs have found about members; a test for each. docs/bugs-found.md tells the stories."""

import asyncio

import pytest
from msgspec.structs import replace

from callboard.core.catalog import commands as cmd
from callboard.core.catalog import planning
from callboard.core.catalog.changes import Changes
from callboard.model.check import CheckSpec, Status
from callboard.model.errors import IndeterminateError
from callboard.model.instance import InstanceSpec
from callboard.model.members import Card
from callboard.model.rows import Group, Outcome, Position, Refusal
from callboard.registry import following
from callboard.registry import leader as leaders
from callboard.registry.messages import Beats, Message, decode_message
from callboard.registry.pending import Promise
from callboard.registry.submission import Submission
from callboard.registry.ticking import Ticker
from callboard.store.contract import Leadership
from callboard.testing.clock import VirtualClock
from tests.registry.cluster import Wire, cluster, outcome_of, reason
from tests.registry.stage import NODE, played, registration, report, ttl

P, C = Status.PASSING, Status.CRITICAL
Patch = pytest.MonkeyPatch


def test_a_leader_that_is_not_confirmed_waits_for_that_and_does_not_spin(monkeypatch: Patch) -> None:
    ticks = []
    real = Ticker._tick  # noqa: SLF001

    def counted(ticker: Ticker, *, gave_way: bool = False) -> None:
        ticks.append(1)
        real(ticker, gave_way=gave_way)

    async def play(clock: VirtualClock) -> None:
        async with cluster(clock, "a") as made:
            term = made.leader._door.term  # noqa: SLF001
            assert term is not None
            await outcome_of(made.leader.submit(registration(ttl(1))))
            monkeypatch.setattr(term.leadership, "confirmed_until", lambda: 0)
            monkeypatch.setattr(Ticker, "_tick", counted)
            await made.wait(10)
            assert len(ticks) < 50

    played(play)


def test_a_consistent_read_at_the_leader_waits_for_the_group_that_is_at_the_store(monkeypatch: Patch) -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            leader, one = made.leader, made.followers[0]
            store = leader._store  # noqa: SLF001
            commit = store.commit

            async def answer_lost_once(group: Group, by: Leadership) -> Position:
                await commit(group, by)
                monkeypatch.setattr(store, "commit", commit)
                raise IndeterminateError("the answer was lost")

            monkeypatch.setattr(store, "commit", answer_lost_once)
            acknowledged = await outcome_of(one.submit(registration(ttl(30))))
            assert leader.revision < acknowledged.revision
            fresh: asyncio.Future[Refusal | None] = asyncio.get_running_loop().create_future()
            leader.fresh().then(fresh.set_result)
            assert await fresh is None
            assert leader.revision >= acknowledged.revision

    played(play)


def test_no_revision_and_no_index_goes_back_when_the_engine_is_set_back() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            await outcome_of(made.leader.submit(registration(ttl(300))))
            backup = made.engine.backup()
            for number in range(5):
                await outcome_of(made.leader.submit(registration(ttl(300), instance=f"i{number}", check=f"c{number}", nonce=f"r{number}")))
            await made.wait(0.1)
            shown = {name: member.revision for name, member in made.network.members.items()}
            told: list[int] = []
            for member in made.network.members.values():
                member.subscribe(lambda changes: told.append(changes.revision))
            made.engine.restore(backup)
            for _ in range(50):
                await made.wait(0.1)
                assert all(member.revision >= shown[name] for name, member in made.network.members.items())
            assert min(told) > max(shown.values())
            assert all(member.view.global_floor > shown[name] for name, member in made.network.members.items())
            assert made.leader.view.placed("public", "n1", "i4") is None

    played(play)


def test_listeners_are_told_before_whoever_waits_for_the_revision() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            one = made.followers[0]
            order: list[tuple[str, int]] = []
            one.subscribe(lambda changes: order.append(("changes", changes.revision)))
            next_one = one.revision + 1
            one._following.reached(type(one.revision)(next_one), 5_000).then(lambda _: order.append(("reached", next_one)))  # noqa: SLF001
            await outcome_of(made.leader.submit(registration(ttl(300))))
            await made.wait(0.1)
            assert order == [("changes", next_one), ("reached", next_one)]

    played(play)


def test_a_member_that_leaves_does_not_come_back_as_a_ghost() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            gone = made.followers[0].settings.member
            await made.stop(gone)
            for _ in range(20):
                await made.wait(0.1)
                assert gone not in {card.name for card in made.leader.members}

    played(play)


@pytest.mark.parametrize("kind", ["register", "register check", "report"])
def test_a_command_that_waits_at_a_follower_is_a_sign_of_life_already(kind: str, monkeypatch: Patch) -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            leader, one = made.leader, made.followers[0]
            await outcome_of(one.submit(registration(ttl(3))))
            store = leader._store  # noqa: SLF001
            commit = store.commit

            async def slow(group: Group, by: Leadership) -> Position:
                await asyncio.sleep(9)
                return await commit(group, by)

            monkeypatch.setattr(store, "commit", slow)
            turned: list[Status] = []
            leader.subscribe(lambda changes: turned.extend(change.after.status for change in changes.checks if change.after is not None))
            check = CheckSpec(id="c1", definition=ttl(3), status=P)
            for number in range(20):
                nonce = f"again{number}"
                commands: dict[str, cmd.Command] = {
                    "register": replace(registration(ttl(3)), nonce=nonce),
                    "register check": cmd.RegisterCheck(nonce=nonce, node=NODE, check=check, instance=cmd.Target("n1", "a")),
                    "report": report(P, f"note {number}"),
                }
                one.submit(commands[kind])
                await made.wait(1)
            assert C not in turned
            monkeypatch.setattr(store, "commit", commit)

    played(play)


def test_heartbeats_that_come_again_or_late_keep_nobody_alive(monkeypatch: Patch) -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            leader, one = made.leader, made.followers[0]
            await outcome_of(one.submit(registration(ttl(3))))
            recorded: list[bytes] = []
            real = leader.hear

            def hear(message: bytes) -> Promise[bytes]:
                decoded: Message = decode_message(message)
                if isinstance(decoded, Beats) and decoded.beats:
                    recorded.append(message)
                return real(message)

            monkeypatch.setattr(leader, "hear", hear)
            assert isinstance(one.beat("public", "n1", "c1", P, ""), Submission)
            await made.wait(2)
            for _ in range(20):
                real(recorded[0]).then(lambda _: None)
                await made.wait(1)
            check = leader.view.check("public", "n1", "c1")
            assert check is not None
            assert check.status is C

    played(play)


def test_one_command_that_fails_keeps_no_other_of_its_batch_from_landing(monkeypatch: Patch) -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            one, real = made.followers[0], planning.plan

            def plan(draft: object, command: object, now: object) -> object:
                if isinstance(command, cmd.ReportCheck) and command.output == "poison":
                    raise RuntimeError("a bug about one command")
                return real(draft, command, now)  # type: ignore[arg-type]

            await outcome_of(one.submit(registration(ttl(300))))
            monkeypatch.setattr(leaders, "plan", plan)
            bad = one.submit(report(P, "poison"))
            good = one.submit(registration(ttl(300), instance="b", check="c2", nonce="r2"))
            assert reason(await outcome_of(good)) is None
            assert reason(await outcome_of(bad)) == "unknown_outcome"

    played(play)


@pytest.mark.parametrize("part", ["listener", "tick"])
def test_an_error_in_the_program_ends_the_process_and_not_just_a_part_of_it(part: str, monkeypatch: Patch) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("a bug")

    async def play(clock: VirtualClock) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        async with cluster(clock) as made:
            one = made.followers[0] if part == "listener" else made.leader
            if part == "listener":
                one.subscribe(fail)
            else:
                monkeypatch.setattr(one._probing, "tick", lambda *_: fail(None))  # noqa: SLF001
            await outcome_of(made.leader.submit(registration(ttl(300))))
            async with asyncio.timeout(5):
                assert "a bug" in await one.failed()
            assert not one.ready

    played(play)


def test_who_waits_at_a_member_that_stops_is_told() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock, "ab") as made:
            [one] = made.followers
            await outcome_of(one.submit(registration(ttl(300))))
            await made.wait(1)
            made.network.sever("a", "b")
            told: list[Outcome] = []
            heard = one.beat("public", "n1", "c1", P, "")
            assert isinstance(heard, Submission)
            heard.then(told.append)
            one.submit(report(Status.WARNING)).then(told.append)
            await made.wait(0.2)
            await made.stop("b")
            assert {reason(outcome) for outcome in told} <= {"unavailable", "unknown_outcome"}
            assert len(told) == 2

    played(play)


def test_commands_that_are_too_many_bytes_for_one_message_go_in_several(monkeypatch: Patch) -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            one, sizes, real = made.followers[0], [], Wire.exchange

            async def exchange(wire: Wire, to: Card, message: bytes, timeout_s: float) -> bytes:
                sizes.append(len(message))
                return await real(wire, to, message, timeout_s)

            monkeypatch.setattr(Wire, "exchange", exchange)

            def large(number: int) -> cmd.Register:
                check = CheckSpec(id=f"c{number}", definition=ttl(300), output="x" * 4_000)
                instance = InstanceSpec(service="web", id=f"i{number}")
                return cmd.Register(nonce=f"r{number}", node=NODE, instance=instance, checks=(cmd.Attached(f"i{number}", check),))

            asked = [one.submit(large(number)) for number in range(900)]
            assert {reason(await outcome_of(each)) for each in asked} == {None}
            assert 1_000_000 < max(sizes) < one.settings.batch_max_bytes + 10_000

    played(play)


def test_a_leader_that_steps_down_says_how_old_its_view_is_since_it_last_surely_led_and_holds_writes_for_the_next(
    monkeypatch: Patch,
) -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            old = made.leader
            await made.wait(60)
            term = old._door.term  # noqa: SLF001
            assert term is not None
            resign = term.leadership.resign

            async def slow() -> None:
                await asyncio.sleep(3)
                await resign()

            monkeypatch.setattr(term.leadership, "resign", slow)
            made.engine.depose()
            await made.wait(0.5)
            assert old.contact().age_ms < 2_000
            assert reason(await outcome_of(old.submit(registration(ttl(300))))) is None

    played(play)


def test_whoever_waits_for_a_revision_that_never_comes_is_not_kept() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock, "a") as made:
            following = made.leader._following  # noqa: SLF001
            told: list[bool] = []
            for _ in range(5_000):
                following.reached(type(made.leader.revision)(10**6), 100).then(told.append)
                await asyncio.sleep(0.001)
            await made.wait(1)
            assert told == [False] * 5_000
            assert len(following._waiting) < 300  # noqa: SLF001

    played(play)


def test_rows_that_were_edited_by_hand_are_told_to_watchers() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            one = made.followers[0]
            await outcome_of(made.leader.submit(registration(ttl(300), output="old")))
            await made.wait(0.1)
            told: list[Changes] = []
            one.subscribe(told.append)
            for key, row in list(made.engine.rows.items()):
                made.engine.rows[key] = row._replace(value=row.value.replace(b"old", b"new"))
            await one._following.stop()  # noqa: SLF001
            await one._following._reload()  # noqa: SLF001  # as after `DivergedError`
            [change] = told
            assert [each.after.output for each in change.checks if each.after is not None] == ["new"]

    played(play)


def test_a_view_that_is_loaded_anew_is_compared_in_turns_and_shown_whole(monkeypatch: Patch) -> None:
    """Nothing of it before, also when it is given up on the way."""
    monkeypatch.setattr(following, "_STEP_ROWS_COUNT", 1)

    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            one = made.followers[0]
            for number in range(5):
                await outcome_of(made.leader.submit(registration(ttl(300), instance=f"i{number}", check=f"c{number}", nonce=f"r{number}")))
            await made.wait(0.1)
            told: list[Changes] = []
            one.subscribe(told.append)
            for key, row in list(made.engine.rows.items()):
                made.engine.rows[key] = row._replace(value=row.value.replace(b"10.0.0.1", b"10.9.9.9"))
            await one._following.stop()  # noqa: SLF001
            view = one.view

            async def reloaded(turns_max_count: int) -> int:
                loading, turns = asyncio.create_task(one._following._reload()), 0  # noqa: SLF001  # as after `DivergedError`
                while turns < turns_max_count and not loading.done():
                    assert (one.view, told) == (view, [])
                    turns += 1
                    await asyncio.sleep(0)
                loading.cancel()
                await asyncio.wait({loading})
                return turns

            assert await reloaded(10) == 10
            assert (one.view, told) == (view, [])
            assert 10 < await reloaded(10_000) < 10_000, "a turn of the loop for each instance and each check"
            assert one.view is not view
            assert [change.after.address for change in told[0].nodes if change.after is not None] == ["10.9.9.9"]
            assert len(told) == 1

    played(play)


def test_a_member_that_the_others_do_not_count_takes_no_writes_and_no_heartbeats() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock, "ab") as made:
            await outcome_of(made.leader.submit(registration(ttl(300))))
            killed = made.network.members.pop("b")
            await killed._means.tasks.close()  # noqa: SLF001  # killed; its name is taken until its lease ends
            again = await made.start("b")
            assert again.ready
            assert again.view.placed("public", "n1", "a") is not None
            heard = again.beat("public", "n1", "c1", P, "")
            assert isinstance(heard, Submission)
            assert reason(await outcome_of(heard)) == "unavailable"
            assert reason(await outcome_of(again.submit(report(Status.WARNING)))) == "unavailable"
            made.engine.expel("b")
            await made.wait(2)
            assert reason(await outcome_of(again.submit(report(Status.WARNING)))) is None

    played(play)
