import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.cli.output import plain, table


def test_columns_are_aligned_and_lines_have_no_blanks_at_their_end() -> None:
    assert table([["NAME", "TAGS"], ["web", "a,b"], ["orders", "-"]], colour=False) == ["NAME    TAGS", "web     a,b", "orders  -"]
    assert table([["a", "b"]], colour=False, widths=[4, 9]) == ["a     b"]


def test_words_of_health_have_a_colour_that_takes_no_room() -> None:
    lines = [["STATUS", "X"], ["passing", "1"], ["critical", "2"]]
    plain_lines = table(lines, colour=False)
    coloured = table(lines, colour=True)
    assert coloured[1] == "\x1b[32mpassing \x1b[0m  1"
    assert coloured[2] == "\x1b[31mcritical\x1b[0m  2"
    assert coloured[0] == plain_lines[0]


@given(st.text())
def test_what_a_service_says_cannot_steer_a_terminal(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable()
    assert shown


@pytest.mark.parametrize(("text", "shown"), [("", "-"), ("a\nb", "a b"), ("\x1b[31mred", " [31mred"), ("ä", "ä")])
def test_control_characters_become_blanks(text: str, shown: str) -> None:
    assert plain(text) == shown
