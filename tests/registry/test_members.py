"""Several members: any of them serves any request, one leads, and what happens when they cannot reach each other."""

import asyncio
from typing import Final

import pytest

from callboard.core.liveness import LivenessSettings
from callboard.model.check import GrpcCheck, H2pingCheck, OsServiceCheck, ScriptCheck, Status, TcpCheck, UdpCheck
from callboard.model.errors import UnavailableError
from callboard.model.members import Card
from callboard.registry.messages import Commands, NotLeading, decode_message, encode
from callboard.registry.pending import Promise
from callboard.registry.registry import Registry
from callboard.registry.submission import Submission
from callboard.store.contract import Membership
from callboard.testing.clock import VirtualClock
from callboard.testing.digest import digest
from tests.registry.cluster import cluster, outcome_of, reason
from tests.registry.stage import http, played, registration, report, ttl

P, C = Status.PASSING, Status.CRITICAL


def status(member: Registry, check: str = "c1") -> Status | None:
    there = member.view.check("public", "n1", check)
    return there.status if there is not None else None


async def beat(member: Registry, check: str = "c1") -> str | None:
    """A heartbeat, as a door gives it; why it was refused."""
    heard = member.beat("public", "n1", check, P, "")
    assert heard is not False
    return reason(await outcome_of(heard)) if isinstance(heard, Submission) else None


async def keep_alive(member: Registry, check: str, every_s: float) -> None:
    while True:
        await beat(member, check)
        await asyncio.sleep(every_s)


def test_any_member_takes_a_command_and_shows_it_when_it_answers() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            for number, member in enumerate([*made.followers, made.leader]):
                command = registration(ttl(10), instance=f"i{number}", check=f"c{number}", nonce=f"r{number}")
                outcome = await outcome_of(member.submit(command))
                assert reason(outcome) is None
                assert outcome.changed
                assert status(member, f"c{number}") is P
            await made.wait(0.1)
            assert len({digest(member.view) for member in made.network.members.values()}) == 1
            assert len({member.revision for member in made.network.members.values()}) == 1

    played(play)


def test_heartbeats_through_any_member_keep_a_check_alive_and_their_end_turns_it_critical_in_time() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            one, other = made.followers
            await outcome_of(one.submit(registration(ttl(3))))
            for member in (one, other, made.leader) * 4:
                await made.wait(1.5)
                assert await beat(member) is None
            assert status(made.leader) is P
            await made.wait(3 + 2.5)
            assert [status(member) for member in (one, other, made.leader)] == [C, C, C]

    played(play)


def test_a_member_that_cannot_reach_the_leader_goes_through_a_third_one() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            one = made.followers[0]
            await outcome_of(one.submit(registration(ttl(3))))
            made.network.sever(one.settings.member, made.leader.settings.member)
            for _ in range(10):
                await made.wait(1.5)
                assert await beat(one) is None
            assert reason(await outcome_of(one.submit(registration(ttl(3), instance="b", check="c2", nonce="r2")))) is None
            assert status(made.leader) is P
            assert one.stats.relayed > 0

    played(play)


def test_a_leader_that_stops_hands_over_at_once_and_what_waits_lands_once() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            one, old = made.followers[0], made.leader
            stopping = asyncio.ensure_future(made.stop(old.settings.member))
            await asyncio.sleep(0)
            before = clock.now()
            outcome = await outcome_of(one.submit(registration(ttl(3))))
            assert reason(outcome) is None
            assert clock.now() - before < 500_000_000
            await stopping
            assert made.leader is not old
            assert status(made.leader) is P

    played(play)


def test_a_new_leader_starts_every_deadline_afresh() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            await outcome_of(made.leader.submit(registration(ttl(3))))
            await made.wait(2.5)
            made.engine.depose()
            await made.wait(2.5)
            assert status(made.leader) is P
            await made.wait(4)
            assert status(made.leader) is C

    played(play)


def test_a_command_whose_answer_is_lost_is_not_planned_twice() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            one, leader = made.followers[0], made.leader
            await outcome_of(one.submit(registration(ttl(30))))
            made.network.silent.add(leader.settings.member)
            asked = one.submit(report(Status.WARNING, "slow"))
            await made.wait(1)
            made.network.silent.clear()
            assert reason(await outcome_of(asked)) is None
            assert leader.stats.commands == 1 + 1 + 1  # its opening, the registration, the report

    played(play)


def test_a_command_in_doubt_is_settled_by_the_feed_or_sent_to_the_next_leader_and_counts_once() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            one, old = made.followers[0], made.leader
            made.network.silent.add(old.settings.member)
            landed = one.submit(registration(ttl(30)))
            await made.wait(0.05)
            made.network.sever(one.settings.member, old.settings.member)
            made.network.sever(made.followers[1].settings.member, old.settings.member)
            never = one.submit(registration(ttl(30), instance="b", check="c2", nonce="r2"))
            await made.wait(0.5)
            while old.leading:
                made.engine.depose()
                await made.wait(0.1)
            assert reason(await outcome_of(landed)) is None
            assert reason(await outcome_of(never)) is None
            assert status(one, "c2") is P
            assert one.view.term.number > 1

    played(play)


def test_a_second_way_that_finds_no_leader_says_nothing_about_what_the_first_one_brought(monkeypatch: pytest.MonkeyPatch) -> None:
    def deaf(_message: bytes) -> Promise[bytes]:
        return Promise.of(encode(NotLeading()))

    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            one, third, old = *made.followers, made.leader
            real = old.hear
            made.network.silent.add(old.settings.member)

            def first_time_only(message: bytes) -> Promise[bytes]:
                answer = real(message)
                if not isinstance(decode_message(message), Commands):
                    return answer
                monkeypatch.setattr(old, "hear", deaf)
                return answer

            monkeypatch.setattr(old, "hear", first_time_only)
            asked = one.submit(registration(ttl(30)))
            await made.wait(0.02)
            made.network.silent.clear()
            outcome = await outcome_of(asked)
            assert reason(outcome) is None, "it has landed, and the feed says so"
            assert status(third) is P

    played(play)


def test_without_a_leader_commands_and_heartbeats_wait_and_are_then_refused_as_surely_not_applied() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock, "ab") as made:
            [one] = made.followers
            await outcome_of(one.submit(registration(ttl(30))))
            made.network.sever("a", "b")
            before = clock.now()
            refused = await outcome_of(one.submit(report(Status.WARNING)))
            assert reason(refused) in {"unavailable", "unknown_outcome"}
            assert await beat(one) == "unavailable"
            assert clock.now() - before < 20_000_000_000
            contact = one.contact()
            assert not contact.known
            assert contact.age_ms > 3_000
            before = clock.now()
            assert reason(await outcome_of(one.submit(report(Status.WARNING)))) == "unavailable"
            assert await beat(one) == "unavailable"
            assert clock.now() == before, "who comes later is told at once"

    played(play)


def test_a_consistent_read_at_a_follower_shows_what_was_acknowledged_elsewhere() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            one, other = made.followers
            for number in range(20):
                command = registration(ttl(30), instance=f"i{number}", check=f"c{number}", nonce=f"r{number}")
                revision = (await outcome_of(one.submit(command))).revision
                fresh = asyncio.get_running_loop().create_future()
                other.fresh().then(fresh.set_result)
                assert await fresh is None
                assert other.revision >= revision

    played(play)


ASKED: Final = (
    http(), TcpCheck("h", 1, http().interval), UdpCheck("h", 1, http().interval), GrpcCheck("h", 1, http().interval),
    H2pingCheck("h", 1, http().interval), ScriptCheck(("true",), http().interval), OsServiceCheck("ssh", http().interval),
)  # fmt: skip
"""Every kind that is asked."""


def test_one_member_that_finds_everything_critical_is_not_believed_before_another_has_looked() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            for number in range(60):
                asked = ASKED[number % len(ASKED)]
                command = registration(asked, instance=f"i{number}", check=f"c{number}", nonce=f"r{number}", status=P)
                await outcome_of(made.leader.submit(command))
            await made.wait(21)
            blind = made.followers[0]
            shares = [member.probing_count for member in made.network.members.values()]
            assert sum(shares) == 60
            assert min(shares) > 5
            made.eyes[blind.settings.member].blind = True
            await made.wait(25)
            critical = sum(status(made.leader, f"c{number}") is C for number in range(60))
            assert critical <= 4
            assert made.leader.stats.turns_denied > 0
            for eyes in made.eyes.values():
                eyes.blind = True
            await made.wait(45)
            assert {status(made.leader, f"c{number}") for number in range(60)} == {C}

    played(play)


def test_the_probes_of_a_member_that_leaves_are_taken_over_by_the_others() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            for number in range(30):
                await outcome_of(made.leader.submit(registration(http(), instance=f"i{number}", check=f"c{number}", nonce=f"r{number}")))
            await made.wait(1)
            await made.stop(made.followers[0].settings.member)
            await made.wait(1)
            assert sum(member.probing_count for member in made.network.members.values()) == 30

    played(play)


def test_a_leader_that_the_others_do_not_reach_gives_up_the_lead_and_nobody_expires_by_it() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            one, other, old = *made.followers, made.leader
            for number in range(4):
                await outcome_of(one.submit(registration(ttl(3), instance=f"i{number}", check=f"c{number}", nonce=f"r{number}")))
            alive = [asyncio.ensure_future(keep_alive(one, f"c{number}", 1)) for number in range(4)]
            for member in (one, other):
                made.network.sever(member.settings.member, old.settings.member)
            await made.wait(30)
            assert not old.leading
            assert {status(one, f"c{number}") for number in range(4)} == {P}
            assert reason(await outcome_of(one.submit(registration(ttl(3), instance="new", check="new", nonce="new")))) is None
            for task in alive:
                task.cancel()

    played(play)


def test_what_a_member_probes_that_the_store_has_let_go_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def cut_off(_card: Card) -> Membership:
        raise UnavailableError("cut off")

    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            for number in range(30):
                command = registration(http(), instance=f"i{number}", check=f"c{number}", nonce=f"r{number}", status=P)
                await outcome_of(made.leader.submit(command))
            await made.wait(12)
            gone = made.followers[0]
            made.eyes[gone.settings.member].blind = True
            monkeypatch.setattr(gone._store, "join", cut_off)  # noqa: SLF001  # it cannot come back,
            monkeypatch.setattr(gone._presence, "confirmed", lambda: True)  # noqa: SLF001  # and goes on all the same
            made.engine.expel(gone.settings.member)
            await made.wait(60)
            assert {status(made.leader, f"c{number}") for number in range(30)} == {P}

    played(play)


def test_a_mass_of_leases_that_run_out_at_once_is_held_and_said_loudly(caplog: pytest.LogCaptureFixture) -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock, liveness=LivenessSettings(preservation_hold_max_ms=60_000)) as made:
            for number in range(20):
                await outcome_of(made.leader.submit(registration(ttl(3), instance=f"i{number}", check=f"c{number}", nonce=f"r{number}")))
            alive = [asyncio.ensure_future(keep_alive(made.followers[0], f"c{number}", 1)) for number in range(10)]
            await made.wait(30)
            assert {status(made.leader, f"c{number}") for number in range(20)} == {P}
            assert "self-preservation" in caplog.text
            await made.wait(60)
            assert [status(made.leader, f"c{number}") for number in (0, 9, 10, 19)] == [P, P, C, C]
            for task in alive:
                task.cancel()

    played(play)


# -- levels


def test_the_level_rises_when_every_present_member_speaks_more_and_older_ones_are_refused_from_then_on() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock, "a") as made:
            await made.start("n", level=2)
            await made.wait(2)
            assert made.leader.view.epoch.level == 1
            await outcome_of(made.leader.submit(registration(ttl(30))))
            await made.stop("a")
            await made.wait(2)
            assert made.leader.view.epoch.level == 2
            with pytest.raises(UnavailableError, match="level 2"):
                await made.start("old")
            del made.network.members["old"]
            assert status(made.leader) is P

    played(play)


def test_a_member_that_comes_back_under_its_name_waits_for_the_lease_of_its_last_process() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock, "ab") as made:
            ghost = made.network.members.pop("b")
            await ghost._means.tasks.close()  # noqa: SLF001  # killed: nothing of it runs, and it told nobody
            starting = asyncio.ensure_future(made.start("b"))
            await made.wait(3)
            made.engine.expel("b")
            again = await starting
            assert again.ready
            await made.wait(2)
            assert {card.nonce for card in made.leader.members} == {made.leader.card.nonce, again.card.nonce}

    played(play)
