"""Several members over one memory engine in one loop, each behind real HTTP, speaking to each other through the peer frontend."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec

from callboard.frontend.base import Frontend
from callboard.frontend.consul.plugin import PLUGIN as CONSUL
from callboard.frontend.consul.settings import ConsulSettings
from callboard.frontend.dns.plugin import PLUGIN as DNS
from callboard.frontend.dns.settings import DnsSettings
from callboard.frontend.native.plugin import PLUGIN as NATIVE
from callboard.frontend.native.settings import NativeSettings
from callboard.frontend.peer.plugin import PLUGIN as PEER
from callboard.frontend.peer.settings import PeerSettings, PeerStats
from callboard.frontend.prometheus.plugin import PLUGIN as PROMETHEUS
from callboard.frontend.prometheus.plugin import PrometheusSettings
from callboard.model.members import Card
from callboard.net.http.server import HttpServer
from callboard.net.http.settings import HttpSettings
from callboard.registry.clock import SystemClock, SystemEntropy
from callboard.registry.peers import Courier, UnreachableError
from callboard.registry.registry import Registry
from callboard.registry.settings import RegistrySettings
from callboard.store.memory.engine import MemoryEngine
from callboard.store.memory.store import MemoryStore
from tests.support import PATIENCE_S

HERE = "127.0.0.1"


class Cuttable:
    """A courier on a link that can be cut."""

    def __init__(self, courier: Courier) -> None:
        self.courier = courier
        self.cut = False

    async def exchange(self, to: Card, message: bytes, timeout_s: float) -> bytes:
        if self.cut:
            raise UnreachableError(f"{to.name} is cut off")
        return await self.courier.exchange(to, message, timeout_s)

    async def close(self) -> None:
        await self.courier.close()


@dataclass
class Member:
    """One server."""

    registry: Registry
    http: HttpServer
    client: httpx.AsyncClient
    peer: Frontend
    dns: str
    """Address of DNS."""
    link: Cuttable = field(init=False)

    @property
    def name(self) -> str:
        return self.registry.settings.member

    @property
    def stats(self) -> PeerStats:
        assert isinstance(self.peer.stats, PeerStats)
        return self.peer.stats

    @asynccontextmanager
    async def behind(self) -> AsyncIterator[None]:
        """It hears nothing from the store in this block."""
        following = self.registry._following  # noqa: SLF001  # a feed that hangs, as engines let it hang
        await following.stop()
        try:
            yield
        finally:
            following.start()

    async def get(self, target: str, **headers: str) -> httpx.Response:
        return await self.client.get(target, headers=headers)

    async def json(self, target: str) -> Any:
        response = await self.get(target)
        assert response.status_code == 200, (target, response.status_code, response.text)
        return response.json()

    async def put(self, target: str, body: object = b"") -> httpx.Response:
        return await self.client.put(target, content=body if isinstance(body, bytes) else msgspec.json.encode(body))

    async def ok(self, target: str, body: object = b"") -> httpx.Response:
        response = await self.put(target, body)
        assert response.status_code == 200, (target, response.status_code, response.text)
        return response


@dataclass
class Cluster:
    """Its members, in the order of their names."""

    engine: MemoryEngine
    members: list[Member] = field(default_factory=list)

    @property
    def leader(self) -> Member:
        return next(member for member in self.members if member.registry.leading)

    @property
    def follower(self) -> Member:
        return next(member for member in self.members if not member.registry.leading)

    async def cut_off(self, member: Member) -> None:
        """Cut its links, and wait until it knows."""
        member.link.cut = True
        await until(lambda: not member.registry.contact().known)

    async def alike(self) -> None:
        """Wait until every view shows the same."""
        await until(lambda: len({member.registry.revision for member in self.members}) == 1)


async def until(condition: Any) -> None:
    """Let the loop turn until it is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.005)


@asynccontextmanager
async def cluster(names: Sequence[str] = ("m1", "m2", "m3"), **settings: Any) -> AsyncIterator[Cluster]:
    """Members that know each other, one of which leads."""
    quick: dict[str, Any] = {
        "cut_off_after_ms": 400, "batch_interval_ms": 50, "leader_wait_ms": 300, "exchange_timeout_ms": 1_000, "exchange_retry_wait_ms": 20,
        "command_wait_ms": 1_500,
    }  # fmt: skip
    world = Cluster(MemoryEngine())
    async with AsyncExitStack() as stack:
        for name in names:
            limits = RegistrySettings(member=name, **{**quick, **settings})
            world.members.append(await stack.enter_async_context(_member(world.engine, limits)))
        await until(lambda: all(len(member.registry.members) == len(names) for member in world.members))
        await until(lambda: all(member.registry.contact().known for member in world.members))
        yield world


@asynccontextmanager
async def _member(engine: MemoryEngine, limits: RegistrySettings) -> AsyncIterator[Member]:
    registry = Registry(MemoryStore(engine), limits, SystemClock(), SystemEntropy())
    peer = PEER.build(registry, PeerSettings())
    dns = DNS.build(registry, DnsSettings(port=0))
    others = (
        CONSUL.build(registry, ConsulSettings()),
        NATIVE.build(registry, NativeSettings(alive_ms=100)),
        PROMETHEUS.build(registry, PrometheusSettings()),
    )
    frontends = (peer, *others)
    http = HttpServer(tuple(site for frontend in frontends for site in frontend.sites), HttpSettings(), lambda: registry.revision)
    registry.subscribe(lambda changes: http.changed(changes.topics))
    ((host, port), *_) = await http.start(HERE, 0)
    assert peer.listening is not None
    connect = registry.connect
    links: list[Cuttable] = []

    def through_link(courier: Courier, url: str, secret: str) -> None:
        links.append(Cuttable(courier))
        connect(links[0], url, secret)

    registry.connect = through_link  # type: ignore[method-assign]
    peer.listening(f"http://{host}:{port}")
    assert dns.listener is not None
    (address,) = await dns.listener.start()
    await registry.open()
    async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=60, verify=False) as client:
        member = Member(registry, http, client, peer, address)
        member.link = links[0]
        try:
            yield member
        finally:
            await registry.close()
            await http.stop(0.5)
            await dns.listener.stop()
