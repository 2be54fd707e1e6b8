"""The yardstick: a bare uvloop that parses with httptools (or reads a datagram) and answers with constant bytes. Run as a program."""

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import cast

import httptools
import uvloop


class Http(asyncio.Protocol):
    """One connection: every complete request gets the same answer."""

    answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.write = cast(asyncio.Transport, transport).write
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.write(self.answer)


class Datagram(asyncio.DatagramProtocol):
    """Every question gets the same answer, under its own id."""

    def __init__(self, answer: bytes) -> None:
        self.rest = answer[2:]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.send = cast(asyncio.DatagramTransport, transport).sendto

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.send(data[:2] + self.rest, addr)


class Framed(asyncio.Protocol):
    """DNS over TCP, one question in flight: it gets the same answer, under its own id."""

    answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.write = cast(asyncio.Transport, transport).write
        self.length = len(self.answer).to_bytes(2)
        self.rest = self.answer[2:]

    def data_received(self, data: bytes) -> None:
        self.write(self.length + data[2:4] + self.rest)


async def main(kind: str, answer: bytes) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    ready: dict[str, object] = {"ready": True, "pid": os.getpid()}
    if kind == "http":
        Http.answer = answer
        server = await loop.create_server(Http, "127.0.0.1", 0)
        ready["http"] = [f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"]
    elif kind == "dns-tcp":
        Framed.answer = answer
        server = await loop.create_server(Framed, "127.0.0.1", 0)
        ready["dns"] = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    else:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        await loop.create_datagram_endpoint(lambda: Datagram(answer), sock=sock)
        ready["dns"] = f"127.0.0.1:{sock.getsockname()[1]}"
    print(json.dumps(ready), flush=True)
    await stop.wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1], Path(sys.argv[2]).read_bytes()))
