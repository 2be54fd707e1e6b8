"""Name servers for tests, on real sockets: one answers what a plain function says, over UDP and TCP, on a port of its own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import dns.message
import dns.rcode
import dns.rrset

Answering = Callable[[dns.message.Message, bool], bytes | None]
"""What to say to a query; the second argument tells TCP from UDP. None: nothing."""


Late = Callable[["NameServer", dns.message.Message, tuple[str, int]], Coroutine[Any, Any, None]]
"""Answers a query whenever it wants."""


class NameServer(asyncio.DatagramProtocol):
    def __init__(self, answering: Answering) -> None:
        self.answering = answering
        self.queries: list[dns.message.Message] = []
        self.ports: set[int] = set()
        self.port = 0
        self.asked = asyncio.Event()
        self._peer = ("", 0)
        self._late: Late | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert hasattr(transport, "sendto")
        self._transport = transport  # type: ignore[assignment]  # uvloop's is no class of asyncio

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.ports.add(addr[1])
        self._peer = addr
        if self._late is not None:
            self.queries.append(query := dns.message.from_wire(data))
            self.asked.set()
            self._tasks.append(asyncio.get_running_loop().create_task(self._late(self, query, addr)))
        elif (answer := self.answer(data, tcp=False)) is not None and self._transport is not None:
            self._transport.sendto(answer, addr)

    def later(self, late: "Late") -> list[asyncio.Task[None]]:
        """From now on answer over UDP when `late` says so; the tasks that do are added to the list."""
        self._late = late
        return self._tasks

    def send_to(self, data: bytes, peer: tuple[str, int]) -> None:
        assert self._transport is not None
        self._transport.sendto(data, peer)

    def send(self, data: bytes) -> None:
        """To whoever asked last."""
        assert self._transport is not None
        self._transport.sendto(data, self._peer)

    def answer(self, data: bytes, *, tcp: bool) -> bytes | None:
        query = dns.message.from_wire(data)
        self.queries.append(query)
        self.asked.set()
        return self.answering(query, tcp)

    async def over_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            data = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            if (answer := self.answer(data, tcp=True)) is not None:
                writer.write(len(answer).to_bytes(2, "big") + answer)
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def name_server(answering: Answering) -> AsyncIterator[NameServer]:
    server = NameServer(answering)
    loop = asyncio.get_running_loop()
    for _ in range(50):
        tcp = await asyncio.start_server(server.over_tcp, "127.0.0.1", 0)
        server.port = tcp.sockets[0].getsockname()[1]
        try:
            transport, _ = await loop.create_datagram_endpoint(lambda: server, local_addr=("127.0.0.1", server.port))
            break
        except OSError:
            tcp.close()
    else:
        raise AssertionError("no port is free for both UDP and TCP")
    try:
        yield server
    finally:
        transport.close()
        tcp.close()
        await tcp.wait_closed()


def reply(query: dns.message.Message, *records: str, rcode: str = "NOERROR") -> dns.message.Message:
    """A response with these answers, each `name ttl type data`."""
    response = dns.message.make_response(query, recursion_available=True)
    response.set_rcode(dns.rcode.from_text(rcode))
    for record in records:
        name, ttl, kind, data = record.split(maxsplit=3)
        response.answer.append(dns.rrset.from_text(name, int(ttl), "IN", kind, data))
    return response


def says(*records: str, rcode: str = "NOERROR") -> Answering:
    """The same answer to everything."""
    return lambda query, _tcp: reply(query, *records, rcode=rcode).to_wire()


def silence(_query: dns.message.Message, _tcp: bool) -> None:
    """Nothing at all."""
