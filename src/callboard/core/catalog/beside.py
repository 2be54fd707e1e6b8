"""What stands beside the catalog in the view: events, coordinates, and the autopilot's settings. Folding and loading take their rows here.

The ring of events needs no floors: a place in it is written over and never deleted, so the newest event is always there.
"""

from collections.abc import Iterator
from typing import Final

from callboard.core.catalog import codec
from callboard.core.catalog.view import View
from callboard.model.event import Event
from callboard.model.rows import ZERO, Key, Revision, Row, split_key
from callboard.model.topics import AUTOPILOT, COORDINATES, EVENTS, Topic

TABLES: Final = frozenset({"e/", "o/", "a/"})


def take(view: View, key: Key, row: Row | None) -> Topic:
    """One row, or its removal; answers the topic that is shown otherwise from now on. Raises `UnreadableRowError`."""
    if key[0] == "e":
        topic = EVENTS
        _event(view, key, row)
    elif key[0] == "o":
        topic = COORDINATES
        _coordinate(view, key, row)
    else:
        topic = AUTOPILOT
        view.autopilot = codec.decode_autopilot(row) if row is not None else None
    if row is not None and row.revision > view.tables.get(topic, ZERO):
        view.tables[topic] = row.revision
    return topic


def _event(view: View, key: Key, row: Row | None) -> None:
    slot = int(split_key(key)[1])
    if row is not None:
        view.events[slot] = codec.decode_event(row)
    else:
        view.events.pop(slot, None)


def _coordinate(view: View, key: Key, row: Row | None) -> None:
    node = split_key(key)[1]
    if row is not None:
        view.coordinates[node] = codec.decode_coordinate(row)
    else:
        view.coordinates.pop(node, None)


def events(view: View, name: str = "") -> list[Event]:
    """The events that are kept, oldest first; only those of a name if there is one."""
    return sorted(_named(view, name), key=lambda event: event.number)


def _named(view: View, name: str) -> Iterator[Event]:
    return (event for event in view.events.values() if not name or event.name == name)


def events_index(view: View, name: str, ring_count: int) -> Revision:
    """The revision of the last event (of a name). It does not fall when that leaves the ring: what is older than the ring has left it."""
    highest = max(Revision(1), view.global_floor)
    revisions = [event.modified for event in view.events.values()]
    if len(revisions) >= ring_count:
        highest = max(highest, Revision(min(revisions) - 1))
    return max([highest, *(event.modified for event in _named(view, name))])
