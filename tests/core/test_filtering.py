"""Filter expressions against fields: the table of verdicts, and that nothing a caller writes costs much."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.core.filter_values import parse_integer
from callboard.core.filtering import PATTERN_MAX_CHARS, PATTERN_MAX_INSTRUCTIONS, PATTERNS_MAX_COUNT, STEPS_MAX_COUNT, compile_filter
from callboard.model.errors import InvalidError
from callboard.model.filter import And, Expression, Match, Not, Operator, Or
from callboard.wire.bexpr import parse
from tests.core.filter_item import ITEM, RECORD
from tests.wire.bexpr_cases import ERRORS, SYNTAX, Case, cases

CASES = [case for case in cases() if case.verdict != SYNTAX]


def keeps(text: str, item: object = ITEM) -> bool:
    return compile_filter(parse(text), RECORD)(item)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.verdict} {case.text}")
def test_an_expression_has_its_verdict(case: Case) -> None:
    if case.verdict in ERRORS:
        with pytest.raises(InvalidError, match=ERRORS[case.verdict]):
            keeps(case.text)
    else:
        assert keeps(case.text) is (case.verdict == "T")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Nope == 1", 'Selector "Nope" is not valid'),
        ("Inner.Meta.k.x.y == 1", 'Selector "Inner.Meta.k.x" is not valid'),
        ("Tags == v1", 'Invalid match operator "Equal" for selector "Tags"'),
        ("Meta.env is not empty", 'Invalid match operator "Is Not Empty" for selector "Meta.env"'),
        ("Port not matches x", 'Invalid match operator "Not Matches" for selector "Port"'),
        ("x in Port", 'Invalid match operator "In" for selector "Port"'),
        ("Port == x", 'Failed to coerce value "x" for selector "Port": strconv.ParseInt: parsing "x": invalid syntax'),
        ("Small == 256", 'Failed to coerce value "256" for selector "Small": strconv.ParseUint: parsing "256": value out of range'),
        ("On == yes", 'Failed to coerce value "yes" for selector "On": strconv.ParseBool: parsing "yes": invalid syntax'),
        ('Name matches "("', 'Failed to compile regular expression "(": error parsing regexp: missing ): ('),
        (r'Name matches "\xff"', r'Failed to compile regular expression "\udcff": error parsing regexp: invalid UTF-8'),
    ],
)
def test_an_error_names_what_is_wrong_in_consuls_words(text: str, said: str) -> None:
    with pytest.raises(InvalidError) as told:
        keeps(text)
    assert str(told.value) == said


def test_every_operator_says_the_opposite_of_its_opposite_where_the_field_is_there() -> None:
    for positive, negative in [("==", "!="), ("matches", "not matches")]:
        for value in ("web", "x"):
            assert keeps(f"Name {positive} {value}") is not keeps(f"Name {negative} {value}")


def test_what_a_pattern_may_cost_is_bounded() -> None:
    for pattern, said in [
        ("x" * (PATTERN_MAX_CHARS + 1), f"may have at most {PATTERN_MAX_CHARS}"),
        (r"(\pL{100}){10}", "pattern too large|may have at most"),
        (r"\pL{30}", f"may have at most {PATTERN_MAX_INSTRUCTIONS}"),
    ]:
        with pytest.raises(InvalidError, match=said):
            compile_filter(Match(("Name",), Operator.MATCHES, pattern), RECORD)
    many = Or(tuple(Not(And((Match(("Name",), Operator.MATCHES, "a"), Match(("Port",), Operator.EQUAL, "1")))) for _ in range(40)))
    with pytest.raises(InvalidError, match=f"40 regular expressions, and may have at most {PATTERNS_MAX_COUNT}"):
        compile_filter(many, RECORD)


@pytest.mark.parametrize("pattern", ["(a*)*b", "(a|a)*b", "(a|aa)+$", "(.*)*(.*)*(.*)*x", "(?:a?){50}a{50}", "([a-z]+)+[0-9]"])
def test_hostile_patterns_take_linear_time(pattern: str) -> None:
    test = compile_filter(Match(("Name",), Operator.MATCHES, pattern), RECORD)
    begin = time.thread_time()
    for _ in range(10):
        test({"Name": "a" * 65_536})
    assert time.thread_time() - begin < 10.0


@given(st.text("0123456789xXbBoO_+-aF", max_size=8))
def test_an_integer_is_read_as_python_reads_its_own_literals(text: str) -> None:
    """Go's rules differ from Python's in one thing: a leading zero means base 8."""
    number = parse_integer(text)
    plain = text.lstrip("+-") if text[:1] in {"+", "-"} and text[1:2] not in {"+", "-"} else text
    octal = plain[:1] == "0" and len(plain) > 1 and plain[1:2].lower() not in {"x", "b", "o"}
    try:
        wanted: int | None = int(f"0o{plain[1:]}", 0) if octal else int(plain, 0)
    except ValueError:
        wanted = None
    if plain[:1] in {"+", "-"}:
        wanted = None
    assert number == (-wanted if wanted is not None and text[:1] == "-" else wanted)


WEB, NO = Match(("Name",), Operator.EQUAL, "web"), Match(("Name",), Operator.EQUAL, "no")
ABSENT = Match(("NoMeta", "a"), Operator.MATCHES, "a")
expressions: st.SearchStrategy[Expression] = st.recursive(
    st.sampled_from([WEB, NO, ABSENT]),
    lambda inner: st.builds(Not, inner) | st.builds(And, st.tuples(inner, inner)) | st.builds(Or, st.tuples(inner, inner, inner)),
)


@given(expressions)
def test_words_between_matches_mean_what_they_mean_in_python(expression: Expression) -> None:
    def meant(part: Expression) -> bool:
        match part:
            case Match(value=value):
                return value != "no"
            case Not(operand=operand):
                return not meant(operand)
            case And(operands=operands):
                return all(map(meant, operands))
            case Or(operands=operands):
                return any(map(meant, operands))

    assert compile_filter(expression, RECORD)(ITEM) is meant(expression)


def test_what_a_filter_may_cost_over_all_items_is_bounded() -> None:
    item, left = ITEM | {"Name": "ab" * 2_000}, STEPS_MAX_COUNT
    heavy = compile_filter(parse("Name matches `((a?){30}){30}c`"), RECORD)
    for _ in range(STEPS_MAX_COUNT // (1_810 * 4_010)):
        kept, left = heavy.judge(item, left)
        assert not kept
    with pytest.raises(InvalidError, match="costs too much"):
        heavy.judge(item, left)
    many = compile_filter(parse(" or ".join(["Name matches `((a?){30}){30}c`"] * 10)), RECORD)
    assert not many(item)
    with pytest.raises(InvalidError, match="costs too much"):
        many(item | {"Name": "ab" * 4_000})


@pytest.mark.parametrize("expression", ["Name == web", "Name matches `^w` and Long matches `fox$`", "Tags contains v1 or Inners.Name == a"])
def test_ten_thousand_usual_items_are_no_trouble(expression: str) -> None:
    usual, left = compile_filter(parse(expression), RECORD), STEPS_MAX_COUNT
    for _ in range(10_000):
        kept, left = usual.judge(ITEM, left)
        assert kept
    assert left > STEPS_MAX_COUNT * 0.9


def test_many_matches_cost_too() -> None:
    left = STEPS_MAX_COUNT
    many = compile_filter(parse(" or ".join(["Name == a"] * 512)), RECORD)
    assert not many(ITEM)
    for _ in range(1_000):
        _, left = many.judge(ITEM, left)
    assert left < STEPS_MAX_COUNT * 0.9


def test_long_lists_cost_by_their_length() -> None:
    item, left = ITEM | {"Inners": [{"Name": "a"}] * 1_000}, STEPS_MAX_COUNT
    long = compile_filter(parse("Inners.Name == b"), RECORD)
    for _ in range(10):
        kept, left = long.judge(item, left)
        assert not kept
    assert left < STEPS_MAX_COUNT - 10 * 1_000
