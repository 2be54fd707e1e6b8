"""How answers are shown: aligned columns for people, JSON for programs, names for the shell. Data goes to stdout, hints to stderr."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

import msgspec

T = TypeVar("T")

FORMATS: Final = ("table", "wide", "json", "jsonl", "name")
_COLOURS: Final = {"passing": "32", "warning": "33", "critical": "31", "maintenance": "35", "draining": "36", "starting": "36"}
_GAP: Final = "  "


class Column(NamedTuple, Generic[T]):
    """One column: its title, and what stands in it. `wide` ones are shown by `-o wide` only."""

    title: str
    cell: Callable[[T], str]
    wide: bool = False


class Layout(NamedTuple, Generic[T]):
    """How one kind of thing is shown."""

    columns: Sequence[Column[T]]
    name: Callable[[T], str]


def show(form: str, items: Sequence[T], layout: Layout[T], document: object) -> None:
    """Print `items`; `json` prints the whole `document` they came in."""
    if form == "json":
        emit(pretty(document))
    elif form == "jsonl":
        for item in items:
            emit(msgspec.json.encode(item).decode())
    elif form == "name":
        for item in items:
            emit(layout.name(item))
    elif items:
        columns = shown(layout, form)
        for line in table([[column.title for column in columns], *rows(columns, items)], colour=colourful()):
            emit(line)


def shown(layout: Layout[T], form: str) -> list[Column[T]]:
    """The columns of `table` or `wide`."""
    return [column for column in layout.columns if form == "wide" or not column.wide]


def rows(columns: Sequence[Column[T]], items: Iterable[T]) -> list[list[str]]:
    """The cells of each item, safe for a terminal."""
    return [[plain(column.cell(item)) for column in columns] for item in items]


def table(lines: Sequence[Sequence[str]], *, colour: bool, widths: Sequence[int] = ()) -> list[str]:
    """Lines with aligned columns, at least `widths` wide; words of health in their colour."""
    needed = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    widths = [max(pair) for pair in zip(needed, widths, strict=True)] if widths else needed
    return [_line(cells, widths, colour=colour) for cells in lines]


def _line(cells: Sequence[str], widths: Sequence[int], *, colour: bool) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    padded[-1] = padded[-1].rstrip()
    if colour:
        padded = [f"\x1b[{_COLOURS[cell]}m{text}\x1b[0m" if cell in _COLOURS else text for cell, text in zip(cells, padded, strict=True)]
    return _GAP.join(padded).rstrip()


def plain(text: str) -> str:
    """On one line and without control characters: what services say about themselves must not steer a terminal. `-` for nothing."""
    if not text:
        return "-"
    return text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)


def pretty(document: object) -> str:
    """Indented JSON."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def colourful() -> bool:
    """Whether stdout is a terminal that wants colour (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def emit(line: str) -> None:
    """One line of data."""
    sys.stdout.write(line + "\n")


def hint(line: str) -> None:
    """One line for the person who looks on."""
    sys.stderr.write(line + "\n")
