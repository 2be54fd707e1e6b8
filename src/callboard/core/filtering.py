"""What a filter expression means: compiled once against the fields that a kind of item has, then asked of every item.

The rules are those of Consul's bexpr: a selector that goes through a list means any of its items (so it is false of an empty one, also
with `!=`), and of a key that a map does not have only `==`, `in` and `is not empty` are false. A compiled filter lives as long as the
question it belongs to, or longer where somebody keeps it. What one may cost is bounded: so many regular expressions, each of so many
instructions, in linear time; and in all, over the items of an answer, so many steps.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple, cast

import re2

from callboard.core.filter_values import Primitive, coerce, quoted
from callboard.model.errors import InvalidError
from callboard.model.filter import ABSENT_IS_FALSE, And, Expression, Match, Not, Operator, Or

PATTERN_MAX_CHARS: Final = 1_024
PATTERN_MAX_INSTRUCTIONS: Final = 4_096
PATTERNS_MAX_COUNT: Final = 32
STEPS_MAX_COUNT: Final = 1 << 27
"""What a filter may cost over all items of an answer: a step is a character times an instruction of a regular expression, some 5 ns."""
_MATCH_STEPS: Final = 32
"""What any other match costs, about."""
_PATTERN_MEMORY_MAX_BYTES: Final = 1 << 20

Test = Callable[[object], bool]
Get = Callable[[object], object]


class Field(NamedTuple):
    """One field of a record: how it is had from an item, and what it is."""

    get: Get
    kind: "Kind"
    steps: Callable[[object], int] | None = None
    """What it costs to have it from an item, where that is worth counting."""


class Record(NamedTuple):
    """Named fields."""

    fields: Mapping[str, Field]


class ListOf(NamedTuple):
    """Any number of one kind."""

    item: "Kind"


class MapOf(NamedTuple):
    """Values by key."""

    value: "Kind"


Kind = Primitive | Record | ListOf | MapOf


class Meter:
    """How many steps are left."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = STEPS_MAX_COUNT

    def take(self, steps: int) -> None:
        """Raises `InvalidError` when there are not so many."""
        self.left -= steps
        if self.left < 0:
            raise InvalidError("filter", "it costs too much over so many items; ask for fewer of them, or with fewer and simpler matches")


class Filter:
    """A compiled expression. Calling it judges an item by itself; `judge` an item of an answer that has so many steps left."""

    __slots__ = ("_meter", "_steps", "_test", "patterns")

    def __init__(self, test: Test, meter: Meter, matches: int, patterns: int) -> None:
        self.patterns = patterns
        """How many regular expressions it has."""
        self._test = test
        self._meter = meter
        self._steps = matches * _MATCH_STEPS

    def __call__(self, item: object) -> bool:
        """Whether an item is kept, which may cost what a whole answer may."""
        return self.judge(item, STEPS_MAX_COUNT)[0]

    def judge(self, item: object, left: int) -> tuple[bool, int]:
        """Whether an item is kept, and how many steps are left then. Raises `InvalidError` when they do not suffice."""
        meter = self._meter
        meter.left = left
        meter.take(self._steps)
        return self._test(item), meter.left


_EQUALITY: Final = frozenset({Operator.EQUAL, Operator.NOT_EQUAL})
_MEMBERSHIP: Final = frozenset({Operator.IN, Operator.NOT_IN})
_EMPTINESS: Final = frozenset({Operator.IS_EMPTY, Operator.IS_NOT_EMPTY})
_PATTERN: Final = frozenset({Operator.MATCHES, Operator.NOT_MATCHES})
_OPPOSITE: Final = {
    Operator.NOT_EQUAL: Operator.EQUAL, Operator.NOT_IN: Operator.IN, Operator.IS_NOT_EMPTY: Operator.IS_EMPTY,
    Operator.NOT_MATCHES: Operator.MATCHES,
}  # fmt: skip


def compile_filter(expression: Expression, item: Record) -> Filter:
    """Whether an item is kept. Raises `InvalidError` for an unknown selector, and for what its field cannot be asked."""
    patterns = _count(expression, _PATTERN)
    if patterns > PATTERNS_MAX_COUNT:
        raise InvalidError("", f"the expression has {patterns} regular expressions, and may have at most {PATTERNS_MAX_COUNT}")
    meter = Meter()
    return Filter(_compile(expression, item, meter), meter, _count(expression, frozenset(Operator)), patterns)


def _count(expression: Expression, operators: frozenset[Operator]) -> int:
    """How many matches have one of these operators."""
    match expression:
        case Match(operator=operator):
            return operator in operators
        case Not(operand=operand):
            return _count(operand, operators)
        case And(operands=operands) | Or(operands=operands):
            return sum(_count(operand, operators) for operand in operands)


def _compile(expression: Expression, item: Record, meter: Meter) -> Test:
    match expression:
        case Match():
            return _through(item, expression, _final(_kind_of(item, expression), expression, meter), meter)
        case Not(operand=operand):
            return _opposite(_compile(operand, item, meter))
        case And(operands=operands):
            return _every([_compile(operand, item, meter) for operand in operands])
        case Or(operands=operands):
            return _some([_compile(operand, item, meter) for operand in operands])


def _opposite(test: Test) -> Test:
    return lambda item: not test(item)


def _every(tests: Sequence[Test]) -> Test:
    def every(item: object) -> bool:
        for test in tests:  # noqa: SIM110  # a generator costs more than the tests
            if not test(item):
                return False
        return True

    return every


def _some(tests: Sequence[Test]) -> Test:
    def some(item: object) -> bool:
        for test in tests:  # noqa: SIM110  # the same
            if test(item):
                return True
        return False

    return some


# -- selectors


def _kind_of(item: Record, match: Match) -> Kind:
    """What a selector leads to."""
    kind: Kind = item
    for at, part in enumerate(match.selector):
        found = _below(kind, part)
        if found is None:
            raise InvalidError("", f"Selector {quoted('.'.join(match.selector[: at + 1]))} is not valid")
        kind = found
    return kind


def _below(kind: Kind, part: str) -> Kind | None:
    """What a part of a selector leads to from here; a list is what its items are."""
    while isinstance(kind, ListOf):
        kind = kind.item
    match kind:
        case Record(fields=fields):
            return fields[part].kind if part in fields else None
        case MapOf(value=value):
            return value
        case _:
            return None


def _through(kind: Kind, match: Match, final: Test, meter: Meter, depth: int = 0) -> Test:
    """The test of what is at `depth` of the selector."""
    if depth == len(match.selector):
        return final
    match kind:
        case ListOf(item=item):
            return _any(_through(item, match, final, meter, depth), meter)
        case Record(fields=fields):
            field = fields[match.selector[depth]]
            return _in_field(field, _through(field.kind, match, final, meter, depth + 1), meter)
        case MapOf(value=value):
            absent = match.operator not in ABSENT_IS_FALSE
            return _in_map(match.selector[depth], _through(value, match, final, meter, depth + 1), absent=absent)
        case Primitive():
            raise AssertionError(match.selector)  # a selector that is valid ends at the latest here


def _any(test: Test, meter: Meter) -> Test:
    def some(items: object) -> bool:
        there = cast(Collection[object], items)
        meter.take(len(there) * _MATCH_STEPS)
        return any(test(item) for item in there)

    return some


def _in_field(field: Field, test: Test, meter: Meter) -> Test:
    get, steps = field.get, field.steps
    if steps is None:
        return lambda item: test(get(item))

    def in_field(item: object) -> bool:
        meter.take(steps(item))
        return test(get(item))

    return in_field


def _in_map(key: str, test: Test, *, absent: bool) -> Test:
    def in_map(value: object) -> bool:
        there = cast(Mapping[str, object], value)
        return test(there[key]) if key in there else absent

    return in_map


# -- operators


def _final(kind: Kind, match: Match, meter: Meter) -> Test:
    """The test of what the selector leads to."""
    if match.operator not in _operators(kind):
        selector = quoted(".".join(match.selector))
        raise InvalidError("", f"Invalid match operator {quoted(match.operator)} for selector {selector}")
    asked = _OPPOSITE.get(match.operator)
    test = _asked(kind, asked or match.operator, match, meter)
    return test if asked is None else _opposite(test)


def _operators(kind: Kind) -> frozenset[Operator]:
    match kind:
        case Primitive.TEXT:
            return _EQUALITY | _MEMBERSHIP | _PATTERN
        case Primitive():
            return _EQUALITY
        case ListOf(item=Primitive()) | MapOf():
            return _MEMBERSHIP | _EMPTINESS
        case ListOf():
            return _EMPTINESS
        case Record():
            return frozenset()


def _asked(kind: Kind, operator: Operator, match: Match, meter: Meter) -> Test:
    if operator is Operator.IS_EMPTY:
        return lambda items: not items
    text = match.value or ""
    if operator is Operator.MATCHES:
        return _pattern(text, meter)
    if kind is Primitive.TEXT and operator is Operator.IN:
        return _part(text)
    primitive = kind.item if isinstance(kind, ListOf) else kind
    wanted = coerce(primitive, text, match.selector) if isinstance(primitive, Primitive) else text
    if operator is Operator.EQUAL:
        return lambda value: value == wanted
    return lambda items: wanted in cast(Collection[object], items)


def _part(text: str) -> Test:
    """Whether it is in a text, byte by byte, as Go compares: half a letter is in a letter."""
    if not any("\udc80" <= char <= "\udcff" for char in text):
        return lambda value: text in cast(str, value)
    part = text.encode(errors="surrogateescape")
    return lambda value: part in cast(str, value).encode(errors="surrogateescape")


def _pattern(pattern: str, meter: Meter) -> Test:
    problem = ""
    if len(pattern) > PATTERN_MAX_CHARS:
        problem = f"it has {len(pattern)} characters, and may have at most {PATTERN_MAX_CHARS}"
    else:
        options = re2.Options()
        options.max_mem, options.log_errors, options.never_capture = _PATTERN_MEMORY_MAX_BYTES, False, True
        try:
            compiled = re2.compile(pattern, options)
        except (re2.error, UnicodeEncodeError) as error:
            problem = f"error parsing regexp: {_said(error)}"
        else:
            if compiled.programsize <= PATTERN_MAX_INSTRUCTIONS:
                return _found(compiled.search, compiled.programsize, meter)
            problem = f"it has {compiled.programsize} instructions, and may have at most {PATTERN_MAX_INSTRUCTIONS}"
    raise InvalidError("", f"Failed to compile regular expression {quoted(pattern)}: {problem}")


def _found(search: Callable[[str], object], size: int, meter: Meter) -> Test:
    def found(value: object) -> bool:
        text = cast(str, value)
        meter.take((1 + len(text)) * size)
        return search(text) is not None

    return found


def _said(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else "invalid UTF-8"
