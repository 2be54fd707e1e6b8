"""Between the threads that ask and the one that tells: a slot for each service, in which a newer answer takes the place of an older.

So nothing grows when nobody reads, and who reads late reads only the newest. It lives as long as its feed.
"""

import threading
from typing import NamedTuple

from callboard.client.consul.pictures import Told, merged
from callboard.client.errors import ClientError


class Taken(NamedTuple):
    """What came since the last time."""

    told: tuple[Told, ...]
    heard: frozenset[str]
    """Services of which was said that nothing happened."""
    failures: dict[str, ClientError]
    """By service, the last one of each."""


class Slots:
    """Filled by many threads, emptied by one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._told: dict[str, Told] = {}
        self._heard: set[str] = set()
        self._failures: dict[str, ClientError] = {}
        self._closed = False

    def tell(self, told: Told) -> None:
        """An answer came."""
        with self._changed:
            self._told[told.service] = merged(self._told.get(told.service), told)
            self._changed.notify()

    def hear(self, service: str) -> None:
        """An answer came, and nothing happened."""
        with self._changed:
            self._heard.add(service)
            self._changed.notify()

    def fail(self, service: str, error: ClientError) -> None:
        """None came."""
        with self._changed:
            self._failures[service] = error
            self._changed.notify()

    def take(self) -> Taken | None:
        """Wait for something; None when it was closed."""
        with self._changed:
            while not (self._told or self._heard or self._failures or self._closed):
                self._changed.wait()
            if self._closed:
                return None
            taken = Taken(tuple(self._told.values()), frozenset(self._heard), self._failures)
            self._told, self._heard, self._failures = {}, set(), {}
            return taken

    def close(self) -> None:
        """Whoever waits comes to the end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
