"""Go's durations and truth values, as Consul clients write and read them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.model.errors import InvalidError
from callboard.wire.consul_go import DURATION_MAX, format_duration, parse_bool, parse_duration, quote


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("10s", 10_000_000_000), ("1h2m3.5s", 3_723_500_000_000), ("100ms", 100_000_000), ("0", 0), ("+5s", 5_000_000_000), ("-1.5h",
        -5_400_000_000_000),
        (".5s", 500_000_000), ("1.s", 1_000_000_000), ("1us", 1_000), ("1\u00b5s", 1_000), ("1\u03bcs", 1_000), ("7ns", 7), ("120000ms",
        120_000_000_000),
        ("0s", 0), ("1m1m", 120_000_000_000), ("0.000000001s", 1),
    ],
)  # fmt: skip
def test_durations_mean_what_go_says(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@given(st.integers(0, DURATION_MAX // 3_600_000_000_000), st.sampled_from("hms"))
def test_a_plain_duration_means_what_it_means_with_a_sign(whole: int, unit: str) -> None:
    assert parse_duration(f"{whole}{unit}") == parse_duration(f"+{whole}{unit}")


@pytest.mark.parametrize(
    "text", ["", "s", "10", "1x", "+", "-", ".s", "1 s", "s1", "1s ", "9" * 70 + "s", "300000000000h", "1..5s", "1e3s", "\u0665s"]
)
def test_what_go_refuses_is_invalid(text: str) -> None:
    with pytest.raises(InvalidError, match="time: "):
        parse_duration(text)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"), (1, "1ns"), (1_500, "1.5\u00b5s"), (100_000_000, "100ms"), (10_000_000_000, "10s"), (1_500_000_000, "1.5s"),
        (60_000_000_000, "1m0s"),
        (3_600_000_000_000, "1h0m0s"), (3_723_500_000_000, "1h2m3.5s"), (-1_000_000_000, "-1s"),
    ],
)  # fmt: skip
def test_durations_are_written_as_go_does(nanoseconds: int, text: str) -> None:
    assert format_duration(nanoseconds) == text


@given(st.integers(-DURATION_MAX, DURATION_MAX))
def test_a_duration_survives_being_written_and_read(nanoseconds: int) -> None:
    assert parse_duration(format_duration(nanoseconds)) == nanoseconds


@given(st.text(max_size=80) | st.text("0123456789.+-hmsnu\u00b5", max_size=80))
def test_any_text_is_a_duration_or_invalid(text: str) -> None:
    with contextlib.suppress(InvalidError):
        assert abs(parse_duration(text)) <= DURATION_MAX


def test_truth_values_are_those_of_go() -> None:
    assert [parse_bool(text) for text in ("1", "t", "True", "0", "FALSE", "yes", "")] == [True, True, True, False, False, None, None]


def test_quoted_text_keeps_its_ends() -> None:
    assert quote('a"b\\c') == '"a\\"b\\\\c"'
