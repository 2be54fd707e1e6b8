"""What a listener for single messages and whoever answers them agree on: the handler, limits, counters, and answers that come later."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final, Protocol

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=1)]
PREFIX_BYTES: Final = 2
"""Of the length in front of a message in a stream."""


class DatagramSettings(Struct, frozen=True, kw_only=True):
    """Limits with their units in their names."""

    datagrams_per_wake_max_count: Count = 32
    """Datagrams answered per turn of the loop; then others have theirs."""
    message_max_bytes: Annotated[int, Meta(ge=512, le=65_535)] = 4096
    """Larger questions are cut off (UDP), or end their connection (TCP)."""
    receive_buffer_bytes: Count = 1_048_576
    """Datagrams the kernel may hold for us; it takes less where it allows less."""
    tcp_connections_max_count: Count = 1024
    """When one more comes, the one that has been silent longest is closed."""
    tcp_idle_time_max_ms: Count = 10_000
    """A connection without a complete question for this long is closed, also when it does not read its answers."""
    tcp_turn_max_bytes: Count = 65_536
    """Answers gathered for one write."""
    tcp_backlog_max_count: Count = 256
    """Connections the kernel holds for us before they are accepted."""


@dataclass(slots=True)
class DatagramStats:
    """Plain counters, written where things happen and read at scrape."""

    received: int = 0
    """Messages, over UDP and TCP."""
    unsent: int = 0
    """Answers dropped because the socket took no more, or refused the peer."""
    connections_now: int = 0
    """TCP connections open now."""
    connections_made: int = 0
    """TCP connections that were taken."""
    connections_ended: int = 0
    """TCP connections closed by us: silent for too long, one too many, or not speaking the protocol."""


class Later:
    """Whoever asked says what to do with the answer, whoever answers settles it: each once, in either order."""

    __slots__ = ("_answer", "_then")

    def __init__(self) -> None:
        self._answer: bytes | None = None
        self._then: Callable[[bytes], None] | None = None

    def then(self, send: Callable[[bytes], None]) -> None:
        """Call `send` with the answer: now, if it is there."""
        if self._answer is not None:
            send(self._answer)
        else:
            self._then = send

    def settle(self, answer: bytes) -> None:
        """Here it is."""
        self._answer = answer
        if self._then is not None:
            self._then(answer)


class Handler(Protocol):
    """Answers messages. None means silence (UDP), or that the peer does not speak the protocol (TCP)."""

    def over_udp(self, message: bytes, host: str) -> bytes | Later | None:
        """The answer to a datagram from `host`."""
        ...

    def over_tcp(self, message: bytes) -> bytes | Later | None:
        """The answer to a message of a connection."""
        ...
