"""A member's share of the probes: when each is due, what its results mean, and what happens when the share changes."""

from collections import Counter

from callboard.core.catalog.changes import CheckChange
from callboard.core.catalog.commands import ReportCheck
from callboard.core.health import ProbeResult
from callboard.core.liveness import CheckKey
from callboard.core.probing import Probing
from callboard.core.rendezvous import owner
from callboard.model.check import Check, HttpCheck, ManualCheck, Status, Thresholds
from callboard.model.time import MINUTE, SECOND, Duration, Instant, seconds
from tests.core.leases import key, lease

P, C = Status.PASSING, Status.CRITICAL


class Prober:
    """A member that probes at once, in virtual time. `asked` says what it asked, and after how many seconds."""

    def __init__(self, *checks: Check, chance: float = 0.5, name: str = "m1") -> None:
        self.probing = Probing(Duration(5 * MINUTE))
        self.now = Instant(1_000 * SECOND)
        self.start = self.now
        self.chance = chance
        self.name = name
        self.result = P
        self.checks: dict[CheckKey, Check] = {}
        self.asked: list[tuple[float, str]] = []
        self.reports: list[tuple[str, Status]] = []
        self.put(*checks)

    def put(self, *checks: Check) -> None:
        """Checks are new or changed."""
        for check in checks:
            place = check.namespace, check.node, check.id
            before, self.checks[place] = self.checks.get(place), check
            self.probing.take([CheckChange(before, check)], self.now, lambda: self.chance)

    def remove(self, name: str) -> None:
        """A check goes."""
        self.probing.take([CheckChange(self.checks.pop(key(name)), None)], self.now, lambda: self.chance)

    def deal(self, *mine: str) -> None:
        """From now on these are its share."""
        self.probing.share(lambda place: place[2] in mine, self.now, lambda: self.chance, self.checks.values())

    def wait(self, span_s: float) -> None:
        """Let time pass."""
        end = Instant(self.now + seconds(span_s))
        while (deadline := self.probing.deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            for place in self.probing.due(self.now, 3):
                self._probe(self.checks[place])
        self.now = end

    def _probe(self, check: Check) -> None:
        self.asked.append((round((self.now - self.start) / SECOND, 1), check.id))
        assert isinstance(check.definition, HttpCheck)
        report = self.ended(check, ProbeResult(self.result, ""))
        if report is not None:
            self.reports.append((report.target.id, report.status))
            self.put(lease(check.id, check.definition, report.status, check.nonce))

    def ended(self, check: Check, result: ProbeResult | None, nonce: str = "") -> ReportCheck | None:
        """A probe has ended."""
        assert isinstance(check.definition, HttpCheck)
        return self.probing.probed(check, check.definition, nonce or check.nonce, result, self.now, self.now)

    def seconds_of(self, name: str) -> list[float]:
        """When it was asked."""
        return [when for when, asked in self.asked if asked == name]


def http(name: str, interval_s: float = 10, status: Status = C, nonce: str = "r1", failures: int = 0, successes: int = 0) -> Check:
    """A probed check."""
    thresholds = Thresholds(successes, 0, failures)
    return lease(name, HttpCheck("http://x/", seconds(interval_s), thresholds=thresholds), status, nonce)


def test_the_first_probe_is_spread_over_the_interval_and_then_they_come_at_it() -> None:
    member = Prober(http("x"), chance=0.25)
    member.wait(30)
    assert member.seconds_of("x") == [2.5, 12.5, 22.5]


def test_the_first_result_of_a_new_check_counts() -> None:
    member = Prober(http("x", successes=3))
    member.wait(6)
    assert member.reports == [("x", P)]


def test_a_change_of_a_check_that_is_no_new_incarnation_keeps_its_streak_and_its_schedule() -> None:
    member = Prober(http("x", status=P, failures=3))
    member.wait(6)
    member.result = C
    member.wait(20)
    member.put(http("x", status=P, failures=3))
    member.wait(10)
    assert member.seconds_of("x") == [5, 15, 25, 35]
    assert member.reports == [("x", C)]


def test_a_new_incarnation_starts_afresh_and_a_check_that_is_probed_no_more_is_left_alone() -> None:
    member = Prober(http("x"), http("y"), http("z"))
    member.wait(6)
    member.put(http("x", nonce="r2"), lease("y", ManualCheck()))
    member.remove("z")
    member.wait(6)
    assert member.seconds_of("x") == [5, 11]
    member.wait(20)
    assert Counter(name for _, name in member.asked) == {"x": 4, "y": 1, "z": 1}
    assert len(member.probing) == 1


def test_a_result_of_another_incarnation_says_nothing_and_a_probe_nobody_could_make_comes_again() -> None:
    check = http("x")
    member = Prober(check)
    assert member.ended(check, ProbeResult(P, ""), nonce="r0") is None
    assert member.ended(check, None) is None
    member.wait(10.1)
    assert member.seconds_of("x") == [10], "an interval after the one that could not be made"


def test_no_more_are_due_than_are_asked_for_and_none_is_forgotten() -> None:
    probing = Probing(Duration(0))
    for number in range(10):
        probing.watch(None, http(f"c{number}"), Instant(0), lambda: 0.0)
    late = Instant(SECOND)
    assert [len(probing.due(late, limit)) for limit in (0, 4, 100)] == [0, 4, 6]
    assert probing.deadline() is None


def test_what_is_anothers_share_is_not_asked_and_costs_nothing() -> None:
    member = Prober()
    member.deal("x")
    member.put(http("x"), http("y"))
    member.wait(20)
    assert {name for _, name in member.asked} == {"x"}
    assert len(member.probing) == 1


def test_when_the_share_changes_what_stays_keeps_its_streak_and_its_schedule() -> None:
    member = Prober(http("x", status=P, failures=3), http("y"))
    member.result = C
    member.wait(16)
    member.deal("x")
    member.wait(10)
    assert member.seconds_of("x") == [5, 15, 25]
    assert ("x", C) in member.reports
    assert member.seconds_of("y") == [5, 15]


def test_what_is_taken_over_keeps_its_status_until_as_many_results_in_a_row_say_otherwise() -> None:
    member = Prober()
    member.deal()
    member.put(http("bad", status=P, failures=3), http("once", status=P, failures=1), http("none", status=P))
    member.result = C
    member.deal("bad", "once", "none")
    member.wait(16)
    assert sorted(member.reports) == [("none", C), ("once", C)]
    member.wait(10)
    assert member.reports[-1] == ("bad", C)
    assert member.seconds_of("bad") == [5, 15, 25]


def test_what_is_taken_over_well_again_needs_its_successes() -> None:
    member = Prober()
    member.deal()
    member.put(http("x", status=C, successes=2))
    member.deal("x")
    member.wait(6)
    assert member.reports == []
    member.wait(10)
    assert member.reports == [("x", P)]


def test_a_result_that_comes_after_its_check_was_dealt_to_another_says_nothing() -> None:
    check = http("x")
    member = Prober(check)
    member.deal()
    assert member.ended(check, ProbeResult(P, "")) is None
    assert member.probing.deadline() is None or member.probing.due(Instant(member.now + MINUTE), 10) == []


def test_what_is_taken_over_is_spread_over_its_interval() -> None:
    member = Prober(*(http(f"c{number}") for number in range(4)))
    member.deal()
    member.wait(100)
    member.chance = 0.75
    member.deal("c1")
    member.wait(8)
    assert member.seconds_of("c1") == [107.5]


def test_every_check_is_asked_by_exactly_one_member_whoever_comes_and_goes() -> None:
    checks = [http(f"c{number}") for number in range(60)]
    members = {name: Prober(*checks, name=name) for name in ("m1", "m2", "m3")}
    for present in (["m1"], ["m1", "m2", "m3"], ["m2", "m3"], ["m1", "m3"]):
        for name in present:
            member = members[name]
            mine = [check.id for check in checks if owner(check.id, present) == name]
            member.deal(*mine)
            member.asked.clear()
            member.wait(19.9)
        asked = Counter(check for name in present for check in {asked for _, asked in members[name].asked})
        assert set(asked.values()) == {1}
        assert len(asked) == 60
