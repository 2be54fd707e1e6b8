from callboard.model.time import HOUR, MILLISECOND, MINUTE, SECOND, Instant, later, seconds


def test_spans_are_whole_nanoseconds() -> None:
    assert (seconds(0.001), seconds(1.5), seconds(0)) == (MILLISECOND, 1_500 * MILLISECOND, 0)
    assert (MINUTE, HOUR) == (60 * SECOND, 3_600 * SECOND)
    assert later(Instant(5), SECOND) == 1_000_000_005
