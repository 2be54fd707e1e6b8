"""uvicorn's protocol behind the door: made for the first request of a connection that needs the long way, fed from its first byte on.

It tells the door when it is between two messages, holds the limits that uvicorn has not (it would take a head of any size, and a body of
any length that was announced), and refuses through the door. What is used here of uvicorn beyond its public face is listed, with a test
for each name and each use, in tests/net/http/test_uvicorn.py.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, Protocol

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from callboard.net.http.hosts import authority, refusal
from callboard.net.http.settings import HttpSettings

TOO_LATE: Final = "the request did not come within the time there is for it"
_TOO_MANY_BYTES: Final = 2**63
_FIELD_BYTES: Final = 4
"""Colon, space and line break of a header field."""


class RefusedError(Exception):
    """Stops the parser after a refusal; never leaves this module and uvicorn's."""


class Front(Protocol):
    """The door, seen from behind."""

    def message_began(self) -> None:
        """The first byte of a message was read: whatever follows belongs behind."""
        ...

    def head_ended(self) -> None:
        """The head is complete; perhaps a body follows."""
        ...

    def between_messages(self) -> None:
        """Every message was read whole and answered."""
        ...

    def body_max_bytes(self, method: bytes, target: bytes) -> int:
        """Of a request to that method and target."""
        ...

    def refuse(self, status: int, detail: str, target: bytes = b"") -> object:
        """Answer a message that will not be read, and end the connection."""
        ...


class Uvicorn:
    """uvicorn's settings and state for a server that is run by us: it opens no socket, handles no signal, and logs only errors.

    (It would warn of every malformed request, and twice of every connection of Java's client, which offers HTTP/2.)
    """

    __slots__ = ("_config", "state")

    def __init__(self) -> None:
        self.state = ServerState()
        self._config: Config | None = None

    @property
    def config(self) -> Config:
        """There from `load` on."""
        assert self._config is not None, "loaded before the first connection"
        return self._config

    def load(self, app: Any) -> None:  # noqa: ANN401  # uvicorn's own type for an ASGI application is private
        """Take the application."""
        self._config = Config(
            app, http=Behind, ws="none", lifespan="off", interface="asgi3", log_config=None, log_level=logging.ERROR,
            access_log=False, proxy_headers=False, server_header=False, date_header=False,
        )  # fmt: skip
        self._config.load()


class Behind(HttpToolsProtocol):
    """Lives from the first request that needs it to the end of its connection."""

    def __init__(
        self,
        door: Front,
        settings: HttpSettings,
        uvicorn: Uvicorn,
        loop: asyncio.AbstractEventLoop,
        allows: Callable[[str], bool] | None = None,
    ) -> None:
        """`allows` judges the Host field."""
        super().__init__(uvicorn.config, uvicorn.state, {}, loop)
        self._allows = allows
        self.door: Front | None = door
        self.between = True
        self.deaf = False
        """Something is wrong with what was read: nothing more is."""
        self.url = b""
        self._settings = settings
        self._refusal: tuple[int, str] | None = None
        self._in_head = False
        self._head_bytes = 0
        self._unread_bytes = 0

    @property
    def answering(self) -> bool:
        """Whether a request is being answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    @property
    def answer_began(self) -> bool:
        """Whether some of the present answer was sent."""
        return self.answering and self.cycle.response_started

    def data_received(self, data: bytes) -> None:
        """Bytes of requests. Counts a head that comes without an end, which the parser would collect without a limit."""
        if self.deaf:
            return
        if self._in_head:
            self._unread_bytes += len(data)
        super().data_received(data)
        self._limit_head()

    def too_late(self) -> None:
        """The message that is being read did not come in time."""
        if not self.deaf:
            self._refuse(408, TOO_LATE)

    def on_message_begin(self) -> None:
        """Callback of the parser."""
        self.between = False
        self._in_head = True
        self._head_bytes = self._unread_bytes = 0
        super().on_message_begin()
        if self.door is not None:
            self.door.message_began()

    def on_url(self, url: bytes) -> None:
        """Callback of the parser."""
        self._head_bytes += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Callback of the parser."""
        self._head_bytes += len(name) + len(value) + _FIELD_BYTES
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Callback of the parser."""
        if self._head_bytes > self._settings.head_max_bytes:
            self._refuse_head()
            raise RefusedError
        if (length := self._announced_bytes()) > self._settings.body_max_bytes and length > (limit := self._body_max_bytes()):
            self._refuse(413, f"the body must have at most {limit} bytes")
            raise RefusedError
        self._require_our_host()
        self._in_head = False
        super().on_headers_complete()
        if self.door is not None:
            self.door.head_ended()

    def on_message_complete(self) -> None:
        """Callback of the parser."""
        super().on_message_complete()
        self.between = True
        self._tell()

    def on_response_complete(self) -> None:
        """Callback of uvicorn's cycle."""
        super().on_response_complete()
        self._unset_keepalive_if_required()  # idle connections are the door's business
        if self.deaf:
            self._refuse_in_turn()
        else:
            self._tell()

    def send_400_response(self, msg: str) -> None:
        """Callback of uvicorn: the parser stopped, at garbage or at our refusal."""
        if not self.deaf:
            self._refuse(400, "this is not valid HTTP/1.1")

    def _require_our_host(self) -> None:
        if self._allows is None:
            return
        fields = [value.decode("latin-1") for name, value in self.headers if name == b"host"]
        for host in (authority(self.url), *fields):
            if not self._allows(host):
                self._refuse(403, refusal(host))
                raise RefusedError

    def _announced_bytes(self) -> int:
        length = next((value for name, value in self.headers if name == b"content-length"), b"0")
        return int(length) if len(length) < 20 else _TOO_MANY_BYTES

    def _body_max_bytes(self) -> int:
        return self.door.body_max_bytes(self.parser.get_method(), self.url) if self.door is not None else self._settings.body_max_bytes

    def _limit_head(self) -> None:
        if self._in_head and not self.deaf and max(self._head_bytes, self._unread_bytes) > self._settings.head_max_bytes:
            self._refuse_head()

    def _refuse_head(self) -> None:
        self._refuse(431, f"the request line and header fields must have at most {self._settings.head_max_bytes} bytes")

    def _refuse(self, status: int, detail: str) -> None:
        self.deaf = True
        self._refusal = status, detail
        self._refuse_in_turn()

    def _refuse_in_turn(self) -> None:
        """Earlier requests keep their answers, and answers must not change places: the refusal waits until it has its turn."""
        itself = not self.between and not self._in_head  # what is wrong is in the body of the last request that was begun
        its_turn = not self.pipeline and (itself or not self.answering)
        if self._refusal is not None and its_turn and self.door is not None and not self.transport.is_closing():
            self.door.refuse(*self._refusal, self.url)

    def _tell(self) -> None:
        if self.between and not self.pipeline and not self.answering and self.door is not None and not self.transport.is_closing():
            self.door.between_messages()
