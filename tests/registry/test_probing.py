"""The driver with a real clock, a real loop and real sockets: seconds, so only what virtual time cannot show."""

import asyncio
import socket
import threading
import time

from callboard.model.check import HttpCheck, ProbeDefinition, Status, TcpCheck
from callboard.model.time import SECOND
from callboard.registry.clock import SystemClock, SystemEntropy
from callboard.registry.registry import Registry
from callboard.registry.settings import RegistrySettings
from callboard.store.memory.engine import MemoryEngine
from callboard.store.memory.store import MemoryStore
from tests.registry.stage import outcome_of, registration, ttl
from tests.support import PATIENCE_S


def _serve(listening: socket.socket) -> None:
    """Answer 200 to whoever comes, until the socket is shut."""
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


async def _turned(registry: Registry, check: str, status: Status, within_s: float) -> float:
    """Seconds until a check has a status."""
    start = time.monotonic()
    async with asyncio.timeout(within_s):
        changed = asyncio.Event()
        leave = registry.subscribe(lambda _: changed.set())
        while (there := registry.view.check("public", "n1", check)) is None or there.status is not status:
            await changed.wait()
            changed.clear()
        leave()
    return time.monotonic() - start


async def _refused(registry: Registry, check: str) -> None:
    """Until it is told that nobody listens; what was under way when the socket went may tell something else first."""
    async with asyncio.timeout(PATIENCE_S):
        while (there := registry.view.check("public", "n1", check)) is None or "connection refused" not in there.output:  # noqa: ASYNC110  # a view
            await asyncio.sleep(0.05)


def test_a_service_that_goes_is_found_out_by_http_tcp_and_ttl_and_one_that_comes_too() -> None:
    async def main() -> None:
        registry = Registry(MemoryStore(MemoryEngine()), RegistrySettings(member="m1"), SystemClock(), SystemEntropy())
        await registry.open()
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        server = threading.Thread(target=_serve, args=(listening,))
        server.start()
        try:
            definitions: dict[str, ProbeDefinition] = {
                "http": HttpCheck(f"http://127.0.0.1:{port}/", SECOND),
                "tcp": TcpCheck("localhost", port, SECOND),
            }
            for name, definition in definitions.items():
                command = registration(definition, instance=name, check=name, nonce=name, status=Status.CRITICAL)
                assert (await outcome_of(registry.submit(command))).refusal is None
            for name in definitions:
                await _turned(registry, name, Status.PASSING, PATIENCE_S)
            assert registry.view.check("public", "n1", "http").output.endswith("200 OK Output: ok")  # type: ignore[union-attr]  # it is there
            await outcome_of(registry.submit(registration(ttl(0.1), instance="ttl", check="ttl", nonce="ttl")))
            assert await _turned(registry, "ttl", Status.CRITICAL, PATIENCE_S) >= 0.08
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            listening.close()
            server.join()
        for name in definitions:
            await _turned(registry, name, Status.CRITICAL, PATIENCE_S)
            await _refused(registry, name)
        await registry.close()

    asyncio.run(main())
