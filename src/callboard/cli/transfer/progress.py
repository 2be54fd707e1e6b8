"""One line on stderr that says how far it is, for a person at a terminal. It lives for one command."""

import sys
import time
from types import TracebackType
from typing import Final, Self

_BAR_CHARS: Final = 24
_EVERY_S: Final = 0.1


class ProgressLine:
    """Called with what is done; shows nothing where nobody looks on."""

    def __init__(self) -> None:
        self._shows = sys.stderr.isatty()
        self._next = 0.0
        self._what = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.clear()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show it, at most ten times a second."""
        now = time.monotonic()
        if self._shows and (now >= self._next or what != self._what):
            self._next, self._what = now + _EVERY_S, what
            sys.stderr.write(f"\r\x1b[K{line(what, done, total)}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Leave an empty line behind."""
        if self._shows and self._what:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def line(what: str, done: int, total: int) -> str:
    """How it is shown; a `total` of 0 is not known."""
    if total:
        full = _BAR_CHARS * min(done, total) // total
        return f"{what} [{'#' * full}{'-' * (_BAR_CHARS - full)}] {done:,} of {total:,} rows"
    return f"{what}: {done:,} rows" if done else what
