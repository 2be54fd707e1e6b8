import click
import pytest

from callboard.cli.values import duration_ms, pairs

CONTEXT = click.Context(click.Command("x"))
OPTION = click.Option(["--x"])


@pytest.mark.parametrize(
    ("text", "value"), [("500ms", 500), ("10s", 10_000), ("10", 10_000), ("1.5m", 90_000), ("2h", 7_200_000), ("0.001s", 1)]
)
def test_durations_as_people_write_them(text: str, value: int) -> None:
    assert duration_ms(CONTEXT, OPTION, text) == value


@pytest.mark.parametrize("text", ["", "0", "0.4ms", "-1s", "1d", "s", "1 s", "\u0661s", "1e3", "9" * 20])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write for example 500ms"):
        duration_ms(CONTEXT, OPTION, text)


def test_a_duration_that_is_not_said_is_0() -> None:
    assert duration_ms(CONTEXT, OPTION, None) == 0


def test_pairs_are_cut_at_the_first_equals_sign() -> None:
    assert pairs(CONTEXT, OPTION, ("a=b", "c=d=e", "f=")) == {"a": "b", "c": "d=e", "f": ""}
    for wrong in ("a", "=b", ""):
        with pytest.raises(click.BadParameter, match="KEY=VALUE"):
            pairs(CONTEXT, OPTION, (wrong,))
