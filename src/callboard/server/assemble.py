"""The parts of a server, joined: store, registry, frontends, HTTP, metrics. A `Server` lives from `start` to `stop`."""

import asyncio
import gc
import logging
import os
from typing import Any, NamedTuple

import msgspec

from callboard.core.catalog.changes import Changes
from callboard.frontend.base import Frontend
from callboard.net.http.message import Site
from callboard.net.http.server import HttpServer
from callboard.net.tasks import spawn
from callboard.registry.clock import SystemClock, SystemEntropy
from callboard.registry.registry import Registry
from callboard.server.address import Address, parse_address
from callboard.server.files import connections_room
from callboard.server.frontends import FRONTENDS
from callboard.server.member import keep_member, member_name
from callboard.server.root import root_site
from callboard.server.settings import Settings
from callboard.server.stores import make_store
from callboard.server.telemetry import Telemetry

_log = logging.getLogger(__name__)
GC_THRESHOLD = 50_000
STOP_GRACE_S = 3.0
"""For requests that are under way."""
STOP_MAX_S = 4.5
"""For everything: whoever told the server to stop kills it after 5 s."""


class _Connections(NamedTuple):
    """The setting of a room that limits its connections, and the room's share of all files."""

    field: str
    share: float


_CONNECTIONS = {"http": _Connections("connections_max_count", 0.75), "dns": _Connections("tcp_connections_max_count", 0.25)}


class Ready(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The line a started server prints on stdout; what does not listen is absent."""

    ready: bool
    http: list[str]
    dns: str = ""
    grpc: list[str] = []
    member: str
    pid: int


class Server:
    """One server process. Make it in a running loop."""

    def __init__(self, settings: Settings) -> None:
        """Raises `InvalidError` for settings that contradict each other."""
        self.settings = settings
        self.addresses = [parse_address("http", text) for text in settings.server.http]
        dns = parse_address("dns", settings.server.dns) if settings.server.dns else Address("", 0)
        self.member = member_name(settings.server)
        self._store = make_store(settings)
        self.registry = self._make_registry()
        self._frontends = self._make_frontends(dns)
        self.sites: tuple[Site, ...] = tuple(site for frontend in self._frontends.values() for site in frontend.sites)
        self.rooms: dict[str, object] = {}
        """The counters of every room, by its name."""
        self.telemetry = Telemetry(self.rooms, self.gauges)
        root = root_site(self.telemetry, lambda: self.sites)
        self.http = HttpServer((*self.sites, root), self._room("http"), lambda: self.registry.revision)
        self._gather_stats()
        self.registry.subscribe(self._changed)

    def _make_registry(self) -> Registry:
        server = self.settings.server
        registry = self.settings.room(
            "registry", member=self.member, node=server.node, address=server.advertise, datacenter=server.datacenter
        )  # fmt: skip
        return Registry(
            self._store, registry, SystemClock(), SystemEntropy(), liveness=self._room("liveness"), opinions=self._room("opinions")
        )  # fmt: skip

    def _make_frontends(self, dns: Address) -> dict[str, Frontend]:
        fixed: dict[str, dict[str, object]] = {"dns": {"host": dns.host, "port": dns.port, "domain": self.settings.server.dns_domain}}
        return {plugin.name: plugin.build(self.registry, self._room(plugin.name, **fixed.get(plugin.name, {}))) for plugin in FRONTENDS}

    def _room(self, name: str, **fixed: object) -> Any:  # noqa: ANN401  # as Settings.room
        """The settings of a room that takes connections, or not: no more of them than there may be files."""
        room = self.settings.room(name, **fixed)
        limit = _CONNECTIONS.get(name)
        if limit is None:
            return room
        count = connections_room(getattr(room, limit.field), limit.share)
        if count < getattr(room, limit.field):
            _log.info("%s takes at most %d connections, for so few files may be open (see ulimit -n)", name, count)
        return msgspec.structs.replace(room, **{limit.field: count})

    def _gather_stats(self) -> None:
        self.rooms.update(registry=self.registry.stats, http=self.http.stats)
        self.rooms.update((name, frontend.stats) for name, frontend in self._frontends.items() if frontend.stats is not None)
        if (stats := getattr(self._store, "stats", None)) is not None:
            self.rooms["store"] = stats

    def gauges(self) -> dict[str, float]:
        """The size of the catalog now, and how this server stands among the members."""
        view, contact = self.registry.view, self.registry.contact()
        spaces = view.spaces.values()
        return {
            "revision": view.revision,
            "ready": self.registry.ready,
            "nodes": len(view.nodes),
            "services": sum(len(space.by_service) for space in spaces),
            "instances": sum(len(there) for space in spaces for there in space.by_node.values()),
            "checks": sum(len(holders) for space in spaces for holders in space.holders.values()),
            "floors": len(view.floors),
            "leading": self.registry.leading,
            "leader_known": contact.known,
            "members_count": len(self.registry.members),
            "view_age_ms": contact.age_ms,
        }

    def _changed(self, changes: Changes) -> None:
        self.http.changed(changes.topics)

    async def start(self) -> Ready:
        """Listen, then load: before the view is there every door says so. Raises `StoreError`, `OSError`, `InvalidError`."""
        bound = [Address(*there) for address in self.addresses for there in await self.http.start(address.host, address.port)]
        self._tell_where(bound)
        dns: list[str] = []
        for frontend in self._frontends.values():
            if frontend.listener is not None:
                dns += await frontend.listener.start()
        gc.disable()
        try:
            await self.registry.open()
        finally:
            gc.enable()
        if not self.settings.server.dev:
            keep_member(self.settings.server, self.member)
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)
        http = [f"http://{address}" for address in bound]
        return Ready(ready=True, http=http, dns=dns[0] if dns else "", member=self.member, pid=os.getpid())

    def _tell_where(self, bound: list[Address]) -> None:
        """Tell the frontends where other members reach this server; only now is it known which port 0 has become."""
        url = f"http://{Address(self.settings.server.advertise, bound[0].port)}" if bound else ""
        for frontend in self._frontends.values():
            if frontend.listening is not None:
                frontend.listening(url)

    async def stop(self) -> None:
        """Finish what is under way, then let go of everything; what does not let go in time is left behind, for the process ends."""
        loop = asyncio.get_running_loop()
        end = loop.time() + STOP_MAX_S
        await self.http.stop(STOP_GRACE_S)
        for frontend in self._frontends.values():
            if frontend.listener is not None:
                await frontend.listener.stop()
        closing = spawn(self.registry.close(), name="closing")
        await asyncio.wait({closing}, timeout=max(0.0, end - loop.time()))
        if closing.done():
            closing.result()
        else:
            _log.error("the store did not finish in time; what it has not acknowledged may be lost")
