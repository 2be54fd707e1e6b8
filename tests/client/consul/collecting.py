"""What the tests of feeds have in common: a feed that is read in a thread of its own."""

import threading
from typing import Self

from callboard.client.backend import Feed
from callboard.client.errors import ClientError
from callboard.client.machine.picture import Change
from callboard.wire.native import InstanceState
from tests.support import poll_until


class Collected:
    """Reads a feed until it is closed."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.lost: list[ClientError] = []
        self.feed: Feed | None = None
        self.thread = threading.Thread(target=self._read)

    def read(self, feed: Feed) -> Self:
        self.feed = feed
        self.thread.start()
        return self

    def _read(self) -> None:
        assert self.feed is not None
        self.changes.extend(self.feed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.feed is not None
        self.feed.close()
        self.thread.join(60)
        assert not self.thread.is_alive()

    def told(self, start: int = 0) -> list[str]:
        """Kinds and the last parts of ids, in the order they came."""
        changes = list(self.changes)[start:]
        return [f"{change.kind} {_last(change.instance)}" if change.instance else change.kind for change in changes]

    def until(self, *told: str, start: int = 0) -> list[Change]:
        """Wait until these were told, in whatever order."""
        poll_until(lambda: set(told) <= set(self.told(start)))
        return list(self.changes)[start:]

    def known(self) -> dict[str, InstanceState]:
        """What the changes add up to, by id."""
        out: dict[str, InstanceState] = {}
        for change in list(self.changes):
            if change.kind == "removed" and change.instance is not None:
                out.pop(_last(change.instance), None)
            elif change.instance is not None:
                out[_last(change.instance)] = change.instance
        return out


def _last(instance: InstanceState) -> str:
    return instance.id.rpartition("-")[2]
