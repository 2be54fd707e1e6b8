import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.balance.versions import COMPARATORS_MAX_COUNT, RANGE_MAX_CHARS, order_of, parse_range
from callboard.model.errors import InvalidError

WANTED: list[tuple[str, str, str]] = [
    # range, what it admits, what it does not
    ("1.4.2", "1.4.2 v1.4.2 1.4.2+build.7", "1.4.1 1.4.3 1.4.2-rc.1"),
    ("=1.4.2", "1.4.2", "1.4.3"),
    ("v1.4.2", "1.4.2", "1.4.3"),
    ("1.4.2+abc", "1.4.2 1.4.2+xyz", "1.4.3"),
    ("^1.2.3", "1.2.3 1.2.4 1.9.0", "1.2.2 2.0.0 0.9.0 1.3.0-rc.1 2.0.0-rc.1"),
    ("^1.2", "1.2.0 1.9.9", "1.1.9 2.0.0"),
    ("^1", "1.0.0 1.9.9", "0.9.9 2.0.0"),
    ("^1.x", "1.0.0 1.9.9", "0.9.9 2.0.0"),
    ("^0.2.3", "0.2.3 0.2.9", "0.2.2 0.3.0 1.0.0"),
    ("^0.2", "0.2.0 0.2.9", "0.1.9 0.3.0"),
    ("^0.0.3", "0.0.3", "0.0.2 0.0.4 0.1.0"),
    ("^0.0", "0.0.0 0.0.9", "0.1.0"),
    ("^0", "0.0.0 0.9.9", "1.0.0"),
    ("^0.0.x", "0.0.0 0.0.9", "0.1.0"),
    ("^*", "0.0.0 9.0.0", "1.0.0-rc.1"),
    ("^1.2.3-beta.2", "1.2.3-beta.2 1.2.3-beta.10 1.2.3 1.9.0", "1.2.3-beta.1 1.2.3-alpha 1.2.4-beta.3 2.0.0-alpha"),
    ("~1.2.3", "1.2.3 1.2.9", "1.2.2 1.3.0"),
    ("~1.2", "1.2.0 1.2.9", "1.1.9 1.3.0"),
    ("~1", "1.0.0 1.9.9", "0.9.9 2.0.0"),
    ("~0.2.3", "0.2.3 0.2.9", "0.3.0"),
    ("2.x", "2.0.0 2.9.9", "1.9.9 3.0.0 2.1.0-rc.1"),
    ("2", "2.0.0 2.9.9", "1.9.9 3.0.0"),
    ("2.1.*", "2.1.0 2.1.9", "2.0.9 2.2.0"),
    ("2.1", "2.1.0 2.1.9", "2.0.9 2.2.0"),
    ("2.X.x", "2.0.0 2.9.9", "3.0.0"),
    ("*", "0.0.0 1.0.0 99.1.2", "1.0.0-rc.1"),
    ("x", "0.0.0 1.0.0", "1.0.0-rc.1"),
    (">=2,<3", "2.0.0 2.9.9", "1.9.9 3.0.0 3.0.0-rc.1 2.1.0-rc.1"),
    (">=2 <3", "2.0.0 2.9.9", "1.9.9 3.0.0"),
    (">= 2 , < 3", "2.0.0 2.9.9", "1.9.9 3.0.0"),
    (" >=2.1.0,<2.3.0 ", "2.1.0 2.2.9", "2.3.0"),
    (">2", "3.0.0", "2.0.0 2.9.9"),
    (">2.1", "2.2.0", "2.1.9"),
    (">2.1.3", "2.1.4", "2.1.3"),
    ("<=2", "2.9.9 1.0.0", "3.0.0"),
    ("<=2.1", "2.1.9", "2.2.0"),
    ("<=2.1.3", "2.1.3", "2.1.4"),
    ("<2", "1.9.9", "2.0.0 2.0.0-rc.1"),
    ("<2.0.0", "1.9.9", "2.0.0 2.0.0-rc.1"),
    (">=2.2.0-rc.1", "2.2.0-rc.1 2.2.0-rc.2 2.2.0 3.0.0", "2.2.0-beta 2.3.0-rc.1"),
    (">=2.0.0-alpha <2.0.0", "2.0.0-alpha 2.0.0-rc.1", "2.0.0 1.9.9"),
    ("1.0.0-rc.1", "1.0.0-rc.1 1.0.0-rc.1+b", "1.0.0 1.0.0-rc.2"),
    (">=1.x", "1.0.0 2.0.0", "0.9.0"),
    ("^2.1, <2.5", "2.1.0 2.4.9", "2.5.0 2.0.0"),
    ("^2.1", "v2.1.0 V2.2.0 2.2 2.9.0+build", "2 dev 2.1.0.1 02.1.0 latest"),
]
INVALID = [
    "", " ", ",", ">=2,", ",>=2", ">=2,,<3", ">>2", "=>2", "!=2", "1.2.3.4", "01.2.3", "1.02.3", "x.2", "1.x.3", "1.x-rc", "1.2-rc.1",
    "latest", "^", ">*", "<*", "1.2.3-", "1.2.3-rc..1", "1.2.3-01", "^1 || ^2", "1.2.3 - 2.0.0", "> =2", "\u0661.2.3", "1.2.3\n",
    "99999999999999999.0.0",
]  # fmt: skip

numbers = st.integers(0, 12)
triples = st.tuples(numbers, numbers, numbers)
words = st.lists(
    st.one_of(numbers.map(str), st.text("abc-XYZ019", min_size=1, max_size=3).filter(lambda word: not word.isdigit())), max_size=3
)
tails = words.map(".".join)
operators = st.sampled_from(["", "=", "^", "~", ">", ">=", "<", "<="])


@st.composite
def versions(draw: st.DrawFn) -> str:
    text = ".".join(map(str, draw(triples)))
    pre = draw(tails)
    return f"{text}-{pre}" if pre else text


def spell(version: tuple[int, int, int]) -> str:
    return ".".join(map(str, version))


@pytest.mark.parametrize(("wanted", "admits", "refuses"), WANTED, ids=[row[0] for row in WANTED])
def test_ranges(wanted: str, admits: str, refuses: str) -> None:
    asked = parse_range(wanted)
    assert [version for version in admits.split() if not asked.matches(version)] == []
    assert [version for version in refuses.split() if asked.matches(version)] == []


@pytest.mark.parametrize("text", INVALID)
def test_what_is_no_range_is_told_with_the_field_and_what_is_allowed(text: str) -> None:
    with pytest.raises(InvalidError, match=r"\^2\.1") as caught:
        parse_range(text)
    assert caught.value.field == "version"


def test_another_field_is_named() -> None:
    with pytest.raises(InvalidError) as caught:
        parse_range("nonsense", "fallback")
    assert caught.value.field == "fallback"


def test_long_ranges_are_refused() -> None:
    parse_range(" ".join([">=1"] * COMPARATORS_MAX_COUNT))
    with pytest.raises(InvalidError, match="at most 16 comparators"):
        parse_range(" ".join([">=1"] * (COMPARATORS_MAX_COUNT + 1)))
    with pytest.raises(InvalidError, match="at most 256 characters"):
        parse_range("1" * (RANGE_MAX_CHARS + 1))


@pytest.mark.parametrize("version", ["", "dev", "1.2.3.4", "1.2.3-", "1" * 300, "\u0661.2.3", "1.2.3 beta", "latest"])
def test_what_is_no_version_matches_nothing(version: str) -> None:
    assert order_of(version) is None
    assert not parse_range("*").matches(version)


def test_versions_sort_as_the_specification_says() -> None:
    ascending = "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.1 1.2.0 1.10.0 2.0.0"
    orders = [order_of(version) for version in ascending.split()]
    assert None not in orders
    assert sorted(orders) == orders  # type: ignore[type-var]  # none of them is None


@given(triples, versions())
def test_a_caret_is_at_least_this_and_below_the_next_change_of_its_first_number(bound: tuple[int, int, int], version: str) -> None:
    major, minor, patch = bound
    above = f"{major + 1}.0.0" if major else f"0.{minor + 1}.0" if minor else f"0.0.{patch + 1}"
    assert parse_range(f"^{spell(bound)}").matches(version) == parse_range(f">={spell(bound)}, <{above}").matches(version)


@given(triples, versions())
def test_a_tilde_is_at_least_this_and_below_the_next_minor(bound: tuple[int, int, int], version: str) -> None:
    plain = parse_range(f">={spell(bound)} <{bound[0]}.{bound[1] + 1}.0")
    assert parse_range(f"~{spell(bound)}").matches(version) == plain.matches(version)


@given(versions(), versions(), st.text("abc019-", min_size=1, max_size=4))
def test_an_exact_version_matches_itself_alone_whatever_its_build(one: str, other: str, build: str) -> None:
    asked = parse_range(one)
    assert asked.matches(one)
    assert asked.matches(f"{one}+{build}")
    assert asked.matches(other) == (order_of(one) == order_of(other))


@given(st.lists(st.tuples(operators, triples), min_size=1, max_size=4), versions())
def test_a_range_is_all_its_parts(parts: list[tuple[str, tuple[int, int, int]]], version: str) -> None:
    written = [sign + spell(bound) for sign, bound in parts]
    released = version.partition("-")[0]
    alone = [parse_range(part).matches(released) for part in written]
    assert parse_range(",".join(written)).matches(released) == all(alone)
    assert parse_range(" ".join(written)).comparators == parse_range(" , ".join(written)).comparators


@given(st.lists(st.tuples(operators, triples), min_size=1, max_size=4), versions())
def test_no_pre_release_comes_unasked(parts: list[tuple[str, tuple[int, int, int]]], version: str) -> None:
    if "-" in version:
        assert not parse_range(" ".join(sign + spell(bound) for sign, bound in parts)).matches(version)


@given(st.text(max_size=30))
def test_any_text_is_a_range_or_refused(text: str) -> None:
    try:
        asked = parse_range(text)
    except InvalidError:
        return
    assert asked.text == text
