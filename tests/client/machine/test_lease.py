"""The lease machine on virtual time: a registry of the test answers, forgets, refuses and is silent, and nothing sleeps."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from callboard.client.machine.lease import REFUSED_RETRY_MS, TURNS_APART_MS, Command, Lease
from callboard.model.time import MILLISECOND, SECOND
from callboard.wire.native import Beat

LEASE_MS: Final = 15_000
LEASE: Final = LEASE_MS * MILLISECOND
FAILED: Final = OSError("no answer")
CHANCE = st.floats(0, 1, exclude_max=True)
OUTCOMES = st.sampled_from(["answered", "answered", "answered", "forgotten", "failed", "refused"])
WISHES = st.sampled_from(["nothing", "nothing", "warning", "passing", "drain"])


@dataclass
class Driver:
    """Does what a keeper does, with a clock of the test's."""

    lease: Lease
    now: int = 0
    contacts: list[tuple[int, Command, str]] = field(default_factory=list)

    def step(self, outcome: str = "answered", chance: float = 0.5, *, took: int = 0) -> Command | None:
        """Say what is due; else sleep to the deadline, and then say it."""
        command = self.lease.due(self.now)
        if command is None:
            deadline = self.lease.deadline()
            if deadline is None:
                return None
            self.now = max(self.now, deadline)
            command = self.lease.due(self.now)
            assert command is not None, "a deadline is when something is due"
        self.contacts.append((self.now, command, outcome))
        sent, self.now = self.now, self.now + took
        self.tell(command, outcome, sent, chance)
        return command

    def tell(self, command: Command, outcome: str, sent: int, chance: float) -> None:
        if outcome == "forgotten" and command in {Command.BEAT, Command.DRAIN}:
            self.lease.forgotten(self.now, chance, FAILED)
        elif outcome == "failed":
            self.lease.failed(self.now, chance, FAILED)
        elif outcome == "refused":
            self.lease.refused(self.now, FAILED)
        else:
            self.lease.answered(command, sent, chance)

    def wish(self, wish: str) -> None:
        if wish == "drain":
            self.lease.drain(self.now)
        elif wish == "warning":
            self.lease.tell(self.now, "warning", "hot")
        elif wish == "passing":
            self.lease.tell(self.now, "passing", "")


def signed_in(chance: float = 0.5, lease_ms: int = LEASE_MS) -> Driver:
    driver = Driver(Lease(0, lease_ms))
    assert [driver.step(chance=chance), driver.step(chance=chance)] == [Command.REGISTER, Command.BEAT]
    return driver


STEPS = st.lists(st.tuples(OUTCOMES, CHANCE, WISHES, st.integers(0, 20)), max_size=60)


@given(STEPS)
def test_full_after_gap_nothing_but_a_registration_follows_a_failure(steps: list[tuple[str, float, str, int]]) -> None:
    driver = Driver(Lease(0, LEASE_MS))
    for outcome, chance, wish, took_s in steps:
        driver.wish(wish)
        driver.step(outcome, chance, took=took_s * SECOND)
    for (_, _, before), (_, command, _) in pairwise(driver.contacts):
        if before in {"failed", "refused"}:
            assert command is Command.REGISTER
    assert driver.contacts[:1] == [] or driver.contacts[0][1] is Command.REGISTER


@given(st.integers(LEASE, 100 * LEASE))
def test_full_after_gap_also_when_the_process_itself_was_stopped(pause: int) -> None:
    driver = signed_in()
    driver.now += pause
    assert driver.step() is Command.REGISTER
    assert driver.step() is Command.BEAT, "a check that is there keeps its status until it is told another"


@given(CHANCE)
def test_forgotten_at_once(chance: float) -> None:
    driver = signed_in()
    driver.step("forgotten", chance)
    forgotten = driver.now
    assert driver.step() is Command.REGISTER
    assert driver.now == forgotten
    assert driver.lease.renewals == 1


@given(st.lists(CHANCE, min_size=20, max_size=20))
def test_a_registry_that_forgets_whatever_it_is_told_is_not_hammered(chances: list[float]) -> None:
    driver = Driver(Lease(0, LEASE_MS))
    for chance in chances:
        driver.step("forgotten", 0.5 + chance / 2)
    assert driver.now > 5 * SECOND


@given(st.lists(st.tuples(CHANCE, WISHES), min_size=1, max_size=80))
def test_never_silent_for_a_lease_while_it_is_answered(steps: list[tuple[float, str]]) -> None:
    driver = Driver(Lease(0, LEASE_MS))
    for chance, wish in steps:
        driver.wish(wish)
        driver.step("answered", chance)
    moments = [moment for moment, _, _ in driver.contacts]
    assert all(2 * (later - sooner) < LEASE for sooner, later in pairwise(moments))


@given(st.lists(st.tuples(st.sampled_from(["failed", "answered"]), CHANCE), min_size=1, max_size=80))
def test_failures_are_tried_again_sooner_than_beats_come(steps: list[tuple[str, float]]) -> None:
    driver = Driver(Lease(0, LEASE_MS))
    for outcome, chance in steps:
        driver.step(outcome, chance)
    for (moment, _, outcome), (later, _, _) in pairwise(driver.contacts):
        if outcome == "failed":
            assert later - moment <= LEASE // 3


@given(st.integers(0, 4 * SECOND), CHANCE)
def test_turns_at_once_and_only_once(after: int, chance: float) -> None:
    driver = signed_in(chance)
    beaten, driver.now = driver.now, driver.now + after
    driver.lease.tell(driver.now, "warning", "event loop blocked")
    turned = driver.now
    assert driver.lease.beat == Beat(status="warning", output="event loop blocked")
    assert driver.step() is Command.BEAT
    assert driver.now == max(turned, beaten + TURNS_APART_MS * MILLISECOND)
    driver.step()
    assert driver.now - turned > SECOND, "the next beat is an ordinary one"


def test_an_empty_output_is_told_once_and_plain_beats_follow() -> None:
    driver = Driver(Lease(0, LEASE_MS))
    driver.step()
    assert driver.lease.beat == Beat(output="")
    driver.step()
    assert driver.lease.beat == Beat()
    driver.lease.tell(driver.now, "warning", "hot")
    driver.step()
    driver.lease.tell(driver.now, "passing", "")
    assert driver.lease.beat == Beat(output="")
    driver.step()
    assert driver.lease.beat == Beat()


@given(st.lists(st.booleans(), min_size=50, max_size=50))
def test_turns_that_follow_each_other_fast_travel_together(turns: list[bool]) -> None:
    driver = signed_in()
    for turn in turns:
        driver.lease.tell(driver.now, "warning" if turn else "passing", "")
        if driver.lease.due(driver.now) is not None:
            driver.step()
        driver.now += 10 * MILLISECOND
    moments = [moment for moment, _, _ in driver.contacts[1:]]
    assert all(later - sooner >= TURNS_APART_MS * MILLISECOND for sooner, later in pairwise(moments))


@given(STEPS)
def test_draining_stays_whatever_happens(steps: list[tuple[str, float, str, int]]) -> None:
    driver = signed_in()
    driver.lease.drain(driver.now)
    for outcome, chance, wish, took_s in steps:
        driver.wish(wish)
        driver.step(outcome, chance, took=took_s * SECOND)
        assert driver.lease.draining
    while not driver.lease.hidden:
        assert driver.step() in {Command.REGISTER, Command.DRAIN}
    driver.step()
    assert driver.lease.state == "draining"


def test_draining_is_said_at_once_also_while_heartbeats_fail() -> None:
    driver = signed_in()
    driver.step("failed", 0.9)
    driver.lease.drain(driver.now)
    moment = driver.now
    assert driver.step() is Command.REGISTER, "which carries the phase"
    assert driver.now == moment
    assert driver.lease.hidden


@given(STEPS, OUTCOMES)
def test_leaving_wins_over_everything(steps: list[tuple[str, float, str, int]], last: str) -> None:
    driver = Driver(Lease(0, LEASE_MS))
    for outcome, chance, wish, took_s in steps:
        driver.wish(wish)
        driver.step(outcome, chance, took=took_s * SECOND)
    known = driver.lease.registered_once
    driver.lease.leave()
    driver.lease.drain(driver.now)
    driver.lease.tell(driver.now, "critical", "late")
    if known:
        assert driver.step(last) is Command.DEREGISTER
    assert driver.lease.state == "ended"
    assert driver.lease.due(driver.now + 100 * LEASE) is None
    assert driver.lease.deadline() is None


def test_handing_over_says_nothing() -> None:
    driver = signed_in()
    driver.lease.hand_over()
    assert driver.lease.state == "ended"
    assert driver.lease.due(driver.now + LEASE) is None


@given(st.lists(CHANCE, min_size=1, max_size=10))
def test_refused_is_slow_and_loud_and_mends_itself(chances: list[float]) -> None:
    driver = signed_in()
    for chance in chances:
        driver.step("refused", chance)
        assert (driver.lease.state, driver.lease.error) == ("refused", FAILED)
    moments = [moment for moment, _, outcome in driver.contacts if outcome == "refused"]
    assert all(later - sooner == REFUSED_RETRY_MS * MILLISECOND for sooner, later in pairwise(moments))
    assert driver.step() is Command.REGISTER
    assert (driver.lease.state, driver.lease.error, driver.lease.failures) == ("registered", None, 0)


@given(st.integers(0, 3_600_000), CHANCE)
def test_a_server_that_asks_for_time_is_given_it_up_to_a_beat(retry_after_ms: int, chance: float) -> None:
    driver = signed_in()
    driver.lease.failed(driver.now, chance, FAILED, retry_after_ms)
    deadline = driver.lease.deadline()
    assert deadline is not None
    assert min(retry_after_ms, LEASE_MS // 3) * MILLISECOND <= deadline - driver.now <= LEASE // 3


def test_states_in_their_order() -> None:
    driver = Driver(Lease(0, LEASE_MS))
    states = [driver.lease.state]
    for outcome in ("failed", "answered", "answered", "failed", "answered", "refused", "answered"):
        driver.step(outcome)
        states.append(driver.lease.state)
    assert states == ["registering", "registering", "registered", "registered", "lost", "registered", "refused", "registered"]


def test_without_a_time_limit_it_is_registered_and_left_alone() -> None:
    driver = Driver(Lease(0, 0))
    assert driver.step() is Command.REGISTER
    assert driver.step() is None
    driver.lease.tell(driver.now, "warning", "")
    assert driver.step() is None
    driver.lease.drain(driver.now)
    assert driver.step() is Command.DRAIN
    assert driver.step() is None
    driver.lease.leave()
    assert driver.step() is Command.DEREGISTER
