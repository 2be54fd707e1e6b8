"""Filters that were compiled before: dashboards and proxies send the same expression again and again. They live as long as the door."""

from collections import OrderedDict
from typing import Any, Final

from callboard.core.filtering import Filter, compile_filter
from callboard.frontend.consul.translate_filter import Root
from callboard.wire.bexpr import parse

_TEXT_MAX_CHARS: Final = 1_024
"""Longer expressions are compiled each time: few are, and what is kept would be large."""


class Filters:
    """The latest filters, each weighing as much as it has regular expressions, for these are what takes memory."""

    __slots__ = ("_kept", "_max_count", "_weight")

    def __init__(self, max_count: int) -> None:
        self._max_count = max_count
        self._weight = 0
        self._kept: OrderedDict[tuple[str, Root[Any]], Filter] = OrderedDict()

    def get(self, text: str, root: Root[Any]) -> Filter:
        """The filter that an expression means for these items. Raises `InvalidError`."""
        key = (text, root)
        if (known := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return known
        made = compile_filter(parse(text), root.record)
        if len(text) <= _TEXT_MAX_CHARS and _weight(made) <= self._max_count:
            self._kept[key] = made
            self._weight += _weight(made)
            while self._weight > self._max_count:
                self._weight -= _weight(self._kept.popitem(last=False)[1])
        return made

    def __len__(self) -> int:
        return len(self._kept)


def _weight(made: Filter) -> int:
    return max(1, made.patterns)
