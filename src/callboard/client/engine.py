"""What the two boards share: one engine, which talks to the registry in threads of its own.

Nothing of it runs in a user's event loop, so a blocked loop neither costs a lease nor ages the picture, and no loop is ever entered twice
(decision 0003). An engine lives as long as its board. A forked child keeps the board but none of its threads, connections and
registrations: those are the parent's. What the child follows or registers starts anew when it asks.
"""

import atexit
import random
import threading
import time
from typing import TYPE_CHECKING

from callboard.client import forks
from callboard.client.backend import Backend
from callboard.client.board_settings import BoardSettings
from callboard.client.events import Observers
from callboard.client.following import Followed, Follower
from callboard.client.native_backend import NativeBackend
from callboard.client.showing import CLOSE_MAX_S, EXIT_MAX_S
from callboard.model.errors import CallboardError

if TYPE_CHECKING:
    from callboard.client.keeping import Keeper


class ClosedError(CallboardError):
    """The board was closed."""

    code = "closed"


class Engine:
    """One process' dealings with its registry."""

    def __init__(self, settings: BoardSettings) -> None:
        self.settings = settings
        self.observers = Observers()
        self.backend = open_backend(settings)
        self._followers: dict[str, Follower] = {}
        self._kept: list[Keeper] = []
        self._closed = False
        self._lock = threading.RLock()
        """So that what is added at the moment of a close is closed too. Nobody waits with it."""
        forks.after_in_child(self, Engine._forked)

    def __repr__(self) -> str:
        place = f"{','.join(self.settings.client.urls)}, name space {self.settings.namespace or 'public'}"
        return f"at {place}, closed" if self._closed else f"at {place}"

    @staticmethod
    def now() -> int:
        """Nanoseconds of a clock that only goes forward."""
        return time.monotonic_ns()

    @staticmethod
    def chance() -> float:
        """Evenly from 0 to 1."""
        return random.random()

    def follow(self, service: str, namespace: str) -> Followed:
        """What is known of a service, kept fresh from now on. Raises `ClosedError`."""
        place = namespace or self.settings.namespace
        with self._lock:
            self._open()
            follower = self._followers.get(place)
            if follower is None:
                follower = self._followers[place] = Follower(place, self.backend, self.settings, self.observers)
        return follower.follow(service)

    def keep(self, keeper: "Keeper") -> None:
        """Close it with the board, or at the end of the process, unless it is closed before. Raises `ClosedError`."""
        with self._lock:
            self._open()
            self._kept = [*(other for other in self._kept if not other.ended), keeper]
            atexit.unregister(self._at_exit)
            atexit.register(self._at_exit)

    def ask(self) -> Backend:
        """The registry, for a question now. Raises `ClosedError`."""
        self._open()
        return self.backend

    def close(self, keepers_max_s: float = CLOSE_MAX_S) -> None:
        """Sign out what is still signed in, and stop following. At most some seconds; a second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        atexit.unregister(self._at_exit)
        for keeper in self._kept:  # all at once: a registry that does not answer is waited for once, not once for each
            keeper.leave()
        end = time.monotonic() + keepers_max_s
        for keeper in self._kept:
            keeper.close(max(0.0, end - time.monotonic()))
        for follower in self._followers.values():
            follower.close()
        self.backend.close()

    def _at_exit(self) -> None:
        self.close(EXIT_MAX_S)

    def _open(self) -> None:
        if self._closed:
            raise ClosedError("this board was closed; open another with callboard.connect()")

    def _forked(self) -> None:
        self._lock = threading.RLock()
        self.backend.forked()
        self._kept = []
        for follower in self._followers.values():
            follower.forked()


def open_backend(settings: BoardSettings) -> Backend:
    """The protocol that the settings name."""
    if settings.protocol == "consul":
        from callboard.client.consul.backend import ConsulBackend  # noqa: PLC0415  # only who asks for it loads it

        return ConsulBackend(settings.client)
    return NativeBackend(settings.client)
