"""Reads from Consul: one connection, which one thread asks over and any other may break off.

Apart from `client.transport`, because an answer may take minutes, and its index stands in a header.
"""

import time
from typing import Final, NamedTuple

from callboard import __version__
from callboard.client.consul.refusals import error_of
from callboard.client.consul.transport import TOKEN_HEADER
from callboard.client.errors import ProtocolError, UnavailableError, UnreachableError
from callboard.client.link import BrokenError, Link, reason
from callboard.client.settings import Base, ClientSettings
from callboard.client.trust import trust_of

_INDEX: Final = "X-Consul-Index"
_FILTERED: Final = "X-Consul-Results-Filtered-By-ACLs"
_INDEX_MAX: Final = 2**64 - 1


class Answer(NamedTuple):
    """What was answered, and what its headers say about it."""

    body: bytes
    revision: int
    """X-Consul-Index."""
    filtered: bool
    """Some of it was left out, for the token may not see it."""
    url: str


class Asker:
    """One connection to whichever server answers, kept as long as that goes well. It lives as long as what it asks for is wanted."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._bases = list(settings.bases)
        self._headers = {"User-Agent": f"callboard-python/{__version__}", "Accept": "application/json"}
        if settings.token:
            self._headers[TOKEN_HEADER] = settings.token
        self._trust = trust_of(settings)
        self._line: Link | None = None
        self._last = False

    @property
    def url(self) -> str:
        """The server there is a connection to."""
        return str(self._line.base) if self._line is not None else ""

    def connect(self) -> bool:
        """Have a connection. Answers whether what was asked before may go on: it is the same one, or was closed in good order.

        Raises `UnreachableError`.
        """
        if self._line is not None and self._line.alive():
            return True
        in_order = self._line is None and self._last
        self.drop()
        self._line = self._open()
        return in_order

    def ask(self, target: str, answer_ms: int) -> Answer:
        """One question, over the connection there is. Raises `BrokenError`, and the `ClientError` that a refusal means."""
        line = self._line
        if line is None:
            raise BrokenError("not connected")
        response = line.send_request("GET", target, b"", self._headers, time.monotonic() + answer_ms / 1000)
        body = line.read_body(response, self._settings.answer_max_bytes, time.monotonic() + self._settings.timeout_ms / 1000)
        url = str(line.base)
        if body is None:
            raise ProtocolError(url, f"an answer of more than {self._settings.answer_max_bytes} bytes")
        if response.status != 200:
            raise error_of(response.status, body, url, response.headers.get("Retry-After", ""))
        index = response.headers.get(_INDEX, "")
        if not (index.isascii() and index.isdigit()) or int(index) > _INDEX_MAX:
            raise ProtocolError(url, f"an answer without {_INDEX}")
        if response.will_close:
            self.drop()
            self._last = True
        return Answer(body, max(1, int(index)), response.headers.get(_FILTERED, "").lower() == "true", url)

    def drop(self) -> None:
        """Close the connection, and ask another server the next time, if there is one."""
        self._last = False
        if (line := self._line) is not None:
            self._line = None
            line.close()

    def turn(self) -> None:
        """Ask the next server from now on."""
        self._bases = [*self._bases[1:], self._bases[0]]

    def break_off(self) -> None:
        """From another thread: the one that asks fails at once."""
        if (line := self._line) is not None:
            line.break_off()

    def _open(self) -> Link:
        reasons: dict[str, str] = {}
        for base in list(self._bases):
            try:
                return self._connected(base)
            except OSError as error:
                reasons[str(base)] = reason(error)
                self.turn()
        raise UnreachableError(reasons)

    def _connected(self, base: Base) -> Link:
        line = Link(base, time.monotonic() + self._settings.timeout_ms / len(self._bases) / 1000, self._trust)
        try:
            line.connect()
        except OSError:
            line.close()
            raise
        return line


def ask_once(settings: ClientSettings, target: str) -> Answer:
    """Ask the servers in turn until one answers, and says no 5xx. Raises `ClientError`."""
    asker = Asker(settings)
    reasons: dict[str, str] = {}
    refused: UnavailableError | None = None
    try:
        for _ in settings.bases:
            asker.connect()
            try:
                return asker.ask(target, settings.timeout_ms)
            except BrokenError as error:
                reasons[asker.url] = str(error)
            except UnavailableError as error:
                refused = refused or error
            asker.drop()
            asker.turn()
    finally:
        asker.drop()
    raise refused or UnreachableError(reasons)
