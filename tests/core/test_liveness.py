"""The leader's deadlines: TTL checks that run out, doors that deliver late or die, instances that stay critical."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.core.deadlines import HORIZON, TICK
from callboard.core.doors import LOCAL, UNKNOWN
from callboard.core.liveness import LivenessSettings
from callboard.model.check import ManualCheck, Status, TtlCheck
from callboard.model.time import SECOND, Duration, Instant, seconds
from tests.core.leases import UNPRESERVED, Leases, key, lease

P, C = Status.PASSING, Status.CRITICAL
A, B = 2, 3
"""Two doors."""


# -- one lease


def test_a_lease_runs_out_after_its_time_and_not_before() -> None:
    leases = Leases()
    leases.register(["x"], ttl_s=10)
    leases.wait(9.99)
    assert leases.expired == []
    leases.wait(1)
    assert leases.expired == [(10.0, "x")]


def test_a_sign_of_life_counts_from_when_it_was_heard_not_from_when_it_arrived() -> None:
    leases = Leases()
    leases.register(["x"], ttl_s=10)
    leases.wait(8)
    assert leases.beat("x", age_s=3)
    leases.wait(20)
    assert leases.expired == [(15.0, "x")]


def test_a_sign_of_life_that_comes_late_moves_no_deadline_back() -> None:
    leases = Leases()
    leases.register(["x"], ttl_s=10)
    leases.wait(5)
    assert leases.beat("x")
    leases.wait(1)
    assert leases.beat("x", age_s=4), "it is heard all the same"
    leases.wait(20)
    assert leases.expired == [(15.0, "x")]


def test_a_critical_or_unknown_check_is_not_heard() -> None:
    leases = Leases()
    assert not leases.beat("x")
    leases.register(["x"], ttl_s=10)
    leases.turn("x", C)
    assert not leases.beat("x")
    leases.turn("x", P)
    assert leases.beat("x")
    leases.put(lease("x", ManualCheck(), nonce="r2"))
    assert not leases.beat("x")


def test_what_was_told_comes_again_each_second_until_it_is_settled() -> None:
    leases = Leases()
    leases.lands = False
    leases.register(["x", "y", "z"], ttl_s=10, reap_s=60)
    leases.wait(12.5)
    assert leases.names == ["x", "y", "z"] * 3
    assert leases.beat("x"), "nothing came of its expiry: it is heard"
    leases.turn("y", C)
    leases.remove("z")
    leases.wait(9)
    assert len(leases.expired) == 9
    leases.wait(2)
    assert leases.names[9] == "x"


def test_a_sign_of_life_takes_back_what_was_told_however_short_its_time_is() -> None:
    leases = Leases()
    leases.lands = False
    leases.register(["x"], ttl_s=0.1)
    leases.wait(0.2)
    leases.beat("x")
    leases.wait(0.2)
    assert leases.expired == [(0.1, "x"), (0.3, "x")]


def test_expired_ones_are_told_in_the_order_of_their_deadlines_and_then_of_their_keys() -> None:
    leases = Leases(limit=3)
    leases.register(["late"], ttl_s=1.005)
    leases.register(["c", "a", "d", "b"], ttl_s=1.002)
    leases.wait(2)
    assert leases.names == ["a", "b", "c", "d", "late"]


# -- doors


def test_an_expiry_waits_until_every_door_has_delivered_what_it_heard_up_to_the_deadline() -> None:
    leases = Leases()
    leases.covered = lambda: Instant(leases.start + 9 * SECOND)
    leases.register(["x"], ttl_s=10)
    leases.wait(12)
    assert (leases.expired, leases.liveness.overdue_count, leases.liveness.held_count) == ([], 1, 0)
    leases.covered = lambda: Instant(leases.start + 10 * SECOND)
    leases.look()
    assert leases.expired == [(12.0, "x")]


def test_a_sign_of_life_delivered_late_takes_back_what_is_overdue() -> None:
    leases = Leases()
    leases.covered = lambda: leases.start
    leases.register(["x"], ttl_s=10)
    leases.wait(12)
    assert leases.beat("x", door=A, age_s=5)
    assert leases.liveness.overdue_count == 0
    leases.covered = lambda: leases.now
    leases.wait(10)
    assert leases.expired == [(17.0, "x")]


def test_a_sign_of_life_from_before_the_last_one_takes_nothing_back() -> None:
    leases = Leases()
    leases.covered = lambda: leases.start
    leases.register(["x"], ttl_s=10)
    leases.wait(12)
    assert leases.beat("x", door=A, age_s=12)
    assert leases.liveness.overdue_count == 1


def test_a_live_door_that_delivers_nothing_holds_an_expiry_for_60_seconds_and_no_longer() -> None:
    leases = Leases()
    leases.covered = lambda: leases.start
    leases.register(["x"], ttl_s=10)
    leases.wait(69.9)
    assert leases.expired == []
    leases.wait(1)
    assert leases.expired == [(70.0, "x")]


def test_a_dead_door_gives_what_it_last_carried_its_whole_time_again() -> None:
    leases = Leases()
    leases.register(["of a", "of b", "here"], ttl_s=10)
    leases.beat("of a", door=A)
    leases.beat("of b", door=B)
    leases.beat("here", door=LOCAL)
    leases.wait(6)
    leases.liveness.door_died(A, leases.now)
    leases.wait(20)
    assert leases.expired == [(10.0, "here"), (10.0, "of b"), (16.0, "of a")]


def test_a_dead_door_gives_what_it_last_carried_its_time_also_when_that_has_run_out() -> None:
    leases = Leases()
    leases.covered = lambda: leases.start
    leases.register(["x"], ttl_s=10)
    leases.beat("x", door=A)
    leases.wait(15)
    assert leases.liveness.overdue_count == 1
    leases.liveness.door_died(A, leases.now)
    leases.covered = lambda: leases.now
    leases.wait(9.9)
    assert leases.expired == []
    leases.wait(1)
    assert leases.expired == [(25.0, "x")]


def test_a_dead_door_gives_its_time_to_what_nobody_has_carried_in_this_term_but_only_once() -> None:
    """Signs of life of the first seconds may have died with it; but members that come and go must not keep the dead alive."""
    leases = Leases()
    leases.register(["x"], ttl_s=10)
    for door in range(A, A + 5):
        leases.wait(6)
        leases.liveness.door_died(door, leases.now)
    leases.wait(10)
    assert leases.expired == [(16.0, "x")]


def test_an_older_sign_of_life_still_tells_which_door_carries_a_lease() -> None:
    leases = Leases()
    leases.register(["x"], ttl_s=10)
    leases.beat("x", door=A, age_s=1)
    leases.wait(5)
    leases.liveness.door_died(B, leases.now)
    leases.wait(20)
    assert leases.expired == [(10.0, "x")]


def test_a_critical_check_gets_no_time_from_a_dead_door() -> None:
    leases = Leases()
    leases.register(["x"], ttl_s=10)
    leases.beat("x", door=A)
    leases.turn("x", C)
    leases.liveness.door_died(A, leases.now)
    leases.wait(30)
    assert leases.expired == []
    assert not leases.beat("x")


def test_many_that_wait_cost_nothing_while_they_wait() -> None:
    leases = Leases(limit=2_000)
    leases.covered = lambda: leases.start
    leases.register([f"c{number}" for number in range(20_000)], ttl_s=10)
    leases.wait(11)
    looks = leases.looks
    assert leases.liveness.overdue_count == 20_000
    leases.wait(58)
    assert leases.looks - looks <= HORIZON // SECOND
    leases.wait(2)
    assert len(leases.expired) == 20_000


# -- instances that stay critical


def test_an_instance_goes_when_its_check_was_critical_for_the_whole_time() -> None:
    leases = Leases()
    leases.register(["x"], ttl_s=10, reap_s=20)
    leases.wait(29.9)
    assert leases.reaped == []
    leases.wait(0.2)
    assert leases.reaped == [(30.0, "x")]


def test_a_check_that_was_well_for_a_moment_was_not_critical_all_the_time() -> None:
    leases = Leases()
    definition = TtlCheck(seconds(100), deregister_after=seconds(20))
    leases.put(lease("x", definition, C))
    leases.wait(15)
    leases.put(lease("x", definition, C, turned=5))
    leases.wait(19)
    leases.put(lease("x", definition, C, nonce="r2", turned=5))
    leases.wait(19)
    assert leases.reaped == []
    leases.wait(2)
    assert leases.reaped == [(54.0, "x")]


def test_who_signs_in_again_has_the_whole_time_to_get_well() -> None:
    leases = Leases()
    leases.put(lease("x", TtlCheck(seconds(100), deregister_after=seconds(20)), C))
    leases.wait(15)
    leases.liveness.signed_in(key("x"), leases.now)
    leases.wait(30)
    assert leases.reaped == [(35.0, "x")]


def test_a_removal_that_failed_comes_again_and_one_that_is_over_does_not() -> None:
    leases = Leases()
    leases.lands = False
    definition = TtlCheck(seconds(100), deregister_after=seconds(20))
    leases.put(lease("x", definition, C))
    leases.wait(22.5)
    assert [name for _, name in leases.reaped] == ["x"] * 3
    leases.turn("x", P)
    leases.wait(30)
    assert len(leases.reaped) == 3


def test_nothing_is_left_of_checks_that_are_gone() -> None:
    leases = Leases(LivenessSettings())
    leases.lands = False
    names = [f"c{number}" for number in range(50)]
    leases.register(names, ttl_s=1, reap_s=5)
    leases.wait(3)
    leases.remove(*names)
    leases.wait(70)
    liveness = leases.liveness
    assert (len(liveness.ttls), len(liveness.reaps), liveness.overdue_count, liveness.held_count) == (0, 0, 0, 0)
    assert liveness.deadline() is None


# -- everything against paper


class OnPaper:
    """Leases as one would write them down."""

    def __init__(self, now: int, hold_max: int) -> None:
        self.now, self.hold_max, self.covered = now, hold_max, now
        self.span: dict[str, int] = {}
        self.due: dict[str, int] = {}
        self.door: dict[str, int] = {}

    def register(self, name: str, span: int) -> None:
        self.span[name] = span
        self.due[name] = self.now + span
        self.door.setdefault(name, UNKNOWN)

    def beat(self, name: str, heard: int, door: int) -> bool:
        if name in self.due:
            due = heard + self.span[name]
            if due > self.due[name]:
                self.due[name], self.door[name] = due, door
            elif self.door[name] == UNKNOWN and self.due[name] > self.now:
                self.door[name] = door
        return name in self.due

    def died(self, door: int) -> None:
        for name, last in self.door.items():
            if last in {door, UNKNOWN}:
                self.door[name] = LOCAL
                if name in self.due:
                    self.due[name] = max(self.due[name], self.now + self.span[name])

    def tell(self) -> list[str]:
        until = max(self.covered, self.now - self.hold_max)
        told = sorted((due, name) for name, due in self.due.items() if due <= min(until, self.now))
        for _, name in told:
            del self.due[name]
        return [name for _, name in told]


class Step(NamedTuple):
    what: str
    name: str = ""
    span_s: int = 0
    door: int = UNKNOWN


NAMES, SPANS_S = st.sampled_from("xyz"), st.sampled_from([1, 3, 10, 90])
BEATS = st.builds(Step, st.just("beat"), NAMES, st.sampled_from([0, 0, 1, 4, 30]), st.sampled_from([LOCAL, A, B]))
WAITS = st.builds(Step, st.just("wait"), st.just(""), st.sampled_from([1, 2, 5, 20, 100]))
STEPS = st.one_of(
    BEATS, BEATS, WAITS, WAITS,
    st.builds(Step, st.just("register"), NAMES, SPANS_S),
    st.builds(Step, st.sampled_from(["critical", "remove"]), NAMES),
    st.builds(Step, st.just("died"), door=st.sampled_from([A, B])),
    st.builds(Step, st.just("cover"), st.just(""), st.sampled_from([0, 0, 2, 20, 1000])),
)  # fmt: skip


@given(st.lists(STEPS, max_size=40), st.integers(1, 3))
def test_leases_run_out_as_on_paper(steps: list[Step], limit: int) -> None:
    """Whole seconds, and the driver looks right after each, when the wheel has noticed them."""
    leases = Leases(UNPRESERVED, limit=limit)
    paper = OnPaper(leases.now, 60 * SECOND)
    leases.covered = lambda: Instant(paper.covered)
    for step in steps:
        if step.what == "wait":
            for _ in range(step.span_s):
                _second(leases, paper)
        elif step.what == "cover":
            paper.covered = max(paper.covered, paper.now - step.span_s * SECOND)
        elif step.what == "died":
            leases.liveness.door_died(step.door, leases.now)
            paper.died(step.door)
        else:
            _do(leases, paper, step)
    _second(leases, paper)
    assert leases.liveness.overdue_count == sum(due <= paper.now for due in paper.due.values())


def _second(leases: Leases, paper: OnPaper) -> None:
    paper.now += SECOND
    count = len(leases.expired)
    leases.now = Instant(paper.now + TICK)
    leases.look()
    while (deadline := leases.liveness.deadline()) is not None and deadline <= leases.now:
        leases.look()
    leases.now = Instant(paper.now)
    assert leases.names[count:] == paper.tell()


def _do(leases: Leases, paper: OnPaper, step: Step) -> None:
    """What happens to one lease."""
    name = step.name
    if step.what == "register":
        leases.register([name], step.span_s)
        paper.register(name, step.span_s * SECOND)
    elif step.what == "beat":
        heard = leases.beat(name, age_s=step.span_s, door=step.door)
        assert heard is paper.beat(name, paper.now - step.span_s * SECOND, step.door)
    elif key(name) in leases.checks:
        paper.due.pop(name, None)
        if step.what == "critical":
            leases.turn(name, C)
        else:
            leases.remove(name)
            paper.door.pop(name, None)


@pytest.mark.parametrize("span_s", [0.001, 0.05, 59.9, 60, 61, 3600])
def test_a_deadline_is_noticed_within_a_tick_of_its_moment(span_s: float) -> None:
    leases = Leases()
    leases.register(["x"], ttl_s=span_s)
    while not leases.expired:
        deadline = leases.liveness.deadline()
        assert deadline is not None
        leases.now = Instant(deadline)
        leases.look()
    assert 0 <= leases.now - leases.start - seconds(span_s) <= Duration(TICK)
