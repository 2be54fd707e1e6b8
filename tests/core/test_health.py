import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.core.health import ProbeResult, Streak, judge
from callboard.model.check import Check, HttpCheck, Status, Thresholds
from callboard.model.time import MINUTE, SECOND, Duration, Instant

P, W, C = Status.PASSING, Status.WARNING, Status.CRITICAL
HOLD = Duration(5 * MINUTE)


def probed(thresholds: Thresholds, results: list[Status], start: Status = C, output_max_bytes: int = 4096) -> list[Status]:
    """The status of a check after each of these results, asked once a second."""
    definition = HttpCheck("http://x/", SECOND, thresholds=thresholds, output_max_bytes=output_max_bytes)
    streak = Streak.fresh("nonce", thresholds, Instant(0))
    status, out = start, []
    for second, result in enumerate(results):
        check = Check(namespace="public", node="n", id="c", definition=definition, status=status, nonce="nonce", output=status)
        news = judge(streak, check, definition, ProbeResult(result, result), Instant(second * SECOND), HOLD)
        status = news.status if news is not None else status
        out.append(status)
    return out


@pytest.mark.parametrize(
    ("thresholds", "results", "expected"),
    [
        (Thresholds(), [P, C, W, P], [P, C, W, P]),
        (Thresholds(failures_before_critical=3), [P, C, C, C, P], [P, P, P, C, P]),
        (Thresholds(failures_before_critical=3), [C, P, C, C, P], [C, P, P, P, P]),
        (Thresholds(failures_before_warning=2, failures_before_critical=4), [P, C, C, C, C], [P, P, W, W, C]),
        (Thresholds(success_before_passing=3), [C, P, P, P, C], [C, C, C, P, C]),
        (Thresholds(success_before_passing=2), [C, W, W], [C, C, W]),
        (Thresholds(success_before_passing=3), [P], [P]),
        (Thresholds(success_before_passing=2, failures_before_critical=2), [C, P, C, P, P, C, P], [C, C, C, C, P, P, P]),
    ],
)
def test_thresholds_count_results_in_a_row_and_the_first_result_counts(
    thresholds: Thresholds, results: list[Status], expected: list[Status]
) -> None:
    assert probed(thresholds, results) == expected


@given(st.lists(st.sampled_from([P, W, C]), max_size=30), st.integers(0, 4), st.integers(0, 4))
def test_a_turn_to_critical_needs_as_many_failures_in_a_row_as_were_asked_for(results: list[Status], good: int, bad: int) -> None:
    statuses = [C, *probed(Thresholds(success_before_passing=good, failures_before_critical=bad), results)]
    for place in range(1, len(results)):
        before, after = statuses[place], statuses[place + 1]
        if before is not C and after is C:
            assert results[place + 1 - max(bad, 1) : place + 1] == [C] * max(bad, 1)
        if before is C and after is not C and place >= good:
            assert C not in results[place + 1 - max(good, 1) : place + 1]


def at(second: int, streak: Streak, check: Check, text: str) -> ProbeResult | None:
    assert isinstance(check.definition, HttpCheck)
    return judge(streak, check, check.definition, ProbeResult(P, text), Instant(second * SECOND), HOLD)


def test_a_new_output_without_a_turn_is_written_at_once_when_there_is_none_and_then_held() -> None:
    definition = HttpCheck("http://x/", SECOND)
    streak = Streak.fresh("nonce", definition.thresholds, Instant(0))
    silent = Check(namespace="public", node="n", id="c", definition=definition, status=P, nonce="nonce")
    assert at(1, streak, silent, "first") == ProbeResult(P, "first")
    told = Check(namespace="public", node="n", id="c", definition=definition, status=P, nonce="nonce", output="first")
    assert at(2, streak, told, "second") is None
    assert at(2, streak, told, "first") is None
    assert at(302, streak, told, "third") == ProbeResult(P, "third")


def test_an_output_is_cut_to_the_limit_of_its_check_and_says_so() -> None:
    definition = HttpCheck("http://x/", SECOND, output_max_bytes=10)
    check = Check(namespace="public", node="n", id="c", definition=definition, status=C, nonce="nonce")
    news = judge(Streak.fresh("nonce", Thresholds(), Instant(0)), check, definition, ProbeResult(P, "x" * 5000), Instant(0), HOLD)
    assert news == ProbeResult(P, "xxxxxxxxxx ... (captured 10 of 5000 bytes)")
