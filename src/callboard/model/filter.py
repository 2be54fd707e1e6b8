"""Filter expressions as values: what a caller wants to keep of a list, whatever language said so.

Text is parsed in `wire`, the meaning against fields is worked out in `core`. An expression lives as long as the question that carries it.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct


class Operator(StrEnum):
    """What a match does with what its selector leads to. The value is what error texts call it."""

    EQUAL = "Equal"
    NOT_EQUAL = "Not Equal"
    IN = "In"
    """Part of a text, member of a list, key of a map; `contains` is the same with its sides changed."""
    NOT_IN = "Not In"
    IS_EMPTY = "Is Empty"
    IS_NOT_EMPTY = "Is Not Empty"
    MATCHES = "Matches"
    """A regular expression is found in it."""
    NOT_MATCHES = "Not Matches"


ABSENT_IS_FALSE: Final = frozenset({Operator.EQUAL, Operator.IN, Operator.IS_NOT_EMPTY})
"""What holds of no absent key of a map; everything else does, also `matches`."""


class Match(Struct, frozen=True, gc=False):
    """One question to what `selector` leads to. `value` is None for the two that ask for emptiness."""

    selector: tuple[str, ...]
    operator: Operator
    value: str | None = None


class Not(Struct, frozen=True):
    """The opposite."""

    operand: "Expression"


class And(Struct, frozen=True):
    """All of two or more, asked in order until one is false."""

    operands: tuple["Expression", ...]


class Or(Struct, frozen=True):
    """Any of two or more, asked in order until one is true."""

    operands: tuple["Expression", ...]


Expression = Match | Not | And | Or
