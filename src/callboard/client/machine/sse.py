"""Server-sent events, the reading half (WHATWG HTML section 9.2.6): bytes in, in pieces of any size; events out.

A parser lives as long as its stream. An event that the end of the stream cuts off is never seen, as the specification wants it.
"""

from typing import Final, NamedTuple

from callboard.model.errors import CallboardError

EVENT_MAX_BYTES: Final = 4 * 1024 * 1024
_BOM: Final = b"\xef\xbb\xbf"


class StreamError(CallboardError):
    """The stream is none that could be read."""

    code = "stream"


class SseEvent(NamedTuple):
    """One event: its type (`message` when it has none), its data, and the id that a reader who has seen it resumes from."""

    event: str
    data: str
    id: str


class SseParser:
    """Cuts a stream into events."""

    def __init__(self, last_id: str = "", *, event_max_bytes: int = EVENT_MAX_BYTES) -> None:
        self.last_id = last_id
        """Id of the last event that was seen whole."""
        self.retry_ms: int | None = None
        """How long the server asks readers to wait before they come back; None when it has not said."""
        self._event_max_bytes = event_max_bytes
        self._rest = bytearray()
        self._size = 0
        self._started = False
        self._id = last_id
        self._type = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> list[SseEvent]:
        """The events that `piece` completes, in order. Raises `StreamError` for an event of more than `event_max_bytes`."""
        self._rest += piece
        if not self._started:
            if len(self._rest) < len(_BOM) and _BOM.startswith(bytes(self._rest)):
                return []
            self._started = True
            if self._rest.startswith(_BOM):
                del self._rest[: len(_BOM)]
        events = []
        for line in self._lines():
            if line:
                self._field(line)
            elif (event := self._dispatch()) is not None:
                events.append(event)
        self._limit(len(self._rest))
        return events

    def _limit(self, more: int) -> None:
        if self._size + more > self._event_max_bytes:
            raise StreamError(f"an event of more than {self._event_max_bytes} bytes")

    def _lines(self) -> list[bytes]:
        """Whole lines. A CR at the very end waits for the next piece: it may be half of a CR LF."""
        data = bytes(self._rest)
        held = data.endswith(b"\r")
        if held:
            data = data[:-1]
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = data.split(b"\n")
        self._rest = bytearray(rest + b"\r" if held else rest)
        return lines

    def _field(self, line: bytes) -> None:
        self._limit(len(line))
        name, _, value = line.partition(b":")
        if not name:
            return  # a comment
        self._size += len(line)
        text = value.removeprefix(b" ").decode(errors="replace")
        if name == b"data":
            self._data.append(text)
        elif name == b"event":
            self._type = text
        elif name == b"id" and "\0" not in text:
            self._id = text
        elif name == b"retry" and text.isascii() and text.isdigit():
            self.retry_ms = int(text)

    def _dispatch(self) -> SseEvent | None:
        self.last_id = self._id
        kind, data = self._type, self._data
        self._type, self._data, self._size = "", [], 0
        return SseEvent(kind or "message", "\n".join(data), self.last_id) if data else None
