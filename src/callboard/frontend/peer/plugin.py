"""`/peer`: where messages of other members come in, and the courier that brings ours to them."""

from collections.abc import Callable
from typing import Final
from urllib.parse import unquote

from callboard.frontend.base import Frontend, Plugin
from callboard.frontend.peer.courier import CONTENT_TYPE, MEMBER, NONCE, PATH, SIGNATURE, HttpCourier
from callboard.frontend.peer.errors import DENIED, PeerErrors
from callboard.frontend.peer.settings import PeerSettings, PeerStats
from callboard.frontend.peer.signing import same, sign_answer, sign_question
from callboard.net.http.message import Answer, Later, Pending, Reply, Request, Route, Site
from callboard.registry.registry import Registry

_SECRET_NONCES: Final = 3
"""One nonce has 72 bits."""


class _Signed:
    """The answer to a message, with its signature."""

    __slots__ = ("_answer", "_question", "_secret")

    def __init__(self, answer: Pending[bytes], secret: str, question: str) -> None:
        self._answer = answer
        self._secret = secret
        self._question = question

    def then(self, callback: Callable[[Answer], None]) -> None:
        """Call back once with the answer."""

        def tell(answer: bytes) -> None:
            signature = sign_answer(self._secret, self._question, answer)
            callback(Answer(200, answer, CONTENT_TYPE, ((SIGNATURE.encode(), signature.encode()),)))

        self._answer.then(tell)


class Exchange:
    """Its handler; lives as long as the server."""

    def __init__(self, registry: Registry, stats: PeerStats) -> None:
        self._registry = registry
        self._stats = stats

    def take(self, request: Request) -> Reply:
        """A message of another member. Also before the catalog is loaded: that may be what it is about."""
        secret, fields = self._registry.card.secret, request.headers
        question = fields.get(SIGNATURE, "")
        sender, nonce = unquote(fields.get(MEMBER, "")), unquote(fields.get(NONCE, ""))
        if not secret or not same(question, sign_question(secret, sender, nonce, request.body)):
            self._stats.refused += 1
            return DENIED
        self._stats.heard += 1
        return Later(_Signed(self._registry.hear(request.body), secret, question))


def build(registry: Registry, settings: PeerSettings) -> Frontend:
    """The site of `/peer`. It takes messages once it was told where this server is reached."""
    stats = PeerStats()
    route = Route("POST", PATH, Exchange(registry, stats).take, body_max_bytes=settings.message_max_bytes)

    def listening(url: str) -> None:
        secret = "".join(registry.entropy.nonce() for _ in range(_SECRET_NONCES))
        registry.connect(HttpCourier(registry, settings, stats), settings.url or url, secret)

    return Frontend(sites=(Site("/peer", (route,), PeerErrors()),), stats=stats, listening=listening)


PLUGIN: Final = Plugin("peer", PeerSettings, build)
