"""One connection to one server. It lives from `connect` until either side closes it."""

import contextlib
import io
import socket
import ssl
import time
from http.client import BadStatusLine, HTTPConnection, HTTPException, HTTPResponse, IncompleteRead, RemoteDisconnected
from typing import TYPE_CHECKING, Final

from callboard.client.settings import Base
from callboard.client.trust import is_refusal, tls_reason
from callboard.model.errors import InvalidError
from callboard.net.tls import ClientTrust

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_PIECE_BYTES: Final = 1 << 16
_TIMEOUT_MIN_S: Final = 0.001
_SAID_MAX_CHARS: Final = 60
"""Of what is no HTTP, so much is shown."""


class BrokenError(Exception):
    """It failed after some of the request may have been sent. Never leaves the client."""


class Link(HTTPConnection):
    """An `HTTPConnection` with a deadline for the whole exchange, which keeps hold of its socket.

    `HTTPConnection` hands the socket over with the last answer it expects; to end a read from another thread one must still have it.
    """

    def __init__(self, base: Base, deadline: float, trust: ClientTrust | None = None) -> None:
        """`trust` is for a base whose URL says https."""
        super().__init__(base.host, base.port, timeout=_left(deadline))
        self.base = base
        self.response_class = self._response  # type: ignore[assignment]  # what makes one
        self._until: float | None = None
        """When the exchange under way must be over; None: each read has a limit of its own."""
        self._trust = trust if base.secure else None
        self._line: socket.socket | None = None

    def connect(self) -> None:
        """Open it. Raises `OSError`."""
        try:
            super().connect()
        except UnicodeError as error:
            raise OSError(f"{self.host!r} is no host name ({error})") from None
        if self._trust is not None:
            self.sock = self._secured(self._trust)
        self._line = self.sock

    def _secured(self, trust: ClientTrust) -> ssl.SSLSocket:
        """Shake hands. Raises `OSError`."""
        plain = self.sock
        try:
            return trust.context().wrap_socket(plain, server_hostname=self.host)
        except InvalidError as error:
            plain.close()
            raise OSError(str(error)) from None
        except BaseException:
            plain.close()
            raise

    def limit(self, seconds: float) -> None:
        """No single read or write may take longer from now on."""
        self._until = None
        if self._line is not None:
            self._line.settimeout(seconds)

    def pace(self) -> None:
        """Before each read of an answer: a server that sends it byte by byte gets no more time than one that is silent."""
        if self._until is not None and self._line is not None:
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._line.settimeout(left)

    def _response(self, line: socket.socket, debuglevel: int = 0, method: str | None = None) -> HTTPResponse:
        return HTTPResponse(_Paced(line, self), debuglevel, method)  # type: ignore[arg-type]  # it asks for a file, and for nothing else

    def alive(self) -> bool:
        """Whether it is open, idle, and the server has not closed it meanwhile."""
        if self.sock is None:
            return False
        self.sock.settimeout(0)
        try:
            # What would be read is lost: it is an answer to nothing, and the connection is not used again.
            self.sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False  # closed, or an answer to nothing

    def send_request(self, method: str, target: str, body: bytes, headers: dict[str, str], deadline: float) -> HTTPResponse:
        """Send and read the head of the answer. Raises `OSError` when it could not be opened, `BrokenError` after that.

        A server that wants no such client says so only when something was sent (TLS 1.3): it has not read it.
        """
        if self.sock is None:
            self.connect()
        self.limit(_left(deadline))
        self._until = deadline
        try:
            self.request(method, self.base.path + target, body or None, headers)
            return self.getresponse()
        except (OSError, HTTPException) as error:
            if is_refusal(error):
                raise
            raise BrokenError(reason(error)) from None

    def read_body(self, response: HTTPResponse, limit_bytes: int, deadline: float) -> bytes | None:
        """The rest of the answer; None when it is larger than `limit_bytes`. Raises `BrokenError`."""
        pieces: list[bytes] = []
        size = 0
        self._until = deadline
        try:
            while piece := response.read1(_PIECE_BYTES):
                pieces.append(piece)
                size += len(piece)
                if size > limit_bytes:
                    return None
        except (OSError, HTTPException) as error:
            raise BrokenError(reason(error)) from None
        if response.length:
            raise BrokenError(f"the answer broke off, {response.length} bytes before its end")
        response.close()  # read1 leaves it open, and the connection waits for that
        return b"".join(pieces)

    def shut(self) -> None:
        """Close it; a thread that reads from it gets the end at once."""
        self.break_off()
        self.close()

    def break_off(self) -> None:
        """Whoever reads from it gets the end at once; from any thread."""
        if self._line is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._line, socket.SHUT_RDWR)  # TLS has a state of its own, in the hands of who reads


class _Paced(io.RawIOBase):
    """The file that an answer is read from, whose every read is paced. It lives as long as the answer."""

    def __init__(self, line: socket.socket, link: Link) -> None:
        self._file = line.makefile("rb", buffering=0)
        self._link = link

    def makefile(self, mode: str) -> io.BufferedReader:
        """As a socket's."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        self._link.pace()
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class Stream:
    """An answer that does not end: read in pieces by one thread, closed by any."""

    def __init__(self, link: Link, response: HTTPResponse, silence_max_ms: int) -> None:
        self._link = link
        self._response = response
        link.limit(silence_max_ms / 1000)

    def read(self) -> bytes:
        """The next piece; empty at the end, however it came: closed, broken, or silent for too long."""
        try:
            return self._response.read1(_PIECE_BYTES)
        except (OSError, HTTPException, ValueError, AttributeError):  # the last two: closed by another thread in the middle of a read
            return b""

    def close(self) -> None:
        """End it."""
        self._link.shut()
        with contextlib.suppress(OSError, ValueError):
            self._response.close()


def reason(error: BaseException) -> str:
    """Why it failed, in a few words."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return tls_reason(error)
    if isinstance(error, RemoteDisconnected):
        return "it closed the connection without an answer"
    if isinstance(error, BadStatusLine):
        return f"what answers does not speak HTTP: {str(error).strip()[:_SAID_MAX_CHARS]!r}"
    if isinstance(error, IncompleteRead):
        return "the answer broke off"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    text = str(error) or type(error).__name__
    return text if text.isprintable() else repr(text)


def _left(deadline: float) -> float:
    return max(_TIMEOUT_MIN_S, deadline - time.monotonic())
