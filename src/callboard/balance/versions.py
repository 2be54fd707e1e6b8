"""Version ranges at look-up, as npm and Cargo write them: `^2.1`, `~1.4.2`, `>=2,<3`, `2.x`, `1.4.2`.

A range is a list of comparators that must all hold, joined by commas or spaces. A pre-release matches only where the range itself names a
pre-release of the same major.minor.patch: who asks for `^2.1` does not get `2.2.0-rc.1`, who asks for `>=2.2.0-rc.1` does. Build metadata
(`+abc`) never counts. This module loads the library `semver`, which takes some milliseconds: import it where it is needed.
"""

import operator
import re
from collections.abc import Callable
from typing import Final, NamedTuple

from semver import Version

from callboard.model.errors import InvalidError

RANGE_MAX_CHARS: Final = 256
VERSION_MAX_CHARS: Final = 256
COMPARATORS_MAX_COUNT: Final = 16
"""As they are written: `^`, `~` and x-ranges count as one."""
ALLOWED: Final = "write 1.4.2, ^2.1, ~1.4, 2.x, *, or comparators joined by commas or spaces, such as >=2,<3 (= > >= < <=)"

Prerelease = tuple[tuple[int, int, str], ...]
Order = tuple[int, int, int, Prerelease]
"""Sorts as versions do; build metadata is left out."""
_RELEASED: Final[Prerelease] = ((2, 0, ""),)
_BEFORE_ALL: Final[Prerelease] = ()
"""Below every pre-release: `<2` lets none of 2.0.0's in."""

_NUMBER: Final = r"(0|[1-9][0-9]{0,15}|[xX*])"
_PART: Final = re.compile(
    rf"(?P<operator>\^|~|>=|<=|>|<|=|)[ ]*[vV]?{_NUMBER}(?:\.{_NUMBER})?(?:\.{_NUMBER})?"
    r"(?P<pre>-[0-9A-Za-z.-]+)?(?P<build>\+[0-9A-Za-z.-]+)?(?P<end>[ ]*,[ ]*(?=[^, ])|[ ]+(?=[^, ])|$)"
)
_HOLDS: Final[dict[str, Callable[[Order, Order], bool]]] = {
    "=": operator.eq, ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip


class Comparator(NamedTuple):
    """One condition: `>=`, `<` and so on, and the version it compares with."""

    operator: str
    bound: Order


class Range(NamedTuple):
    """What a caller asks for. `named` are the major.minor.patch of which pre-releases are let in."""

    text: str
    comparators: tuple[Comparator, ...]
    named: frozenset[tuple[int, int, int]] = frozenset()

    def matches(self, version: str) -> bool:
        """Whether an instance of this version is wanted. What is no version never is."""
        order = order_of(version)
        return order is not None and self.admits(order)

    def admits(self, order: Order) -> bool:
        """The same for a version that was read before."""
        if order[3] != _RELEASED and order[:3] not in self.named:
            return False
        return all(_HOLDS[sign](order, bound) for sign, bound in self.comparators)


class _Partial(NamedTuple):
    """A version of which minor and patch may be left open (None)."""

    major: int
    minor: int | None
    patch: int | None
    pre: Prerelease = _RELEASED

    @property
    def least(self) -> Order:
        return (self.major, self.minor or 0, self.patch or 0, self.pre)

    @property
    def whole(self) -> bool:
        return self.patch is not None


def order_of(version: str) -> Order | None:
    """A version as it sorts, None when it is none. A leading `v` and missing minor and patch numbers are let pass: many name them so."""
    text = version.strip().removeprefix("v").removeprefix("V")
    if not text.isascii() or len(text) > VERSION_MAX_CHARS:
        return None
    try:
        parsed = Version.parse(text, optional_minor_and_patch=True)
    except ValueError:
        return None
    return (parsed.major, parsed.minor, parsed.patch, _prerelease(parsed.prerelease or ""))


def parse_range(text: str, field: str = "version") -> Range:
    """A range as people write it. Raises `InvalidError` naming `field`."""
    if len(text) > RANGE_MAX_CHARS:
        raise InvalidError(field, f"must have at most {RANGE_MAX_CHARS} characters, has {len(text)}")
    rest = text.strip(" ")
    comparators: list[Comparator] = []
    named: set[tuple[int, int, int]] = set()
    place = written = 0
    while place < len(rest) or not written:
        part = _PART.match(rest, place)
        if part is None:
            raise InvalidError(field, f"{text!r} is no version range; {ALLOWED}")
        written += 1
        if written > COMPARATORS_MAX_COUNT:
            raise InvalidError(field, f"must have at most {COMPARATORS_MAX_COUNT} comparators")
        comparators += _expand(part, text, field)
        if part["pre"]:
            named.add((int(part[2]), int(part[3]), int(part[4])))
        place = part.end()
    return Range(text, tuple(comparators), frozenset(named))


def _expand(part: re.Match[str], text: str, field: str) -> list[Comparator]:
    """The comparators that one written part stands for."""
    partial = _partial(part)
    sign = part["operator"] or "="
    if partial is None or (partial.major < 0 and sign in {"<", ">"}):
        raise InvalidError(field, f"{part[0].strip(' ,')!r} in {text!r} is no version; {ALLOWED}")
    if partial.major < 0:
        return []
    if sign == "^":
        return [Comparator(">=", partial.least), _below_next(partial, _caret_place(partial))]
    if sign == "~":
        return [Comparator(">=", partial.least), _below_next(partial, 0 if partial.minor is None else 1)]
    if partial.whole:
        return [Comparator(sign, partial.least)]
    after = _below_next(partial, 0 if partial.minor is None else 1)
    return {
        "=": [Comparator(">=", partial.least), after],
        ">=": [Comparator(">=", partial.least)],
        "<=": [after],
        ">": [Comparator(">=", (*after.bound[:3], _RELEASED))],
        "<": [Comparator("<", (*partial.least[:3], _BEFORE_ALL))],
    }[sign]


def _caret_place(partial: _Partial) -> int:
    """Which number may not change: the first that is not 0; of those not written, the one before."""
    if partial.major or partial.minor is None:
        return 0
    return 1 if partial.minor or partial.patch is None else 2


def _below_next(partial: _Partial, place: int) -> Comparator:
    numbers = [partial.major, partial.minor or 0, partial.patch or 0]
    major, minor, patch = [*numbers[:place], numbers[place] + 1, 0, 0][:3]
    return Comparator("<", (major, minor, patch, _BEFORE_ALL))


def _partial(part: re.Match[str]) -> _Partial | None:
    """None when a number follows an open one, or a pre-release does not follow three numbers. `*` has major -1."""
    major, minor, patch = (None if text is None or text in "xX*" else int(text) for text in (part[2], part[3], part[4]))
    if (major is None and minor is not None) or (minor is None and patch is not None):
        return None
    if not part["pre"] and not part["build"]:
        return _Partial(-1 if major is None else major, minor, patch)
    # What goes behind a whole version is the library's to judge.
    order = None if patch is None else order_of(part[0][part.start(2) - part.start() : part.start("end") - part.start()])
    return None if order is None else _Partial(*order)


def _prerelease(text: str) -> Prerelease:
    """Numbers sort as numbers and before words; of two that begin alike the longer is later."""
    if not text:
        return _RELEASED
    return tuple((0, int(word), "") if word.isdigit() else (1, 0, word) for word in text.split("."))
