"""What followers wait on: meta/head as the event loop knows it, and the newest groups. Lives as long as the store; on the loop only.

A follower whose position is not among the newest groups reads the changelog; the feed only tells it when to look. Where nobody follows,
which is the rule for a file of one process, no group is kept.
"""

import asyncio

from callboard.model.errors import DivergedError
from callboard.model.rows import Group, Position, Revision
from callboard.store.sqlite.settings import SqliteSettings


class Feed:
    """The end of the history, in memory."""

    def __init__(self, head: Position, settings: SqliteSettings) -> None:
        self.head = head
        self.generation = 0
        self.closed = False
        self.changed = asyncio.Event()
        self._max_count = settings.feed_max_count
        self._max_bytes = settings.feed_max_bytes
        self._newest: dict[Revision, tuple[Group, int]] = {}
        self._bytes = 0
        self._followers = 0

    def begin_following(self) -> None:
        """Somebody follows, until `end_following`: from now on groups are kept."""
        self._followers += 1

    def end_following(self) -> None:
        """The last one to leave takes the groups with it."""
        self._followers -= 1
        if not self._followers:
            self._newest.clear()
            self._bytes = 0

    def publish(self, group: Group, size: int) -> None:
        """`group` is durable; `size` is what it costs to keep."""
        if group.after != self.head:
            return  # the head was read from the file meanwhile, and followers with it
        self.head = group.position
        if self._followers:
            self._keep(group, size)
        self._wake()

    def _keep(self, group: Group, size: int) -> None:
        self._newest[group.after.revision] = (group, size)
        self._bytes += size
        while len(self._newest) > self._max_count or self._bytes > self._max_bytes:
            _, gone = self._newest.pop(next(iter(self._newest)))
            self._bytes -= gone

    def move(self, head: Position) -> None:
        """The file has `head` now, by a group of ours that did not come through `publish`."""
        self.head = head
        self._wake()

    def diverge(self, head: Position) -> None:
        """Somebody else wrote: whoever follows now must load again."""
        self._newest.clear()
        self._bytes = 0
        self.generation += 1
        self.move(head)

    def close(self) -> None:
        """Followers end."""
        self.closed = True
        self._wake()

    def next_group(self, after: Position) -> Group | None:
        """The group right after `after`, if it is among the newest."""
        found = self._newest.get(after.revision)
        return found[0] if found is not None and found[0].after.mark == after.mark else None

    def require_generation(self, generation: int) -> None:
        """OneHistory for a reader that began at `generation`."""
        if generation != self.generation:
            raise DivergedError("another program has changed the database; load again")

    def _wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()
