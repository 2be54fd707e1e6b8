"""A connection from its first moment to its last: states, deadlines, clients that do not read, refusing and closing. It reads no request.

Only `IDLE`, between two messages with nothing under way, lets the door look at bytes itself. A connection is slotted, without a
dictionary, parser or task, since there are tens of thousands.
"""

import asyncio
from typing import Final, cast

from callboard.model.time import MILLISECOND, Instant
from callboard.net.http import coding
from callboard.net.http.answers import Kept
from callboard.net.http.behind import Behind
from callboard.net.http.blocks import Blocks
from callboard.net.http.handling import refused
from callboard.net.http.hub import Hub

IDLE: Final = 0
"""Between two messages; the only state in which bytes are looked at."""
PARTIAL: Final = 1
"""Some of a message has come."""
PARKED: Final = 2
"""A blocked query waits."""
ASKING: Final = 3
"""A handler's outcome is being asked for."""
LATER: Final = 4
"""An outcome is awaited."""
FULL: Final = 5
"""Further requests wait: the client does not read its answers, or others have their turn."""
SLOW: Final = 6
"""uvicorn has the connection."""
CLOSING: Final = 7
"""The last answer is written."""
LINGERING: Final = 8
"""A refusal is written; what still comes is dropped for a moment."""
GONE: Final = 9
_PART_S: Final = 1.0
"""How long a connection over TLS may take to end when the server stops."""
_TLS: Final = b"\x16\x03"
"""How a connection over TLS begins (RFC 8446 section 5.1)."""


class Connection(asyncio.Protocol):
    """What is the same whatever is asked. The door that builds on it answers."""

    __slots__ = (
        "_active", "_behind", "_blocks", "_choked", "_ending", "_hub", "_paused", "_rest", "_state", "after", "due", "kept", "slot",
        "transport",
    )  # fmt: skip
    transport: asyncio.Transport

    def __init__(self, hub: Hub, blocks: Blocks) -> None:
        self._hub = hub
        self._blocks = blocks
        """The header blocks that its listener knows, and whom it serves."""
        self._behind: Behind | None = None
        self._state = IDLE
        self._rest = b""
        """What has come and was not looked at."""
        self._active = True
        """Asked something since its deadline was last looked at."""
        self._paused = False
        """The client does not read."""
        self._choked = False
        """Nothing is read from the client, since `_rest` is full."""
        self._ending = False
        """The next answer is the last."""
        self.kept: Kept | None = None
        self.after = self.due = self.slot = 0

    def _go_on(self) -> None:
        """Look at what has come meanwhile."""
        raise NotImplementedError

    def expired(self, now: Instant) -> None:
        """The deadline of its present state is over."""
        raise NotImplementedError

    def answered(self, kept: Kept) -> None:
        """The change it waits for has come, or its time is over."""
        raise NotImplementedError

    # -- beginning and end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It begins, or is refused."""
        hub = self._hub
        self.transport = cast(asyncio.Transport, transport)  # uvloop's has no base class
        hub.stats.connections_made += 1
        if len(hub.connections) >= hub.settings.connections_max_count:
            hub.stats.connections_refused += 1
            self._last(hub.encode(refused(hub.router.plain, 503, "too many connections", hub.stats), hub.router.plain))
            return
        hub.connections.add(self)
        hub.stats.connections_now = len(hub.connections)
        self._deadline(hub.settings.idle_time_max_ms)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        hub = self._hub
        self._state = GONE
        self._rest = b""
        hub.forget(self)
        hub.stalled.drop(self)
        hub.timers.wheel.drop(self)
        hub.parked.release(self)
        self._leave_behind(exc)

    def eof_received(self) -> bool:
        """The client sends nothing more. It may still be owed the answer to a write; a blocked query is given up."""
        if self._state in {LATER, FULL}:
            self._ending = True
            return self.transport.get_extra_info("ssl_object") is None  # TLS has no half-closed connections here
        return False

    def shutdown(self) -> None:
        """Finish what is under way, then close."""
        self._ending = True
        if self._state == SLOW and self._behind is not None:
            self._behind.shutdown()
        elif self._state in {IDLE, PARTIAL}:
            self._close()

    def abort(self) -> None:
        """Close now, whatever is under way."""
        self.transport.abort()

    # -- clients that do not read

    def pause_writing(self) -> None:
        """The client does not read its answers: nothing more is answered until it has, and nothing more is read from it."""
        self._paused = True
        self._hub.stalled.add(self, self._hub.timers.now())
        if self._behind is not None:
            self._behind.pause_writing()
        if self._state != SLOW:
            self.transport.pause_reading()
            if self._state == IDLE:
                self._state = FULL

    def resume_writing(self) -> None:
        """It has read everything."""
        self._paused = False
        self._hub.stalled.drop(self)
        if self._behind is not None:
            self._behind.resume_writing()
        if self._state == FULL:
            self._go_on()
        elif self._state != SLOW and not self._choked and not self._ending:
            self.transport.resume_reading()

    # -- refusing and closing

    def refuse(self, status: int, detail: str, target: bytes = b"") -> int:
        """Answer a message that will not be read, and end the connection.

        What the client still sends is read and dropped for a moment: closing at once would reset the connection, and the answer with it.
        """
        hub = self._hub
        if self._behind is not None and self._behind.answer_began:
            self.abort()
            return -1
        path = target.partition(b"?")[0].decode("latin-1")
        errors = hub.router.errors(path)
        wire = hub.encode(refused(errors, status, detail, hub.stats), errors)
        self._leave_behind(ConnectionAbortedError())
        self._state = LINGERING
        self._rest = b""
        self.transport.write(coding.closing(wire))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.transport.resume_reading()
        self._deadline(hub.settings.linger_time_max_ms)
        return -1

    def _last(self, wire: bytes) -> int:
        self.transport.write(coding.closing(wire))
        return self._close()

    def _close(self) -> int:
        """Close when everything is written; a client that does not read is cut off in time."""
        self._state = CLOSING
        self._rest = b""
        self._hub.parked.release(self)
        self.transport.close()
        if self.transport.get_write_buffer_size() > 0:
            self._hub.stalled.add(self, self._hub.timers.now())
        elif self._ending and self.transport.get_extra_info("ssl_object") is not None:
            # It says that it closes, and would wait for the client to say the same, which one that rests does not.
            self._hub.loop.call_later(_PART_S, self.transport.abort)
        return -1

    def _deadline(self, time_ms: int) -> None:
        timers = self._hub.timers
        timers.put(self, timers.now() + time_ms * MILLISECOND)

    # -- the long way

    def _slow(self, data: bytes) -> int:
        """From here on uvicorn reads and answers, until it is between two messages."""
        hub = self._hub
        self._state = SLOW
        if data.startswith(_TLS):
            peer, here = self.transport.get_extra_info("peername"), self.transport.get_extra_info("sockname")
            hub.seldom.warn("%s speaks TLS to %s:%s, where there is none; ask it for http://, or a port of --https", peer[0], *here[:2])
        if self._behind is None:
            self._behind = Behind(self, hub.settings, hub.uvicorn, hub.loop, self._blocks.allows)
            self._behind.connection_made(self.transport)
        self._behind.data_received(data)
        return -1

    def message_began(self) -> None:
        """Behind has read the first byte of a message."""
        if self._state == FULL:
            self.transport.resume_reading()
        self._state = SLOW
        self._deadline(self._hub.settings.head_time_max_ms)

    def body_max_bytes(self, method: bytes, target: bytes) -> int:
        """Of a request to that method and target."""
        return self._hub.body_max_bytes(method, target)

    def head_ended(self) -> None:
        """Behind has read a head."""
        self._hub.stats.slow += 1
        self._deadline(self._hub.settings.body_time_max_ms)

    def between_messages(self) -> None:
        """Behind has nothing under way: the door takes over again."""
        self._active = True
        self._state = IDLE
        self._deadline(self._hub.settings.idle_time_max_ms)
        if self._ending:
            self._close()
        elif self._paused:
            self._state = FULL
            self.transport.pause_reading()

    def _leave_behind(self, exc: Exception | None) -> None:
        behind, self._behind = self._behind, None
        if behind is not None:
            behind.door = None
            behind.connection_lost(exc)
