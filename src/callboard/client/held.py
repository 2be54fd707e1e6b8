"""An instance signed in with `Client.register`: by one process, at once, as its registration says, and kept until `close`.

Beneath it is the same keeper as beneath `Board.register`, without gate and seat: it fails at once when it cannot sign in.
"""

import atexit
from types import TracebackType
from typing import Final, Self

from msgspec.structs import replace

from callboard.client.attending import Times
from callboard.client.errors import ClientError
from callboard.client.events import Observers
from callboard.client.keeping import Keeper
from callboard.client.looking import Gate
from callboard.client.seat import Seat
from callboard.client.settings import ClientSettings
from callboard.client.showing import CLOSE_MAX_S, EXIT_MAX_S
from callboard.client.signing import NativeSigning
from callboard.wire.native import Registration, Written

_HIDE_GRACE_S: Final = 1.0


class _AsSaid:
    """A plan that is a registration already."""

    def __init__(self, registration: Registration) -> None:
        self.service = registration.service
        self.lease_ms = min((check.ttl_ms for check in registration.checks if check.ttl_ms), default=0)
        self._registration = registration

    def registration(self) -> Registration:
        """As it was said."""
        return self._registration

    def gate(self, _: Registration) -> Gate | None:
        """None: it is called by those who know that it is ready."""
        return None

    def seat(self, _: Registration) -> Seat | None:
        """None: it is this process' alone."""
        return None


class Held:
    """Made by `Client.register`. A forked child does not own it: there `close` does nothing."""

    def __init__(self, settings: ClientSettings, registration: Registration) -> None:
        """Signs in before it returns. Raises what `Client.put` raises."""
        self.registration = replace(registration, replace_checks=True)
        """What is signed in by the process itself is alive: its TTL checks start passing, and it has no others than those it names."""
        self._settings = settings
        self._desk = NativeSigning(settings)
        self._keeper = Keeper(self._desk, _AsSaid(self.registration), Times(timeout_ms=settings.timeout_ms), Observers(), insist=False)
        self._keeper.start()
        atexit.register(self._at_exit)
        try:
            self._keeper.wait()
        except BaseException:
            atexit.unregister(self._at_exit)
            self._keeper.leave()
            self._desk.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def written(self) -> Written:
        """What the last sign-in was answered with."""
        written = self._keeper.written
        if written is None:
            raise ClientError("it was never signed in")
        return written

    @property
    def id(self) -> str:
        """The instance's id."""
        return self.written.id

    @property
    def node(self) -> str:
        """The node it was put on: the one that was named, or the caller's."""
        return self.written.node

    def drain(self) -> None:
        """Hide it from new picks, also over a new sign-in. Raises what `Client.drain` raises."""
        self._keeper.hide(self._settings.timeout_ms / 1000 + _HIDE_GRACE_S)

    def close(self) -> None:
        """Stop the heartbeats and sign out; at most some seconds. A server that cannot be reached finds out by its checks."""
        self._end(CLOSE_MAX_S)

    def _at_exit(self) -> None:
        self._end(EXIT_MAX_S)

    def _end(self, timeout_s: float) -> None:
        atexit.unregister(self._at_exit)
        self._keeper.close(timeout_s)
        self._desk.close()
