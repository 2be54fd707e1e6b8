"""`callboard watch`: changes, one a line, as they happen; until Ctrl-C, also over restarts of the server."""

import sys
from collections.abc import Iterable, Iterator
from typing import Final

import click
import msgspec

from callboard.cli.asking import Server, reading
from callboard.cli.completing import service_names
from callboard.cli.layouts import address, health
from callboard.cli.output import Column, Layout, colourful, emit, hint, pretty, rows, shown, table
from callboard.client.errors import ClientError
from callboard.client.machine.picture import Change
from callboard.wire.native import InstanceState

_WIDTHS: Final = {"EVENT": 7, "SERVICE": 16, "ID": 20, "ADDRESS": 21, "HEALTH": 24, "NODE": 12, "REVISION": 8}


def _of(change: Change) -> InstanceState:
    assert change.instance is not None
    return change.instance


def _health(change: Change) -> str:
    now = health(_of(change))
    before = health(change.before) if change.before is not None else now
    return now if before == now else f"{before} -> {now}"


CHANGES: Final = Layout[Change](
    (
        Column("EVENT", lambda change: change.kind),
        Column("SERVICE", lambda change: _of(change).service),
        Column("ID", lambda change: _of(change).id),
        Column("ADDRESS", lambda change: address(_of(change).address, _of(change).port)),
        Column("HEALTH", _health),
        Column("NODE", lambda change: _of(change).node, wide=True),
        Column("REVISION", lambda change: str(change.revision), wide=True),
    ),
    lambda change: f"{change.kind} {_of(change).service}/{_of(change).id}",
)


@click.command()
@click.argument("services", nargs=-1, shell_complete=service_names)
@reading
def watch(server: Server, form: str, services: tuple[str, ...]) -> None:
    """Show every change of SERVICES (without: of all) as it happens, until Ctrl-C.

    First everything that is there, as `added`, then `ready`. It connects again by itself and misses nothing. `-o json` and `-o jsonl`
    print one object for each change, with `before` for what was changed.
    """
    outage = _Outage()
    with server.client() as client, client.watch(*services, namespace=server.namespace, lost=outage.lost) as changes:
        try:
            _print_all(outage.ended_by(changes), form)
        except KeyboardInterrupt:
            return


def _print_all(changes: Iterable[Change], form: str) -> None:
    titled = False
    for change in changes:
        if form == "json":
            emit(pretty(change))
        elif form == "jsonl":
            emit(msgspec.json.encode(change).decode())
        elif change.instance is None:
            hint(f"{change.kind} at revision {change.revision}" + (f": {change.reason}" if change.reason else ""))
        elif form == "name":
            emit(CHANGES.name(change))
        else:
            _print_row(change, form, titled=titled)
            titled = True
        sys.stdout.flush()


def _print_row(change: Change, form: str, *, titled: bool) -> None:
    """A row stands alone, so its columns have widths that fit most names; the titles come with the first one."""
    columns = shown(CHANGES, form)
    titles = [column.title for column in columns]
    lines = table([titles, *rows(columns, [change])], colour=colourful(), widths=[_WIDTHS[title] for title in titles])
    for line in lines[1:] if titled else lines:
        emit(line)


class _Outage:
    """Says of each outage once what is wrong, however often it is tried again, and once that it is over."""

    def __init__(self) -> None:
        self._said: set[type[ClientError]] = set()

    def lost(self, error: ClientError) -> None:
        """A connection ended, or could not be made."""
        if type(error) not in self._said:
            hint(f"callboard: {error}")
        self._said.add(type(error))

    def ended_by(self, changes: Iterable[Change]) -> Iterator[Change]:
        """The changes: whatever comes, `ready` at least, ends it."""
        for change in changes:
            if self._said:
                hint("callboard: the server answers again")
            self._said.clear()
            yield change
