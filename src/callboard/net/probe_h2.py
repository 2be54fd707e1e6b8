"""Probes over HTTP/2: a PING, and gRPC's standard health question. One connection each, bounded in bytes; the caller bounds the time.

The protocol itself is `h2`, which does no input and output; these classes carry its bytes. A connection lives for one question.
"""

import asyncio
from abc import ABC, abstractmethod
from typing import Final, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingAckReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import H2Error

from callboard.net.client import USER_AGENT, RequestError
from callboard.net.dial import reason
from callboard.wire import grpc_health

ANSWER_MAX_BYTES: Final = 65_536
"""Of all that a peer sends: a health answer has a few dozen bytes."""
_PING: Final = b"callbord"
"""A PING has eight bytes."""
_GRPC: Final = "application/grpc"
_SHOWN_MAX_CHARS: Final = 80
_OLD: Final = b"HTTP/1"
"""As a frame of HTTP/2 it would be one that never ends."""


class _Asking(asyncio.Protocol, ABC):
    """One HTTP/2 connection and one question on it."""

    def __init__(self) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._transport: asyncio.WriteTransport | None = None
        self._received_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast(asyncio.WriteTransport, transport)
        self.h2.initiate_connection()
        self.ask()
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Read until there is an answer."""
        if self.done.done():
            return
        if not self._received_bytes and data.startswith(_OLD):
            self.fail("the peer speaks HTTP/1, not HTTP/2")
            return
        self._received_bytes += len(data)
        if self._received_bytes > ANSWER_MAX_BYTES:
            self.fail(f"the answer is larger than {ANSWER_MAX_BYTES} bytes")
            return
        try:
            for event in self.h2.receive_data(data):
                self.take(event)
        except (H2Error, UnicodeDecodeError) as error:
            self.fail(f"malformed HTTP/2: {error}")
            return
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """There will be no answer."""
        self.fail(reason(exc) if isinstance(exc, OSError) else "the connection was closed without an answer (EOF)")

    def _flush(self) -> None:
        data = self.h2.data_to_send()
        if data and self._transport is not None:
            self._transport.write(data)

    def finish(self) -> None:
        """There is an answer."""
        if not self.done.done():
            self.done.set_result(None)

    def fail(self, problem: str) -> None:
        """There is none."""
        if not self.done.done():
            self.done.set_exception(RequestError(problem))
            self.done.exception()  # perhaps nobody waits for it any more

    @abstractmethod
    def ask(self) -> None:
        """Send the question."""

    def take(self, event: Event) -> None:
        """Something came."""
        if isinstance(event, ConnectionTerminated):
            self.fail(f"the peer ended the connection (GOAWAY, error {event.error_code})")


class PingAsking(_Asking):
    """A PING; done when it is acknowledged."""

    def ask(self) -> None:
        """Send it."""
        self.h2.ping(_PING)

    def take(self, event: Event) -> None:
        """Only its acknowledgement is of interest."""
        if isinstance(event, PingAckReceived) and event.ping_data == _PING:
            self.finish()
        super().take(event)


class HealthAsking(_Asking):
    """gRPC's health question; done when the call has ended. What it came to is in `status`, or in `error`."""

    def __init__(self, authority: str, service: str, *, secure: bool) -> None:
        super().__init__()
        self.body = bytearray()
        self.error = ""
        self._authority = authority
        self._service = service
        self._scheme = "https" if secure else "http"
        self._told = False
        """Whether the server said what the call came to."""

    def ask(self) -> None:
        """Make the call."""
        stream = self.h2.get_next_available_stream_id()
        fields = [
            (":method", "POST"), (":scheme", self._scheme), (":path", grpc_health.PATH), (":authority", self._authority),
            ("content-type", "application/grpc"), ("te", "trailers"), ("user-agent", USER_AGENT),
        ]  # fmt: skip
        self.h2.send_headers(stream, fields)
        self.h2.send_data(stream, grpc_health.request(self._service), end_stream=True)

    def take(self, event: Event) -> None:
        """Collect the answer."""
        if isinstance(event, ResponseReceived):
            fields = {str(name): str(value) for name, value in event.headers or ()}
            self._judge_head(fields)
            self._judge(fields)
        elif isinstance(event, TrailersReceived):
            self._judge({str(name): str(value) for name, value in event.headers or ()})
        elif isinstance(event, DataReceived):
            self.body += event.data or b""
        elif isinstance(event, StreamEnded):
            if not self.error and not self._told:
                self.error = grpc_health.error_text("13", "server closed the stream without sending trailers")
            self.finish()
        elif isinstance(event, StreamReset):
            self.fail(f"the call was reset (error {event.error_code})")
        super().take(event)

    def _judge_head(self, fields: dict[str, str]) -> None:
        """Whoever answers otherwise than gRPC does is something else."""
        http, content = fields.get(":status", ""), fields.get("content-type", "")
        if http != "200":
            self.error = f"unexpected HTTP status code received from server: {http}"
        elif not content.startswith(_GRPC):
            self.error = grpc_health.error_text("2", f'received unexpected content-type "{content[:_SHOWN_MAX_CHARS]}"')

    def _judge(self, fields: dict[str, str]) -> None:
        """Header fields and trailers say whether the call failed; a short answer has only the former."""
        code = fields.get("grpc-status", "")
        self._told = self._told or bool(code)
        if code not in {"", "0"}:
            self.error = grpc_health.error_text(code, fields.get("grpc-message", ""))
