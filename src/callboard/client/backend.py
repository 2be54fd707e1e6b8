"""What the SDK asks of a registry, whichever protocol it speaks: `native_backend` is Callboard's own API, `consul` plain Consul.

Every call blocks, and raises `ClientError`. A backend may be used by several threads, and lives as long as its board.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from callboard.client.errors import ClientError
from callboard.client.machine.picture import Change
from callboard.wire.native import Beat, Digest, Registration, ServiceInstances, ServiceList, Written


class ForgottenError(ClientError):
    """A heartbeat renewed nothing: the registry does not know the instance, or not as it was signed in. Sign in again."""

    code = "forgotten"


class Feed(Protocol):
    """The changes of some services of one name space: everything as `added`, then `ready`, then each change, each once.

    Iterated by one thread, without end until `close`. It comes back by itself when the connection breaks, and tells each failure to
    `lost`; iterating raises nothing but a refusal that no waiting can mend. `ready` comes when the picture of a service is complete
    (`Change.services` says of which), after removals that were only inferred, and when the feed is back after it was lost.
    """

    def __iter__(self) -> Iterator[Change]:
        """The changes."""
        ...

    def include(self, service: str) -> None:
        """Follow this service too, from any thread: its instances come as `added`, then `ready` comes again."""
        ...

    def restart(self) -> None:
        """Ask for everything anew, from any thread: differences follow, then `ready`."""
        ...

    def close(self) -> None:
        """End it, from any thread."""
        ...


class Backend(Protocol):
    """One registry."""

    def register(self, registration: Registration) -> Written:
        """Make or replace an instance with its checks. Sending the same again changes nothing."""
        ...

    def heartbeat(self, held: Written, beat: Beat, timeout_ms: int) -> None:
        """A sign of life that carries a status. Raises `ForgottenError`."""
        ...

    def drain(self, held: Written, *, on: bool) -> None:
        """Hide an instance from new picks, or show it again."""
        ...

    def deregister(self, held: Written, timeout_ms: int) -> None:
        """Remove an instance. That it is gone already is no error."""
        ...

    def services(self, namespace: str) -> ServiceList:
        """Every service."""
        ...

    def instances(self, service: str, namespace: str) -> ServiceInstances:
        """Every instance of one service."""
        ...

    def follow(self, namespace: str, services: tuple[str, ...], lost: Callable[[ClientError], None]) -> Feed:
        """A feed of these services. Opens no connection before it is iterated."""
        ...

    def digest(self, namespace: str, services: tuple[str, ...]) -> Digest | None:
        """What a complete picture of these services hashes to; None when the registry cannot say."""
        ...

    def local_address(self) -> str:
        """The address of this host on the way to the registry. Raises `UnreachableError`."""
        ...

    @property
    def remote(self) -> bool:
        """Whether the registry is on another host: none of its URLs names loopback."""
        ...

    def forked(self) -> None:
        """This is a forked child: forget the connections, which are the parent's, without closing them for it."""
        ...

    def close(self) -> None:
        """Close the idle connections."""
        ...
