"""Large answers are compressed beside the loop: whoever wants one gets it compressed, in its turn, and nobody else waits meanwhile."""

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from callboard.model.rows import Revision
from callboard.model.time import SECOND, Duration
from callboard.model.topics import Topic
from callboard.net import threads
from callboard.net.http import coding
from callboard.net.http.message import TEXT, Answer, Content, Read, Reply, Request, Route, Site
from callboard.net.http.server import HttpServer
from callboard.net.http.settings import HttpSettings
from tests.net.http.fake import Client, FakeErrors, connected, run, until
from tests.support import PATIENCE_S

ZIPPED = "accept-encoding: gzip"
LARGE = 4_000


class Gate:
    """Holds every compression until it is let through, and notes which thread did it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = threading.Event()
        self.begun = 0
        self.threads: set[str] = set()
        self._gzip = coding.gzip
        monkeypatch.setattr(coding, "gzip", self._pack)

    def _pack(self, body: bytes | memoryview) -> bytes:
        self.begun += 1
        self.threads.add(threading.current_thread().name)
        assert self.open.wait(PATIENCE_S)
        return self._gzip(body)


class Large:
    """One large text, kept, waited for and plain, on both ways."""

    def __init__(self, **settings: Any) -> None:
        self.revision = 1
        self.text = b"a" * LARGE
        self.server = HttpServer((self.site(),), HttpSettings(gzip_beside_min_bytes=LARGE, **settings), lambda: self.revision)

    @property
    def asked(self) -> int:
        """Requests that came to the quick door."""
        return self.server.stats.quick + self.server.stats.hits

    def site(self) -> Site:
        routes = [
            Route("GET", "/" * bool(way) + way + path, handler, quick=not way)
            for way in ("", "slow")
            for path, handler in (("/read", self.read), ("/answer", self.answer), ("/small", self.small))
        ]
        return Site("/", tuple(routes), FakeErrors())

    def change(self, byte: bytes) -> None:
        self.revision += 1
        self.text = byte * LARGE
        self.server.changed([Topic("t")])

    def read(self, request: Request) -> Reply:
        after = int(request.query.get("index") or 0)
        return Read("t", (Topic("t"),), self._render, b"x-index", after or None, Duration(60 * SECOND))

    def _render(self) -> Content:
        return Content(Answer(200, self.text, TEXT), Revision(self.revision))

    def answer(self, _: Request) -> Reply:
        return Answer(200, self.text, TEXT)

    def small(self, _: Request) -> Reply:
        return Answer(200, b"small", TEXT)

    async def start(self) -> int:
        ((_, port),) = await self.server.start("127.0.0.1", 0)
        return port


@asynccontextmanager
async def served(large: Large, gate: Gate | None = None) -> AsyncIterator[int]:
    """Its port. At the end nothing is held at the gate any more."""
    try:
        yield await large.start()
    finally:
        if gate is not None:
            gate.open.set()
        await large.server.stop(1.0)


@asynccontextmanager
async def several(port: int, count: int) -> AsyncIterator[list[Client]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(connected(port)) for _ in range(count)]


async def packed(client: Client) -> bytes:
    response = await client.response()
    assert (response.status, response.headers["content-encoding"]) == (200, "gzip")
    return gzip.decompress(response.body)


@pytest.mark.parametrize("target", ["/read", "/answer", "/slow/read", "/slow/answer"])
def test_nobody_waits_for_what_another_has_compressed(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        gate, large = Gate(monkeypatch), Large()
        async with served(large, gate) as port, connected(port) as one, connected(port) as other:
            one.ask(f"GET {target}", ZIPPED)
            one.ask("GET /small")
            await until(lambda: gate.begun)
            for _ in range(3):
                assert (await other.get("/small")).body == b"small"
            assert (await other.get(target)).body == large.text, "as it is"
            gate.open.set()
            assert await packed(one) == large.text
            assert (await one.response()).body == b"small", "in its turn"
            assert gate.threads == {"callboard-gzip"}
        assert "callboard-gzip" not in {thread.name for thread in threading.enumerate()}

    run(scenario())


def test_it_is_compressed_once_for_all_who_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        gate, large = Gate(monkeypatch), Large()
        async with served(large, gate) as port, several(port, 40) as clients:
            for client in clients:
                client.ask("GET /read", ZIPPED)
            await until(lambda: large.asked == len(clients))
            gate.open.set()
            for client in clients:
                assert await packed(client) == large.text
            for _ in range(3):
                clients[0].ask("GET /read", ZIPPED)
                assert await packed(clients[0]) == large.text
            assert gate.begun == 1

    run(scenario())


@pytest.mark.parametrize("way", ["", "/slow"])
def test_who_waits_for_a_change_gets_it_compressed_on_either_way(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        gate, large = Gate(monkeypatch), Large(wake_pause_us_per_waiter=0, wake_pause_renderings_count=0)
        gate.open.set()
        async with served(large) as port, connected(port) as zipped, connected(port) as plain:
            for round_number, byte in enumerate((b"b", b"c", b"d")):
                for client, fields in ((zipped, (ZIPPED,)), (plain, ())):
                    client.ask(f"GET {way}/read?index={large.revision}", *fields)
                await until(lambda: large.server.stats.parked_now == 2)
                large.change(byte)
                assert await packed(zipped) == byte * LARGE
                assert (await plain.response()).body == byte * LARGE
                assert gate.begun == round_number + 1
            assert gate.threads == {"callboard-gzip"}

    run(scenario())


def test_a_change_while_it_is_compressed_reaches_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        gate, large = Gate(monkeypatch), Large(wake_pause_us_per_waiter=0, wake_pause_renderings_count=0)
        gate.open.set()
        async with served(large, gate) as port, connected(port) as early, connected(port) as late:
            early.ask("GET /read", ZIPPED)
            assert await packed(early) == large.text
            early.ask(f"GET /read?index={large.revision}", ZIPPED)
            await until(lambda: large.server.stats.parked_now == 1)
            gate.open.clear()
            large.change(b"b")
            await until(lambda: gate.begun == 2)
            late.ask(f"GET /read?index={large.revision}", ZIPPED)
            await until(lambda: large.server.stats.parked_now == 2)
            large.change(b"c")
            gate.open.set()
            assert await packed(early) == b"c" * LARGE
            assert await packed(late) == b"c" * LARGE
            early.ask(f"GET /read?index={large.revision}", ZIPPED)
            await until(lambda: large.server.stats.parked_now == 1)
            large.change(b"d")
            assert await packed(early) == b"d" * LARGE

    run(scenario())


def test_who_leaves_meanwhile_harms_nobody_and_a_stop_waits_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        gate, large = Gate(monkeypatch), Large()
        port = await large.start()
        try:
            async with connected(port) as gone, connected(port) as stays:
                gone.ask("GET /read", ZIPPED)
                stays.ask("GET /read", ZIPPED)
                await until(lambda: large.asked == 2)
                gone.close()
                stopping = asyncio.create_task(large.server.stop(20.0))
                await asyncio.sleep(0)
                gate.open.set()
                assert await packed(stays) == large.text
                await stopping
        finally:
            gate.open.set()

    run(scenario())


class Standing(Large):
    """The same, telling how the server stands."""

    standing = b"1"

    def read(self, _: Request) -> Reply:
        return Read("t", (Topic("t"),), self._render, b"x-index", standing=lambda: ((b"x-standing", self.standing),))

    def stands(self, standing: bytes) -> None:
        """From the next second on."""
        self.standing = standing
        self.server._hub.tick(float(standing) * 1_000)  # noqa: SLF001  # else a test would wait for it, a second each


def test_another_head_is_no_reason_to_compress_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        gate, large = Gate(monkeypatch), Standing()
        async with served(large, gate) as port, connected(port) as one, connected(port) as plain:
            one.ask("GET /read", ZIPPED)
            await until(lambda: gate.begun)
            large.stands(b"2")
            assert (await plain.get("/read")).headers["x-standing"] == "2"
            gate.open.set()
            assert await packed(one) == large.text
            for standing in (b"2", b"3", b"4"):
                large.stands(standing)
                one.ask("GET /read", ZIPPED)
                response = await one.response()
                assert (response.headers["x-standing"], gzip.decompress(response.body)) == (standing.decode(), large.text)
                assert (await plain.get("/read")).body == large.text
            assert (gate.begun, gate.threads) == (1, {"callboard-gzip"})

    run(scenario())


def test_those_who_waited_share_the_bytes_of_their_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = 0

    def response(*arguments: Any) -> bytes:
        nonlocal encoded
        encoded += 1
        return encode(*arguments)

    encode = coding.response
    monkeypatch.setattr(coding, "response", response)

    async def scenario() -> None:
        gate, large = Gate(monkeypatch), Large()
        async with served(large, gate) as port, several(port, 40) as clients:
            for client in clients:
                client.ask("GET /read", ZIPPED)
            await until(lambda: large.asked == len(clients))
            gate.open.set()
            for client in clients:
                assert await packed(client) == large.text
            assert encoded < len(clients) / 2, "once for all, and once more when a second has passed"

    run(scenario())


def test_a_stop_compresses_nothing_that_nobody_waits_for_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        gate, large = Gate(monkeypatch), Large()
        port = await large.start()
        clients = [Client(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(20)]
        try:
            for client in clients:
                client.ask("GET /answer", ZIPPED)
            await until(lambda: large.asked == len(clients) and gate.begun)
            packer = large.server._hub.packer  # noqa: SLF001  # the moment in which it waits for its thread
            end = packer._end  # noqa: SLF001  # the same
            assert end is not None

            def waiting(time_s: float) -> None:
                gate.open.set()
                end(time_s)

            packer._end = waiting  # noqa: SLF001  # the same
            await large.server.stop(0.0)
            assert gate.begun == 1
        finally:
            gate.open.set()
            for client in clients:
                client.close()

    run(scenario())


@pytest.mark.parametrize("target", ["/read", "/answer", "/slow/read", "/slow/answer"])
def test_where_no_thread_is_to_be_had_it_is_compressed_all_the_same(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "start", none)

    async def scenario() -> None:
        large = Large()
        async with served(large) as port, connected(port) as client:
            for _ in range(3):
                client.ask(f"GET {target}", ZIPPED)
                assert await packed(client) == large.text

    run(scenario())


@pytest.mark.parametrize("way", ["", "/slow"])
def test_what_could_not_be_compressed_ends_its_own_requests_only(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fails = True

    def compress(body: bytes | memoryview) -> bytes:
        if fails:
            raise MemoryError
        return real(body)

    real = coding.gzip
    monkeypatch.setattr(coding, "gzip", compress)

    async def scenario() -> None:
        nonlocal fails
        large = Large(wake_pause_us_per_waiter=0, wake_pause_renderings_count=0)
        async with served(large) as port, connected(port) as client:
            for target in ("/read", "/answer"):
                client.ask(f"GET {way}{target}", ZIPPED)
                response = await client.response()
                assert (response.status, response.body) == (500, b"ours")
            client.ask(f"GET {way}/read?index={large.revision}", ZIPPED)
            await until(lambda: large.server.stats.parked_now == 1)
            large.change(b"b")
            assert (await client.response()).status == 500
            fails = False
            for target in ("/read", "/answer"):
                client.ask(f"GET {way}{target}", ZIPPED)
                assert await packed(client) == large.text

    run(scenario())
