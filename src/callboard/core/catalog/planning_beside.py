"""Planning of what stands beside the catalog: events, coordinates, the autopilot's settings."""

from msgspec.structs import replace

from callboard.core.catalog.commands import FireEvent, SetAutopilot, SetCoordinate
from callboard.core.catalog.draft import Draft
from callboard.core.catalog.registering import Decision, refused
from callboard.model.autopilot import Autopilot
from callboard.model.coordinate import Coordinate
from callboard.model.event import RING_COUNT, Event
from callboard.model.rows import AUTOPILOT_KEY, ZERO, Refusal, coordinate_key, event_key
from callboard.model.time import Timestamp


def fire_event(draft: Draft, command: FireEvent, _now: Timestamp) -> Decision:
    """Number it, and write over the oldest."""
    number = _last_number(draft) + 1
    spec = command.event
    event = Event(
        name=spec.name, number=number, nonce=command.nonce, payload=spec.payload, node_filter=spec.node_filter,
        service_filter=spec.service_filter, tag_filter=spec.tag_filter,
    )  # fmt: skip
    draft.put_beside(event_key(number % RING_COUNT), event)
    return Decision()


def _last_number(draft: Draft) -> int:
    shown = draft.view.events
    there = (draft.beside(event_key(slot), shown.get(slot)) for slot in range(RING_COUNT))
    return max((event.number for event in there if isinstance(event, Event)), default=0)


def set_coordinate(draft: Draft, command: SetCoordinate, _now: Timestamp) -> Decision:
    """Write it down for a node that is there."""
    name = command.node.lower()
    if draft.node(name) is None:
        return refused(Refusal("unknown_node", command.node))
    key = coordinate_key(name)
    before = draft.beside(key, draft.view.coordinates.get(name))
    wanted = Coordinate(node=name, place=command.place, segment=command.segment)
    if not isinstance(before, Coordinate) or replace(before, modified=ZERO) != wanted:
        draft.put_beside(key, wanted)
    return Decision(name)


def set_autopilot(draft: Draft, command: SetAutopilot, _now: Timestamp) -> Decision:
    """Keep it, unless the caller has seen another one."""
    before = draft.beside(AUTOPILOT_KEY, draft.view.autopilot)
    known = before if isinstance(before, Autopilot) else None
    planned = draft.overlay.entries.get(AUTOPILOT_KEY)
    revision = planned.revision if planned is not None else known.modified if known is not None else ZERO
    if command.expected is not None and command.expected != revision:
        return refused(Refusal("superseded", "autopilot", f"the settings are of revision {revision}"))
    created = known.created if known is not None else draft.revision
    wanted = replace(command.autopilot, created=created, modified=ZERO)
    if known is None or replace(known, modified=ZERO) != wanted:
        draft.put_beside(AUTOPILOT_KEY, wanted)
    return Decision()
