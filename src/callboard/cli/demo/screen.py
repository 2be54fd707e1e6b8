"""How the demo is shown on stderr: a live table on a terminal, plain lines elsewhere."""

import sys
import time
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from callboard.cli.demo.calling import Board, Tally

_LINES_MAX: Final = 12
_LINE_EVERY_S: Final = 5.0
_PICTURE_EVERY_S: Final = 0.1
_STYLES: Final = {"passing": "green", "warning": "yellow", "critical": "red", "draining": "cyan", "gone": "red"}


class PlainScreen:
    """Lines, and who was called every five seconds."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _LINE_EVERY_S

    def say(self, text: str) -> None:
        """One line."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def refresh(self, board: Board) -> None:
        """A line now and then."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _LINE_EVERY_S
            self.say("  called: " + ", ".join(f"{name} {tally.answered} ({tally.health})" for name, tally in sorted(board.tallies.items())))

    def close(self) -> None:
        """Nothing is held."""


class LiveScreen:
    """A table that moves, and the last lines of the story below it. It holds the terminal until `close`."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._said: list[str] = []
        self._next = 0.0
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._live.start()

    def say(self, text: str) -> None:
        """One line more."""
        self._said = [*self._said, text][-_LINES_MAX:]

    def refresh(self, board: Board) -> None:
        """The table as it is now."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _PICTURE_EVERY_S
        table = Table("instance", "address", "health", "calls", "no answer", "")
        with board.changed:
            latest = max(tally.called_at for tally in board.tallies.values())
            for name, tally in sorted(board.tallies.items()):
                table.add_row(*_cells(name, tally, called=tally.called_at == latest > 0))
        self._live.update(Group(table, *(Text(line) for line in self._said)), refresh=True)

    def close(self) -> None:
        """Give the terminal back."""
        self._live.stop()


def _cells(name: str, tally: Tally, *, called: bool) -> tuple[Text, ...]:
    health = Text(tally.health, style=_STYLES.get(tally.health, ""))
    marker = Text("<- called" if called else "")
    return (Text(name), Text(tally.address), health, Text(str(tally.answered)), Text(str(tally.broken or "")), marker)


def open_screen() -> PlainScreen | LiveScreen:
    """The one that fits stderr."""
    return LiveScreen() if sys.stderr.isatty() else PlainScreen()
