"""A registry over the memory store with the Consul frontend in front, asked through its handlers or over real HTTP on loopback."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import httpx
import msgspec

from callboard.frontend.base import Frontend
from callboard.frontend.consul.plugin import PLUGIN
from callboard.frontend.consul.settings import ConsulSettings
from callboard.model.errors import CallboardError
from callboard.net.http.message import After, Answer, Fields, Later, Read, Reply, Route, Stream
from callboard.net.http.server import HttpServer
from callboard.net.http.settings import HttpSettings
from callboard.registry.clock import SystemClock, SystemEntropy
from callboard.registry.registry import Registry
from callboard.registry.settings import RegistrySettings
from callboard.store.memory.engine import MemoryEngine
from callboard.store.memory.store import MemoryStore
from callboard.wire.url import Query

HERE = "127.0.0.1"


@dataclass
class Asked:
    """A request as a handler sees it."""

    method: str
    path: str
    rest: str
    body: bytes
    query: Query
    headers: Mapping[str, str]
    peer: str
    local: str


@dataclass
class Got:
    """An answer, taken apart."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass
class Consul:
    """The frontend over an open registry. `put` and `get` call handlers, from any address."""

    registry: Registry
    frontend: Frontend

    def __post_init__(self) -> None:
        (self.site,) = self.frontend.sites

    def reply(self, method: str, target: str, body: object = b"", *, peer: str = HERE, headers: Mapping[str, str] | None = None) -> Reply:
        """What the handler says, or how the frontend tells what is wrong."""
        path, _, query = target.partition("?")
        path = unquote(path)
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        asked = Asked(method, path, "", raw, Query(query), headers or {}, peer, HERE if peer == HERE else "10.0.0.1")
        there = self.routes(path)
        if method not in there:
            return self.site.errors.wrong_method(asked, tuple(there)) if there else self.site.errors.unknown_path(asked)
        asked.rest = path.removeprefix(there[method].path)
        try:
            return there[method].handler(asked)
        except CallboardError as error:
            return self.site.errors.failure(error)

    def routes(self, path: str) -> dict[str, Route]:
        """The routes of a path by method: exact ones, else those of the longest prefix."""
        fitting = [route for route in self.site.routes if route.path == path or (route.path.endswith("/") and path.startswith(route.path))]
        longest = max((route.path for route in fitting), key=len, default="")
        return {route.method: route for route in fitting if route.path == longest}

    async def ask(self, method: str, target: str, body: object = b"", *, peer: str = HERE, headers: Mapping[str, str] | None = None) -> Got:
        """The answer as it is now, without blocking."""
        reply = self.reply(method, target, body, peer=peer, headers=headers)
        while isinstance(reply, After):
            told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            reply.pending.then(told.set_result)
            reply = reply.then(await asyncio.wait_for(told, 60))
        if isinstance(reply, Later):
            known: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            reply.pending.then(known.set_result)
            reply = await asyncio.wait_for(known, 60)
        if isinstance(reply, Read):
            content = reply.render()
            named = {reply.index_field.decode().lower(): str(content.index)} if reply.index_field else {}
            standing = reply.standing() if reply.standing is not None else ()
            return Got(content.answer.status, content.answer.body, named | _fields(content.answer.headers) | _fields(standing))
        if isinstance(reply, Stream):
            assert isinstance(reply.chunks, AsyncGenerator)
            first = await asyncio.wait_for(anext(reply.chunks), 60)
            await reply.chunks.aclose()
            return Got(200, first, _fields(reply.headers))
        assert isinstance(reply, Answer)
        return Got(reply.status, reply.body, _fields(reply.headers))

    async def get(self, target: str, *, peer: str = HERE) -> Any:
        """The JSON of a read that must succeed."""
        got = await self.ask("GET", target, peer=peer)
        assert got.status == 200, (target, got)
        return got.json()

    async def put(self, target: str, body: object = b"", *, peer: str = HERE) -> bytes:
        """The body of a write that must succeed."""
        got = await self.ask("PUT", target, body, peer=peer)
        assert got.status == 200, (target, got)
        return got.body

    async def index(self, target: str) -> int:
        """The index of a read."""
        return int((await self.ask("GET", target)).headers["x-consul-index"])


def _fields(fields: Fields) -> dict[str, str]:
    return {name.decode().lower(): value.decode() for name, value in fields}


@asynccontextmanager
async def consul(settings: ConsulSettings | None = None, *, opened: bool = True) -> AsyncIterator[Consul]:
    """The frontend over a registry of its own."""
    registry = Registry(MemoryStore(MemoryEngine()), RegistrySettings(member="m1"), SystemClock(), SystemEntropy())
    frontend = PLUGIN.build(registry, settings or ConsulSettings())
    if opened:
        await registry.open()
    try:
        yield Consul(registry, frontend)
    finally:
        await registry.close()


@dataclass
class Served:
    """The same over HTTP."""

    consul: Consul
    client: httpx.AsyncClient

    async def get(self, target: str, **headers: str) -> httpx.Response:
        return await self.client.get(target, headers=headers)

    async def put(self, target: str, body: object = b"") -> httpx.Response:
        response = await self.client.put(target, content=body if isinstance(body, bytes) else msgspec.json.encode(body))
        assert response.status_code == 200, (target, response.status_code, response.text)
        return response

    def blocked(self, target: str, index: int, wait: str = "10m") -> "asyncio.Task[httpx.Response]":
        """A blocking query on its way."""
        sign = "&" if "?" in target else "?"
        return asyncio.create_task(self.get(f"{target}{sign}index={index}&wait={wait}"))

    async def parked(self, count: int) -> None:
        """Return when so many queries are blocked."""
        for _ in range(10_000):
            if self.http.stats.parked_now == count:
                return
            await asyncio.sleep(0.001)
        raise AssertionError(f"{self.http.stats.parked_now} queries are blocked, not {count}")

    http: HttpServer = field(init=False)


@asynccontextmanager
async def served(settings: ConsulSettings | None = None) -> AsyncIterator[Served]:
    """The frontend served on a free port of loopback."""
    async with consul(settings) as door:
        http = HttpServer(door.frontend.sites, HttpSettings(), lambda: door.registry.revision)
        unsubscribe = door.registry.subscribe(lambda changes: http.changed(changes.topics))
        ((host, port), *_) = await http.start(HERE, 0)
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=100, verify=False) as client:
            out = Served(door, client)
            out.http = http
            try:
                yield out
            finally:
                unsubscribe()
                await http.stop(1.0)
