"""Messages in a stream, two bytes of length in front of each (RFC 7766): connections, the silence that ends them, and what waits in them.

They live as long as the listener that took them in.
"""

import asyncio
from typing import NamedTuple, cast

from callboard.net.messages import PREFIX_BYTES, DatagramSettings, DatagramStats, Handler, Later


class Connections:
    """The open connections of a listener, the longest silent first, and one timer that ends the silence."""

    __slots__ = ("_loop", "_since", "_timer", "handler", "settings", "stats")

    def __init__(self, loop: asyncio.AbstractEventLoop, handler: Handler, settings: DatagramSettings, stats: DatagramStats) -> None:
        self.handler = handler
        self.settings = settings
        self.stats = stats
        self._loop = loop
        self._since: dict[Connection, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def opened(self, connection: "Connection") -> None:
        """Take one in; the one that has been silent longest makes room."""
        self.stats.connections_made += 1
        if len(self._since) >= self.settings.tcp_connections_max_count:
            next(iter(self._since)).end()
        self._since[connection] = self._loop.time()
        self.stats.connections_now = len(self._since)
        if self._timer is None:
            self._timer = self._loop.call_later(self.settings.tcp_idle_time_max_ms / 1000, self._sweep)

    def heard(self, connection: "Connection") -> None:
        """It asked something."""
        if self._since.pop(connection, None) is not None:
            self._since[connection] = self._loop.time()

    def closed(self, connection: "Connection") -> None:
        """It is gone."""
        self._since.pop(connection, None)
        self.stats.connections_now = len(self._since)

    def _sweep(self) -> None:
        idle_s = self.settings.tcp_idle_time_max_ms / 1000
        now = self._loop.time()
        self._timer = None
        for connection, since in list(self._since.items()):
            if since + idle_s > now:
                self._timer = self._loop.call_at(since + idle_s, self._sweep)
                return
            connection.end()

    def close(self) -> None:
        """End every connection."""
        if self._timer is not None:
            self._timer.cancel()
        for connection in list(self._since):
            connection.end()


class Connection(asyncio.Protocol):
    """One TCP connection: any number of questions, also several at once and in any pieces."""

    __slots__ = ("_all", "_due_count", "_ended", "_half_closes", "_paused", "_rest", "_transport")

    def __init__(self, connections: Connections, *, half_closes: bool = True) -> None:
        """`half_closes`: the peer may end its side and still be answered; TLS knows no such thing."""
        self._all = connections
        self._half_closes = half_closes
        self._rest = b""
        self._paused = False
        self._ended = False
        self._due_count = 0
        """Answers that are not there yet."""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ours from now on."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._all.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Over."""
        self._transport = None
        self._rest = b""
        self._all.closed(self)

    def end(self) -> None:
        """Close it now, answers under way included."""
        self._all.stats.connections_ended += 1
        self._all.closed(self)
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def pause_writing(self) -> None:
        """The peer reads more slowly than it asks: read no further, answer no further."""
        self._paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._paused = False
        self._answer()
        if self._transport is not None and not self._paused:
            self._transport.resume_reading()

    def eof_received(self) -> bool:
        """The peer asks no more; answers that are due still leave."""
        self._ended = True
        return self._half_closes and self._due_count > 0

    def _answer_late(self, answer: bytes) -> None:
        """One that was not there when the question came."""
        self._due_count -= 1
        if self._transport is None:
            return
        self._transport.write(len(answer).to_bytes(PREFIX_BYTES, "big") + answer)
        self._all.heard(self)
        if self._ended and not self._due_count:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Another piece of the stream."""
        self._rest += data
        self._answer()

    def _answer(self) -> None:
        """Answer the complete questions in `_rest`, as long as the peer takes the answers."""
        turn = _Turn([], 0)
        while self._transport is not None and not self._paused and not turn.is_last:
            turn = self._gather(turn.at)
            if turn.answers:
                self._transport.write(b"".join(turn.answers))
                self._all.heard(self)
            if turn.is_broken:
                self.end()
        self._rest = self._rest[turn.at :]

    def _gather(self, at: int) -> "_Turn":
        """Answers to the questions from byte `at` of `_rest` on, for one write."""
        rest, settings = self._rest, self._all.settings
        answers: list[bytes] = []
        gathered = 0
        while gathered < settings.tcp_turn_max_bytes:
            start = at + PREFIX_BYTES
            end = start + int.from_bytes(rest[at:start], "big")
            if end - start > settings.message_max_bytes:
                return _Turn(answers, at, is_last=True, is_broken=True)
            if max(start, end) > len(rest):
                return _Turn(answers, at, is_last=True)
            self._all.stats.received += 1
            answer = self._all.handler.over_tcp(rest[start:end])
            if answer is None:
                return _Turn(answers, at, is_last=True, is_broken=True)
            at = end
            if isinstance(answer, Later):
                self._due_count += 1
                answer.then(self._answer_late)
                continue
            answers += (len(answer).to_bytes(PREFIX_BYTES, "big"), answer)
            gathered += len(answer)
        return _Turn(answers, at)


class _Turn(NamedTuple):
    """What one write carries: prefixes and answers, and where in the stream the next question starts."""

    answers: list[bytes]
    at: int
    is_last: bool = False
    """The next question is not complete."""
    is_broken: bool = False
    """What comes next is no question."""
