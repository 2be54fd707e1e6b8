"""Brings messages to other members over kept connections. It lives as long as the registry, which closes it."""

import logging
from typing import Final, Protocol
from urllib.parse import quote, urlsplit

from callboard.frontend.peer.settings import PeerSettings, PeerStats
from callboard.frontend.peer.signing import same, sign_answer, sign_question
from callboard.model.members import Card
from callboard.net.links import Answered, Limits, LinkError, Links
from callboard.net.lookup import Lookups
from callboard.net.tls import ClientFiles, ClientTrust
from callboard.registry.peers import UnreachableError

PATH: Final = "/peer/v1/exchange"
MEMBER: Final = "x-callboard-member"
"""Field with the sender's name, percent-encoded."""
NONCE: Final = "x-callboard-nonce"
"""Field with the sender's process."""
SIGNATURE: Final = "x-callboard-signature"
"""Field of questions and answers."""
CONTENT_TYPE: Final = b"application/vnd.msgpack"
_SIGNATURE_FIELD: Final = SIGNATURE.encode()
_log = logging.getLogger(__name__)


class Around(Protocol):
    """Who sends, and who is present: the registry."""

    @property
    def card(self) -> Card:
        """This member's own."""
        ...

    @property
    def members(self) -> tuple[Card, ...]:
        """Everyone who is present."""
        ...


class HttpCourier:
    """A `Courier` over HTTP."""

    def __init__(self, around: Around, settings: PeerSettings, stats: PeerStats) -> None:
        self._around = around
        self._settings = settings
        self._stats = stats
        self._lookups = Lookups()
        files = ClientFiles(settings.ca_file, settings.cert_file, settings.key_file)
        self._trust = ClientTrust(files, ClientFiles("tune.peer.ca_file", "tune.peer.cert_file", "tune.peer.key_file"))
        self._links: dict[tuple[str, str], Links] = {}
        """By process and URL."""
        self._complaints: dict[str, str] = {}
        """Why the last message to a member, by its process, did not go out: said once, for the way through a third member hides it."""
        self._present: tuple[Card, ...] = ()
        """The members when connections were last sorted out."""

    async def exchange(self, to: Card, message: bytes, timeout_s: float) -> bytes:
        """One message, one answer. Raises `UnreachableError`."""
        self._sort_out()
        try:
            answer = await self._exchange(to, message, timeout_s)
        except LinkError as error:
            self._stats.unreachable += 1
            self._complain(to, error)
            raise UnreachableError(f"member {to.name}: {error}", sent=error.sent) from error
        finally:
            self._stats.connections_now = sum(links.open_count for links in self._links.values())
        self._stats.sent += 1
        if self._complaints.pop(to.nonce, ""):
            _log.warning("member %s is reached at %s again", to.name, to.url)
        return answer

    def _complain(self, to: Card, error: LinkError) -> None:
        if not error.sent and self._complaints.get(to.nonce) != str(error):
            self._complaints[to.nonce] = str(error)
            _log.warning("member %s is not reached at %s: %s", to.name, to.url, error)

    async def _exchange(self, to: Card, message: bytes, timeout_s: float) -> bytes:
        if len(message) > self._settings.message_max_bytes:
            raise LinkError(
                f"the message has {len(message)} bytes, at most {self._settings.message_max_bytes} are sent (message_max_bytes)", sent=False
            )
        if not to.secret:
            raise LinkError("its card has no secret to sign with", sent=False)
        own = self._around.card
        signature = sign_question(to.secret, own.name, own.nonce, message)
        links = self._links_to(to)
        head = (
            f"POST {PATH} HTTP/1.1\r\nhost: {links.place}\r\ncontent-type: {CONTENT_TYPE.decode()}\r\ncontent-length: {len(message)}\r\n"
            f"{MEMBER}: {quote(own.name)}\r\n{NONCE}: {quote(own.nonce)}\r\n{SIGNATURE}: {signature}\r\n\r\n"
        )
        answered = await links.ask(head.encode(), message, timeout_s)
        return self._judged(to, signature, answered)

    @staticmethod
    def _judged(to: Card, signature: str, answered: Answered) -> bytes:
        if answered.status != 200:
            raise LinkError(f"it answered with status {answered.status}")
        said = answered.headers.get(_SIGNATURE_FIELD, b"").decode("latin-1")
        if not same(said, sign_answer(to.secret, signature, answered.body)):
            raise LinkError("the answer is signed by somebody else")
        return answered.body

    def _links_to(self, to: Card) -> Links:
        links = self._links.get((to.nonce, to.url))
        if links is None:
            scheme, host, port = _place_of(to.url)
            settings = self._settings
            limits = Limits(
                settings.connections_max_count, settings.connect_time_max_ms, settings.idle_time_max_ms, settings.message_max_bytes
            )
            links = self._links[to.nonce, to.url] = Links(
                host, port, limits, self._lookups, self._trust if scheme == "https" else None
            )  # fmt: skip
        return links

    def _sort_out(self) -> None:
        """Close the connections to members that have left, or were started again."""
        present = self._around.members
        if present == self._present:
            return
        self._present = present
        here = {(card.nonce, card.url) for card in present}
        for key in self._links.keys() - here:
            self._links.pop(key).close()
        nonces = {card.nonce for card in present}
        for nonce in self._complaints.keys() - nonces:
            del self._complaints[nonce]

    async def close(self) -> None:
        """Close every connection."""
        while self._links:
            self._links.popitem()[1].close()


def _place_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a card's URL. Raises `LinkError`."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise LinkError(f"{url!r} on its card is not a URL: {error}") from None
    if parts.scheme not in {"http", "https"} or not host or not port:
        raise LinkError(f"{url!r} on its card must be http://HOST:PORT or https://HOST:PORT")
    return parts.scheme, host, port
