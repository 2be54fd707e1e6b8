"""Consul's filter language (bexpr): text to expression and back, by hand, in one pass.

The language is defined by ordered choices and has no reserved words: `not in Tags` asks for the tag "not", and what a choice has taken it
does not give back. A parser lives as long as its text. It takes time in proportion to the length of the text, and stops at its limits.
"""

import re
from collections.abc import Callable
from types import UnionType
from typing import Final

from callboard.model.errors import InvalidError
from callboard.model.filter import And, Expression, Match, Not, Operator, Or
from callboard.wire.bexpr_strings import is_name, quote, unquote

TEXT_MAX_BYTES: Final = 65_536
DEPTH_MAX_COUNT: Final = 64
"""Parentheses and `not` inside each other."""
MATCHES_MAX_COUNT: Final = 512
SELECTOR_MAX_COUNT: Final = 32
"""Names and indexes of one selector."""

_EXPECTED: Final = "a match such as `Field == value`, or `and`, `or` or the end after one"
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_NOT: Final = re.compile(r"not[ \t\r\n]+")
_AND: Final = re.compile(r"[ \t\r\n]+and[ \t\r\n]+")
_OR: Final = re.compile(r"[ \t\r\n]+or[ \t\r\n]+")
_NAMES: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*(?:\.[a-zA-Z][a-zA-Z0-9_]*)*")
_MORE_NAMES: Final = re.compile(r"(?:\.[a-zA-Z][a-zA-Z0-9_]*)+")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_AFTER_NUMBER: Final = re.compile(r"[ \t\r\n)]|\Z")
_FITTING: Final = re.compile(
    r"(?<=[a-zA-Z0-9_\]])\."
    r"|(?:(?<=[ \t\r\n])|[ \t\r\n]+)(?:and|or|is(?:[ \t\r\n]+not)?|(?:not[ \t\r\n]+)?(?:in|contains|matches)|not)[ \t\r\n]*"
    r"|[ \t\r\n]*"
)
_OPERATOR: Final = re.compile(
    r"[ \t\r\n]*(?P<sign>[=!]=)[ \t\r\n]*"
    r"|[ \t\r\n]+(?:(?P<not>not)[ \t\r\n]+)?(?P<word>contains|matches|in)[ \t\r\n]+"
    r"|[ \t\r\n]+is[ \t\r\n]+(?:(?P<full>not)[ \t\r\n]+)?(?P<empty>empty)"
)
_SIGNS: Final = {"==": Operator.EQUAL, "!=": Operator.NOT_EQUAL}
_WORDS: Final = {
    "contains": (Operator.IN, Operator.NOT_IN), "in": (Operator.IN, Operator.NOT_IN), "matches": (Operator.MATCHES, Operator.NOT_MATCHES),
}  # fmt: skip
_WRITTEN: Final = {
    Operator.EQUAL: "==", Operator.NOT_EQUAL: "!=", Operator.IN: "in", Operator.NOT_IN: "not in", Operator.IS_EMPTY: "is empty",
    Operator.IS_NOT_EMPTY: "is not empty", Operator.MATCHES: "matches", Operator.NOT_MATCHES: "not matches",
}  # fmt: skip
_SIDES_CHANGED: Final = frozenset({Operator.IN, Operator.NOT_IN})


def parse(text: str) -> Expression:
    """Raises `InvalidError` with the place, as `line:column (offset)`, and what is wrong there."""
    size = len(text.encode(errors="surrogatepass"))
    if size > TEXT_MAX_BYTES:
        raise InvalidError("", f"the expression has {size} bytes, and may have at most {TEXT_MAX_BYTES}")
    return _Parser(text).parse()


def write(expression: Expression) -> str:
    """Text that `parse` reads as this expression again, unless the first name of a selector is `not`."""
    match expression:
        case Match():
            return _write_match(expression)
        case Not(operand=operand):
            return f"not {_grouped(operand, And | Or)}"
        case And(operands=operands):
            return " and ".join(_grouped(operand, And | Or) for operand in operands)
        case Or(operands=operands):
            return " or ".join(_grouped(operand, Or) for operand in operands)


def _grouped(expression: Expression, kinds: type | UnionType) -> str:
    text = write(expression)
    return f"({text})" if isinstance(expression, kinds) else text


def _write_match(match: Match) -> str:
    selector = match.selector[0] + "".join(f".{part}" if is_name(part) else f"[{quote(part)}]" for part in match.selector[1:])
    if match.value is None:
        return f"{selector} {_WRITTEN[match.operator]}"
    if match.operator in _SIDES_CHANGED:
        return f"{quote(match.value)} {_WRITTEN[match.operator]} {selector}"
    return f"{selector} {_WRITTEN[match.operator]} {quote(match.value)}"


class _Parser:
    """Every method reads on from `at`. One that cannot read what it is for answers None and leaves `at` alone."""

    __slots__ = ("_depth", "_far", "_matches", "_text", "at")

    def __init__(self, text: str) -> None:
        self._text = text
        self._far = 0
        """How far anything was understood: where the error is."""
        self._matches = 0
        self._depth = 0
        self.at = 0

    def parse(self) -> Expression:
        self._skip(_SPACE)
        expression = self._either()
        if expression is not None:
            self._skip(_SPACE)
            if self.at == len(self._text):
                return expression
        raise self._error(self._furthest(), f"no match found, expected {_EXPECTED}")

    # -- and, or, not, parentheses

    def _either(self) -> Expression | None:
        operands = self._chain(_OR, self._all)
        return operands[0] if len(operands) == 1 else Or(tuple(operands)) if operands else None

    def _all(self) -> Expression | None:
        operands = self._chain(_AND, self._negated)
        return operands[0] if len(operands) == 1 else And(tuple(operands)) if operands else None

    def _chain(self, word: re.Pattern[str], read: Callable[[], Expression | None]) -> list[Expression]:
        """Operands with a word between each two. A word without an operand after it is left where it is, and nobody takes it."""
        operands: list[Expression] = []
        start = self.at
        while (operand := read()) is not None:
            operands.append(operand)
            start = self.at
            if not self._skip(word):
                break
        self.at = start
        return operands

    def _negated(self) -> Expression | None:
        """`not` is first read as the word; where nothing follows that could be negated, it is the name of a field or a value."""
        starts = [self.at]
        while self._skip(_NOT):
            self._deeper(len(starts))
            starts.append(self.at)
        count = len(starts) - 1
        self._depth += count
        operand = self._grouped()
        self._depth -= count
        while operand is None and len(starts) > 1:
            starts.pop()
            self.at = starts[-1]
            operand = self._match()
        if operand is None or len(starts) % 2:
            return operand
        return operand.operand if isinstance(operand, Not) else Not(operand)

    def _grouped(self) -> Expression | None:
        if not self._text.startswith("(", self.at):
            return self._match()
        start = self.at
        self._deeper(1)
        self._depth += 1
        self.at += 1
        self._skip(_SPACE)
        expression = self._either()
        self._depth -= 1
        if expression is None:
            self.at = start
            return None
        self._skip(_SPACE)
        if not self._text.startswith(")", self.at):
            raise self._error(self.at, 'rule "grouping": Unmatched parentheses')
        self.at += 1
        return expression

    def _deeper(self, by: int) -> None:
        if self._depth + by > DEPTH_MAX_COUNT:
            raise self._error(self.at, f"more than {DEPTH_MAX_COUNT} parentheses and `not` inside each other")

    # -- matches

    def _match(self) -> Expression | None:
        start = self.at
        match = self._by_selector(start) or self._by_value(start)
        if match is None:
            self.at = start
            return None
        self._matches += 1
        if self._matches > MATCHES_MAX_COUNT:
            raise self._error(start, f"more than {MATCHES_MAX_COUNT} match expressions")
        return match

    def _by_selector(self, start: int) -> Match | None:
        """A field, an operator, and a value if it takes one."""
        selector = self._selector()
        found = _OPERATOR.match(self._text, self.at) if selector is not None else None
        if selector is None or found is None or found["word"] == "in":
            self.at = start
            return None
        self._reach(found.end())
        if found["empty"]:
            return Match(selector, Operator.IS_NOT_EMPTY if found["full"] else Operator.IS_EMPTY)
        operator = _SIGNS[found["sign"]] if found["sign"] else _WORDS[found["word"]][found["not"] is not None]
        value = self._value()
        if value is None:
            self.at = start
            return None
        return Match(selector, operator, value)

    def _by_value(self, start: int) -> Match | None:
        """A value that is `in` a field, or not."""
        value = self._value()
        found = _OPERATOR.match(self._text, self.at) if value is not None else None
        if found is None or found["word"] != "in":
            self.at = start
            return None
        self._reach(found.end())
        selector = self._selector()
        if selector is None:
            raise self._error(self.at, 'rule "match": Invalid selector')
        return Match(selector, _WORDS["in"][found["not"] is not None], value)

    def _selector(self) -> tuple[str, ...] | None:
        start = self.at
        found = _NAMES.match(self._text, start)
        if found is None:
            return None
        self._reach(found.end())
        parts = found[0].split(".")
        while len(parts) <= SELECTOR_MAX_COUNT:
            found = _MORE_NAMES.match(self._text, self.at)
            if found is not None:
                self._reach(found.end())
                parts += found[0][1:].split(".")
            elif self._text.startswith("[", self.at):
                parts.append(self._index())
            else:
                return tuple(parts)
        raise self._error(start, f'rule "selector": more than {SELECTOR_MAX_COUNT} names and indexes')

    def _index(self) -> str:
        self.at += 1
        self._skip(_SPACE)
        key = self._string()
        if key is None:
            raise self._error(self.at, 'rule "index": Invalid index')
        self._skip(_SPACE)
        if not self._text.startswith("]", self.at):
            raise self._error(self.at, 'rule "index": Unclosed index expression')
        self._reach(self.at + 1)
        return key

    # -- values

    def _value(self) -> str | None:
        selector = self._selector()
        if selector is not None:
            return ".".join(selector)
        found = _NUMBER.match(self._text, self.at)
        if found is None:
            return self._string()
        if _AFTER_NUMBER.match(self._text, found.end()) is None:
            raise self._error(found.end(), 'rule "number": Invalid number literal')
        self._reach(found.end())
        return found[0]

    def _string(self) -> str | None:
        start = self.at
        mark = self._text[start : start + 1]
        if mark not in {'"', "`"}:
            return None
        end = self._text.find(mark, start + 1)
        if end < 0:
            raise self._error(len(self._text), 'rule "string": Unterminated string literal')
        value = unquote(self._text[start : end + 1])
        if value is None:
            raise self._error(start, 'rule "string": invalid syntax')
        self._reach(end + 1)
        return value

    # -- steps

    def _skip(self, what: re.Pattern[str]) -> bool:
        found = what.match(self._text, self.at)
        if found is None:
            return False
        self._reach(found.end())
        return True

    def _reach(self, at: int) -> None:
        self.at = at
        self._far = max(self._far, at)

    def _furthest(self) -> int:
        """Where the first thing stands that nothing could be made of: behind the words that would have fitted."""
        found = _FITTING.match(self._text, max(self._far, self.at))
        return found.end() if found is not None else len(self._text)

    def _error(self, at: int, problem: str) -> InvalidError:
        before = self._text[:at]
        line, column = before.count("\n") + 1, at - before.rfind("\n")
        return InvalidError("", f"{line}:{column} ({len(before.encode(errors='surrogatepass'))}): {problem}")
