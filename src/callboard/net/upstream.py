"""Other name servers, asked on behalf of our clients: over UDP, and over TCP when the answer does not fit.

Each question has a socket of its own, connected to the server that is asked: so its port is one of chance, and the kernel takes nothing
from elsewhere; the id is drawn from the machine's randomness. Equal questions that wait at the same time are one: that saves those servers
work, gives a forger no better odds, and lets a question that comes back to us (from a server that asks us) wait for itself, and end.
It lives as long as its frontend.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, NamedTuple

from callboard.model.errors import InvalidError
from callboard.net.dial import host_port, is_address
from callboard.net.messages import PREFIX_BYTES
from callboard.net.tasks import Tasks
from callboard.wire.dns_responses import Asked, ask_message, is_answer, is_cut, rcode_of

Strategy = Literal["sequential", "random"]
Then = Callable[[bytes | None], None]
"""Told the whole answer, or None when there is none."""
DEFAULT_PORT: Final = 53
_FINAL_CODES: Final = frozenset({0, 3})
"""NOERROR and NXDOMAIN: no other server would know better."""


class Server(NamedTuple):
    """A name server, by its address."""

    host: str
    port: int

    def __str__(self) -> str:
        return host_port(self.host, self.port)


def parse_server(text: str) -> Server:
    """`address`, `address:port`, `[v6]:port`. Raises `InvalidError`: a name would have to be asked for first."""
    host, colon, port = (text, "", "") if is_address(text) else text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    number = int(port) if port.isascii() and port.isdigit() else 0 if colon else DEFAULT_PORT
    if not is_address(host) or not 1 <= number <= 65_535:
        raise InvalidError("recursor", f"{text[:100]!r} must be an IP address, or address:port with a port of 1 to 65535")
    return Server(host, number)


class UpstreamLimits(NamedTuple):
    """In what order servers are asked, how long each may take, and how many questions of clients may wait."""

    strategy: Strategy
    timeout_max_ms: int
    parallel_max_count: int


@dataclass(slots=True)
class UpstreamStats:
    """Plain counters."""

    waiting_now: int = 0
    """Questions of clients that wait."""


class Upstream:
    """The servers, and the questions under way. Use it on one loop."""

    def __init__(
        self, servers: Sequence[Server], limits: UpstreamLimits, nonce: Callable[[], str], chance: Callable[[], float]
    ) -> None:  # fmt: skip
        self._servers = tuple(servers)
        self._limits = limits
        self._nonce = nonce
        self._chance = chance
        self._waiting: dict[Asked, list[Then]] = {}
        self._tasks = Tasks()
        self.stats = UpstreamStats()

    def ask(self, asked: Asked, then: Then) -> bool:
        """Ask, and call `then` with the answer, not before this returns. False, and nothing happens, when too many wait already."""
        if self.stats.waiting_now >= self._limits.parallel_max_count:
            return False
        self.stats.waiting_now += 1
        key = asked._replace(question=asked.question.lower())
        if (others := self._waiting.get(key)) is not None:
            others.append(then)
        else:
            self._waiting[key] = [then]
            self._tasks.spawn(self._work(key), name="recursion")
        return True

    async def close(self) -> None:
        """Give up what waits."""
        await self._tasks.close()

    async def _work(self, asked: Asked) -> None:
        answer: bytes | None = None
        try:
            answer = await self._answer(asked)
        finally:
            waiting = self._waiting.pop(asked)
            self.stats.waiting_now -= len(waiting)
            for then in waiting:
                then(answer)

    async def _answer(self, asked: Asked) -> bytes | None:
        """The answer of the first server that has one. A refusal is passed on when none has."""
        refusal = None
        for server in self._order():
            try:
                async with asyncio.timeout(self._limits.timeout_max_ms / 1000):
                    answer = await self._exchange(server, asked)
            except (OSError, EOFError):  # a timeout is one of them
                continue
            if rcode_of(answer) in _FINAL_CODES:
                return answer
            refusal = answer
        return refusal

    def _order(self) -> list[Server]:
        servers = list(self._servers)
        if self._limits.strategy == "random":
            servers.sort(key=lambda _: self._chance())
        return servers

    async def _exchange(self, server: Server, asked: Asked) -> bytes:
        number = int.from_bytes(hashlib.sha256(self._nonce().encode()).digest()[:2], "big")
        query = ask_message(asked, number)
        accept = partial(is_answer, query=query, question=asked.question)
        answer = await _over_udp(server, query, accept)
        return await _over_tcp(server, query, accept) if is_cut(answer) else answer


async def _over_udp(server: Server, query: bytes, accept: Callable[[bytes], bool]) -> bytes:
    loop = asyncio.get_running_loop()
    transport, exchange = await loop.create_datagram_endpoint(lambda: _Exchange(loop, accept), remote_addr=server)
    try:
        transport.sendto(query)
        return await exchange.answer
    finally:
        transport.abort()


class _Exchange(asyncio.DatagramProtocol):
    """Waits for the one datagram that answers; forged and late ones are passed over."""

    def __init__(self, loop: asyncio.AbstractEventLoop, accept: Callable[[bytes], bool]) -> None:
        self.answer: asyncio.Future[bytes] = loop.create_future()
        self._accept = accept

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Perhaps the answer."""
        if not self.answer.done() and self._accept(data):
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there: no need to wait for the timeout."""
        if not self.answer.done():
            self.answer.set_exception(exc if isinstance(exc, OSError) else OSError(str(exc)))


async def _over_tcp(server: Server, query: bytes, accept: Callable[[bytes], bool]) -> bytes:
    reader, writer = await asyncio.open_connection(*server)
    try:
        writer.write(len(query).to_bytes(PREFIX_BYTES, "big") + query)
        answer = await reader.readexactly(int.from_bytes(await reader.readexactly(PREFIX_BYTES), "big"))
    finally:
        writer.transport.abort()
    if not accept(answer):
        raise ConnectionError("the answer is to another question")
    return answer
