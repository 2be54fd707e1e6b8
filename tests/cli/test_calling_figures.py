from hypothesis import given
from hypothesis import strategies as st

from callboard.cli.calling.tally import Called, Tried, report

TRIES = st.builds(
    Tried, st.sampled_from(["n/a", "n/b", "n/c"]), st.just("10.0.0.1:80"), st.sampled_from([0, 200, 404, 503]), st.integers(0, 10**10)
)
CALLS = st.lists(st.builds(Called, st.lists(TRIES, max_size=3).map(tuple), st.integers(0, 10**10), st.sampled_from(["", "status 503"])))


@given(CALLS)
def test_every_call_and_every_attempt_is_counted_once(calls: list[Called]) -> None:
    told = report("web", "GET", "/", calls)
    assert (told.total.calls, told.total.failed) == (len(calls), sum(call.reason != "" for call in calls))
    assert sum(of.calls for of in told.instances) == sum(len(call.tries) for call in calls)
    assert sum(of.failed for of in told.instances) == sum(tried.status != 200 for call in calls for tried in call.tries)
    assert sum(told.reasons.values()) == told.total.failed
    assert told.retried == sum(len(call.tries) > 1 for call in calls)
    for of in (*told.instances, told.total):
        assert 0 <= of.p50_ms <= of.p99_ms <= of.max_ms


def test_quantiles_are_values_that_were_measured() -> None:
    calls = [Called((Tried("n/a", "10.0.0.1:80", 200, ms * 1_000_000),), ms * 1_000_000) for ms in range(1, 101)]
    (of,) = report("web", "GET", "/", calls).instances
    assert (of.p50_ms, of.p99_ms, of.max_ms) == (50.0, 99.0, 100.0)
    (one,) = report("web", "GET", "/", calls[:1]).instances
    assert (one.p50_ms, one.p99_ms, one.max_ms) == (1.0, 1.0, 1.0)
    assert report("web", "GET", "/", []).total.max_ms == 0.0
