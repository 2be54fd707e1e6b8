"""The changes of some services of a Consul cluster as one feed: a thread asks for each service, and who iterates is told."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from callboard.client.consul.pictures import Pictures
from callboard.client.consul.querying import Following
from callboard.client.consul.slots import Slots, Taken
from callboard.client.errors import ClientError
from callboard.client.machine.picture import Change
from callboard.client.settings import ClientSettings
from callboard.model.errors import InvalidError

SERVICES_MAX_COUNT: Final = 256
"""A thread and a connection for each. Consul takes 200 connections from one host, unless its `limits.http_max_conns_per_client` differs."""


class ConsulFeed:
    """A `Feed`. It lives until it is closed; one that a forked child inherits is only dropped there."""

    def __init__(
        self, settings: ClientSettings, namespace: str, services: tuple[str, ...], lost: Callable[[ClientError], None] | None = None
    ) -> None:
        """Raises `InvalidError`."""
        if not services:
            raise InvalidError("services", "must name at least one: Consul cannot be asked to tell of all")
        self._settings = settings
        self._namespace = namespace
        self._lost = lost
        self._slots = Slots()
        self._pictures = Pictures()
        self._untold: deque[Change] = deque()
        self._lock = threading.Lock()
        self._followed: dict[str, Following] = {}
        self._iterated = False
        self._closed = False
        self._owner = os.getpid()
        for service in services:
            self.include(service)

    def __iter__(self) -> Iterator[Change]:
        """Changes without end, until `close`. Raises nothing: a service that Consul refuses to tell of is asked for again and again."""
        self._start()
        while True:
            while self._untold:
                yield self._untold.popleft()
            taken = self._slots.take()
            if taken is None:
                return
            self._take(taken)

    def include(self, service: str) -> None:
        """Follow this service too, from any thread. Raises `InvalidError`."""
        with self._lock:
            if service in self._followed or self._closed:
                return
            if len(self._followed) >= SERVICES_MAX_COUNT:
                problem = f"must be at most {SERVICES_MAX_COUNT} over Consul, for each takes a connection"
                raise InvalidError("services", f"{problem}; use Callboard's own API, or another board")
            following = self._followed[service] = Following(self._settings, service, self._namespace, self._slots)
            if self._iterated:
                following.start()

    def restart(self) -> None:
        """Ask for everything anew, from any thread."""
        with self._lock:
            for following in self._followed.values():
                following.restart()

    def close(self) -> None:
        """End it and its threads, from any thread."""
        if os.getpid() != self._owner:
            return  # the connections and the threads are the parent's, and so may be what holds the lock
        with self._lock:
            self._closed = True
            for following in self._followed.values():
                following.end()
        self._slots.close()

    def _start(self) -> None:
        with self._lock:
            if self._iterated or self._closed:
                return
            self._iterated = True
            for following in self._followed.values():
                following.start()

    def _take(self, taken: Taken) -> None:
        for service in taken.failures:
            self._pictures.failed(service)
        if taken.failures and self._lost is not None:
            self._lost(next(reversed(taken.failures.values())))
        for told in taken.told:
            self._untold += self._pictures.told(told)
        for service in taken.heard:
            self._untold += self._pictures.heard(service)
