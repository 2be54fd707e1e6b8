"""The filter language: what is a sentence of it, where an error is, that printing and reading agree, and that no text costs much."""

import contextlib
import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from callboard.model.errors import InvalidError
from callboard.model.filter import And, Expression, Match, Not, Operator, Or
from callboard.wire.bexpr import DEPTH_MAX_COUNT, MATCHES_MAX_COUNT, SELECTOR_MAX_COUNT, TEXT_MAX_BYTES, parse, write
from callboard.wire.bexpr_strings import quote, unquote
from tests.wire.bexpr_cases import SYNTAX, Case, cases

CPU_MAX_S = 5.0
"""A hundred times the aim of 50 ms, for machines that are busy or slow."""


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.verdict} {case.text}")
def test_a_text_is_an_expression_or_not(case: Case) -> None:
    if case.verdict == SYNTAX:
        with pytest.raises(InvalidError, match=r"^\d+:\d+ \(\d+\): "):
            parse(case.text)
    else:
        assert parse(write(parse(case.text))) == parse(case.text)


def test_the_table_is_large_and_says_nothing_twice() -> None:
    texts = [case.text for case in cases()]
    assert len(texts) >= 300
    assert len(set(texts)) == len(texts)


def test_and_binds_closer_than_or_and_not_closest() -> None:
    a, b, c = (Match((name,), Operator.EQUAL, "1") for name in "abc")
    assert parse("a == 1 or b == 1 and not c == 1") == Or((a, And((b, Not(c)))))
    assert parse("(a == 1 or b == 1) and c == 1") == And((Or((a, b)), c))
    assert parse("a == 1 and b == 1 and c == 1") == And((a, b, c))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Name == web and", "1:16 (15): no match found"),
        ("Name = web", "1:6 (5): no match found"),
        ("Name == web\nand Port =< 1", "2:10 (21): no match found"),
        ("Näme == web", "1:2 (1): no match found"),
        ("x == é", "1:6 (5): no match found"),
        ("(Name == web", '1:13 (12): rule "grouping": Unmatched parentheses'),
        ("a == 1 and Meta[env] == x", '1:17 (16): rule "index": Invalid index'),
        ('Meta["env" == x', '1:12 (11): rule "index": Unclosed index expression'),
        ("Port == 8x", '1:10 (9): rule "number": Invalid number literal'),
        ('"a" in 5', '1:8 (7): rule "match": Invalid selector'),
        ('Name == "web', '1:13 (12): rule "string": Unterminated string literal'),
        (r'Name == "\q"', '1:9 (8): rule "string": invalid syntax'),
    ],
)
def test_an_error_says_where_it_is(text: str, said: str) -> None:
    with pytest.raises(InvalidError) as told:
        parse(text)
    assert str(told.value).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("(" * (DEPTH_MAX_COUNT + 1) + "a == 1", f"more than {DEPTH_MAX_COUNT} parentheses"),
        ("not " * (DEPTH_MAX_COUNT + 1) + "a == 1", f"more than {DEPTH_MAX_COUNT} parentheses"),
        ("not (" * (DEPTH_MAX_COUNT // 2 + 1) + "a == 1", f"more than {DEPTH_MAX_COUNT} parentheses"),
        (" or ".join(["a == 1"] * (MATCHES_MAX_COUNT + 1)), f"more than {MATCHES_MAX_COUNT} match expressions"),
        (".".join("a" * (SELECTOR_MAX_COUNT + 1)) + " == 1", f"more than {SELECTOR_MAX_COUNT} names"),
        ("a" + '["a"]' * SELECTOR_MAX_COUNT + " == 1", f"more than {SELECTOR_MAX_COUNT} names"),
        ("a" * (TEXT_MAX_BYTES + 1), f"has {TEXT_MAX_BYTES + 1} bytes, and may have at most {TEXT_MAX_BYTES}"),
        ("é" * TEXT_MAX_BYTES, f"has {2 * TEXT_MAX_BYTES} bytes"),
    ],
)
def test_what_is_beyond_a_limit_is_refused_with_the_limit(text: str, said: str) -> None:
    with pytest.raises(InvalidError) as told:
        parse(text)
    assert said in str(told.value)


def test_what_is_just_within_the_limits_is_read() -> None:
    parse("(" * DEPTH_MAX_COUNT + "a == 1" + ")" * DEPTH_MAX_COUNT)
    parse("not " * DEPTH_MAX_COUNT + "a == 1")
    assert len(parse(" or ".join(["a == 1"] * MATCHES_MAX_COUNT)).operands) == MATCHES_MAX_COUNT  # type: ignore[union-attr]
    assert len(parse(".".join("a" * SELECTOR_MAX_COUNT) + " == 1").selector) == SELECTOR_MAX_COUNT  # type: ignore[union-attr]


# -- properties

names = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,5}", fullmatch=True) | st.sampled_from(
    ["in", "is", "and", "or", "empty", "contains", "matches"]
)
values = st.text(max_size=8) | st.text('"`\\\n\r\x00\xff\udc80a', max_size=6)
selectors = st.builds(lambda first, rest: (first, *rest), names.filter(lambda name: name != "not"), st.lists(names | values, max_size=3))
asking = st.sampled_from([operator for operator in Operator if operator not in {Operator.IS_EMPTY, Operator.IS_NOT_EMPTY}])
matches = st.builds(Match, selectors, asking, values) | st.builds(
    Match, selectors, st.sampled_from([Operator.IS_EMPTY, Operator.IS_NOT_EMPTY])
)
expressions: st.SearchStrategy[Expression] = st.recursive(
    matches,
    lambda inner: (
        st.builds(Not, inner.filter(lambda operand: not isinstance(operand, Not)))
        | st.builds(And, st.lists(inner, min_size=2, max_size=4).map(tuple))
        | st.builds(Or, st.lists(inner, min_size=2, max_size=4).map(tuple))
    ),
    max_leaves=12,
)


@given(expressions)
def test_what_is_written_is_read_as_the_same(expression: Expression) -> None:
    assert parse(write(expression)) == expression


@given(st.text() | st.text("\udc80\udcff\\\"'\n"))
def test_a_quoted_text_is_that_text(value: str) -> None:
    if not any("\ud800" <= char <= "\udfff" and not "\udc80" <= char <= "\udcff" for char in value):
        assert unquote(quote(value)) == value.encode(errors="surrogateescape").decode(errors="surrogateescape")


WORDS = [
    "not", "and", "or", "in", "is", "empty", "contains", "matches", "==", "!=", "(", ")", "[", "]", '"', "`", '"a"', "a", "b.c", "1", "-",
    "\\", " ", "\n", "é",
]  # fmt: skip


@given(
    st.text(max_size=64)
    | st.lists(st.sampled_from(WORDS), max_size=24).map(" ".join)
    | st.lists(st.sampled_from(WORDS), max_size=24).map("".join)
)
@settings(max_examples=400)
@example("not not not")
@example("(not (not (a == 1) and not in b) or c is empty)")
def test_any_text_is_an_expression_or_an_error_with_a_place(text: str) -> None:
    said = ""
    try:
        expression = parse(text)
    except InvalidError as error:
        said = str(error)
    else:
        assert "not" in text or parse(write(expression)) == expression
    assert not said or re.match(r"\d+:\d+ \(\d+\): .", said)


HOSTILE = [
    "(", ")", "not ", "not(", "a == 1 or ", "a == 1 and ", "a.", 'a["x"]', '"', "`", " ", "\n", "a", "1", "-", "((a == 1) or ",
    "not in not ", "a contains ", "a not ", "is not empty ", "\\", '"\\', '"\\x41" in a or ', "a[", "a[ ", "é", "a matches b or ",
    "a is empty and not ", "]", "(a == 1) ", "not a is ", "in in in ", "or ", "and or ", "== ", "1.", "a==a",
]  # fmt: skip


@pytest.mark.parametrize("part", HOSTILE)
@pytest.mark.parametrize("before", ["", "(", "not ", "a == 1 and (", '"'])
def test_no_text_of_64_kib_costs_much(part: str, before: str) -> None:
    text = (before + part * TEXT_MAX_BYTES)[:TEXT_MAX_BYTES]
    text = text.encode()[:TEXT_MAX_BYTES].decode(errors="ignore")
    begin = time.thread_time()
    with contextlib.suppress(InvalidError):
        parse(text)
    assert time.thread_time() - begin < CPU_MAX_S


@given(st.lists(st.sampled_from(WORDS + HOSTILE), min_size=1, max_size=8), st.sampled_from(["", " "]))
@settings(max_examples=60, deadline=None)
def test_no_repeated_text_of_64_kib_costs_much(parts: list[str], between: str) -> None:
    part = between.join(parts) + between
    text = (part * (TEXT_MAX_BYTES // len(part) + 1)).encode()[:TEXT_MAX_BYTES].decode(errors="ignore")
    begin = time.thread_time()
    with contextlib.suppress(InvalidError):
        parse(text)
    assert time.thread_time() - begin < CPU_MAX_S
