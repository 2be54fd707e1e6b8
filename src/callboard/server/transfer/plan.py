"""The one group that makes a store hold what another held. Pure.

Rows keep their revisions. The head moves above both heads, and for a backup above every revision that may have been given away since it
was taken, so that no number is used twice; the global floor is raised to the new head, so that no topic's index falls.
"""

from typing import Final

from msgspec.structs import replace

from callboard.core.catalog.codec import Epoch, Floor, Term, encode
from callboard.model.errors import InvalidError
from callboard.model.rows import GLOBAL_FLOOR, META_EPOCH, META_TERM, REVISION_LIMIT, Group, Key, Revision, Row
from callboard.model.time import Timestamp
from callboard.server.transfer.state import State

MARGIN_PER_S_COUNT: Final = 10_000
"""Revisions that the source may have given away in each second since it was backed up."""
MARGIN_COUNT: Final = 1_000_000
"""And so many besides: clocks are not exact."""


def margin(taken: Timestamp, now: Timestamp) -> int:
    """Revisions to leave out after a restore of a backup that was `taken` then."""
    return MARGIN_PER_S_COUNT * max(0, now - taken) // 1000 + MARGIN_COUNT


def moved(source: State, target: State, *, left_out: int, store: str, mark: bytes) -> Group:
    """The group after `target` by which it holds the rows of `source`, as store `store`. Raises `InvalidError`, `UnreadableRowError`."""
    head = Revision(max(source.position.revision, target.position.revision) + left_out + 1)
    if head >= REVISION_LIMIT:
        raise InvalidError("revision", f"{head} is above the limit 2**53; is the clock of this machine right?")
    rows: dict[Key, Row | None] = {key: None for key in target.rows if key not in source.rows}
    rows.update(source.rows)
    rows[GLOBAL_FLOOR] = Row(GLOBAL_FLOOR, encode(Floor(head)), head)
    rows[META_EPOCH] = Row(META_EPOCH, encode(Epoch(store, max(1, source.epoch.level))), head)
    term = _later(source.term, target.term)
    if term.number:
        rows[META_TERM] = Row(META_TERM, encode(term), head)
    return Group(target.position, head, head, mark, rows)


def _later(source: Term, target: Term) -> Term:
    """The source's term, with a number that nobody has seen go back."""
    return replace(source, number=max(source.number, target.number))


def expected(group: Group) -> dict[Key, Row]:
    """What the target holds after `group`."""
    return {key: row for key, row in group.rows.items() if row is not None}
