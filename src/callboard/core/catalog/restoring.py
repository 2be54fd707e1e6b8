"""Replacing the catalog by a snapshot of it, while it is served: one command, one group, and what is equal already is left alone.

A snapshot's rows travel packed in the command. The leader judges them once more as a whole, for what every member folds must fit together:
with the entry by which the servers themselves are in the catalog, which no snapshot replaces, and with what aliases say of it all.
"""

import zlib
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from callboard.core.catalog.aliasing import settle
from callboard.core.catalog.beside import TABLES
from callboard.core.catalog.commands import Restore
from callboard.core.catalog.draft import Draft
from callboard.core.catalog.loading import Loader
from callboard.core.catalog.overlay import Overlay, Value
from callboard.core.catalog.registering import Decision, refused
from callboard.core.catalog.view import View
from callboard.model.check import AliasCheck, validate
from callboard.model.coordinate import Coordinate
from callboard.model.errors import CallboardError, InvalidError
from callboard.model.event import RING_COUNT, Event
from callboard.model.names import PUBLIC
from callboard.model.rows import (
    AUTOPILOT_KEY,
    ORIGIN,
    REVISION_LIMIT,
    ZERO,
    Key,
    Refusal,
    Revision,
    Row,
    check_key,
    coordinate_key,
    event_key,
    instance_key,
    node_key,
)  # fmt: skip
from callboard.model.time import Timestamp

KEPT: Final = frozenset({"n/", "i/", "c/", *TABLES})
"""Tables that a snapshot replaces. Term, epoch and floors are of the store that is written to, and not of the one that was saved."""
UNPACKED_MAX_BYTES: Final = 1 << 30
_LEVEL: Final = 1


class _Packed(NamedTuple):
    key: Key
    value: bytes


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[_Packed]).decode


def pack(rows: Iterable[Row]) -> bytes:
    """Rows of a snapshot as a command carries them."""
    return zlib.compress(_encode([_Packed(row.key, row.value) for row in rows if row.key[:2] in KEPT]), _LEVEL)


def _unpack(packed: bytes) -> list[_Packed]:
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(packed, UNPACKED_MAX_BYTES)
    if not unpacker.eof:
        raise ValueError(f"the rows are cut off, or have more than {UNPACKED_MAX_BYTES} bytes")
    return _decode(data)


def restore(draft: Draft, command: Restore, now: Timestamp) -> Decision:
    """Change what differs, and let every index rise: whoever has seen the state before must look again."""
    try:
        loaded = load(Row(key, value, draft.revision) for key, value in _unpack(command.packed))
    except (CallboardError, ValueError, RecursionError, zlib.error, msgspec.MsgspecError) as error:
        return refused(Refusal("invalid", "snapshot", f"snapshot: {error}"))
    wanted = {key: _made_by(value, draft.revision) for key, value in values_of(loaded).items()}
    for key, value in _amended(draft, loaded, command, now).items():
        if value is not None:
            wanted[key] = _made_by(_bare(value), draft.revision)
    present = _present(draft)
    changes: dict[Key, Value | None] = {key: None for key in present if key not in wanted}
    for key, value in wanted.items():
        there = present.get(key)
        if there is None or _bare(there) != value:
            changes[key] = value
    draft.swap(changes)
    return Decision()


def load(rows: Iterable[Row]) -> View:
    """What a snapshot says. Raises `CallboardError`, `ValueError` for rows that cannot be read or do not fit together."""
    loader = Loader()
    loader.add(row for row in rows if row.key[:2] in KEPT)
    view = loader.finish(ORIGIN)
    for event in view.events.values():
        if not 0 <= event.number < REVISION_LIMIT:
            raise InvalidError("snapshot", f"the number of event {event.name!r}, {event.number}, is none that an event can have")
    for definition in {check.definition for check in view.checks()}:
        validate(definition)
    return view


def _amended(draft: Draft, loaded: View, command: Restore, now: Timestamp) -> Mapping[Key, Value | None]:
    """What is to be otherwise than the snapshot says. The servers are where they are: their node keeps its address, and their own entries
    stay as they are, also where the snapshot is of others. Aliases say what follows from what there will be."""
    planned = Draft(loaded, Overlay(), draft.revision)
    home = command.home.lower()
    own = draft.node(home)
    if own is not None:
        restored = loaded.nodes.get(home, own)
        planned.put_node(replace(own, nonce=restored.nonce, created=restored.created))
        if (instance := draft.instance(PUBLIC, home, command.own_instance)) is not None:
            planned.put_instance(instance, planned.instance(PUBLIC, home, instance.id))
        if (check := draft.check(PUBLIC, home, command.own_check)) is not None:
            planned.put_check(replace(check, parent=restored.nonce), planned.check(PUBLIC, home, check.id))
    planned.aliased.update(
        (check.namespace, check.node, check.id) for check in loaded.checks() if isinstance(check.definition, AliasCheck)
    )  # fmt: skip
    settle(planned, now)
    return planned.values


def values_of(view: View) -> dict[Key, Value]:
    """Everything a snapshot replaces, under its key, without the revisions of rows."""
    out: dict[Key, Value] = {node_key(name): node for name, node in view.nodes.items()}
    for namespace, space in view.spaces.items():
        for node, there in space.by_node.items():
            out.update((instance_key(namespace, node, name), placed.instance) for name, placed in there.items())
    out.update((check_key(check.namespace, check.node, check.id), check) for check in view.checks())
    out.update((event_key(event.number % RING_COUNT), event) for event in view.events.values())
    out.update((coordinate_key(name), coordinate) for name, coordinate in view.coordinates.items() if name in view.nodes)
    if view.autopilot is not None:
        out[AUTOPILOT_KEY] = view.autopilot
    return {key: _bare(value) for key, value in out.items()}


def _present(draft: Draft) -> dict[Key, Value]:
    out = values_of(draft.view)
    for key, entry in draft.overlay.entries.items():
        if entry.value is not None:
            out[key] = entry.value
        else:
            out.pop(key, None)
    return out


def _made_by(value: Value, revision: Revision) -> Value:
    """Not made later than now: a snapshot of another store may be of a higher revision."""
    if not isinstance(value, Event | Coordinate) and value.created > revision:
        return replace(value, created=revision)
    return value


def _bare(value: Value) -> Value:
    return replace(value, modified=ZERO) if value.modified else value
