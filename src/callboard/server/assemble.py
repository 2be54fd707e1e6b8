"""The parts of a server, joined: store, registry, frontends, HTTP, metrics. A `Server` lives from `start` to `stop`."""

import asyncio
import gc
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import msgspec

from callboard.core.catalog.changes import Changes
from callboard.frontend.base import Frontend, Listener, Machine, Operations
from callboard.model.errors import CallboardError, InvalidError
from callboard.net.http.message import Answer, Site
from callboard.net.http.server import HttpServer
from callboard.net.sharing import Sharing
from callboard.net.tasks import Tasks, spawn
from callboard.net.tls import TlsStats
from callboard.registry.clock import SystemClock, SystemEntropy
from callboard.registry.pending import Promise
from callboard.registry.registry import Registry
from callboard.server.address import Address, parse_address
from callboard.server.certificates import Looking, server_tls
from callboard.server.files import connections_room
from callboard.server.frontends import FRONTENDS
from callboard.server.log_feed import LogFeed
from callboard.server.machine import Listening, machine
from callboard.server.member import keep_member
from callboard.server.reloading import Reloading
from callboard.server.roles import Process, role_of
from callboard.server.root import root_site
from callboard.server.settings import Settings
from callboard.server.telemetry import CONTENT_TYPE, Telemetry
from callboard.server.workers.desk import Desk
from callboard.server.workers.words import Place

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


class DnsListenError(CallboardError):
    """An address of DNS cannot be listened at."""

    code = "listen"

    def __init__(self, address: str, tls_port: int, reason: str) -> None:
        also = f", or at port {tls_port} for DNS over TLS" if tls_port else ""
        too = " (or tune.dns.tls_port)" if tls_port else ""
        super().__init__(f"cannot listen at {address} (DNS){also}: {reason}; stop what has it, or choose another --dns{too}")


class Ready(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The line a started server prints on stdout; what does not listen is absent."""

    ready: bool
    http: list[str]
    https: list[str] = []
    dns: str = ""
    grpc: list[str] = []
    member: str
    pid: int


class Server:
    """One server process. Make it in a running loop."""

    def __init__(self, settings: Settings, read: Callable[[], Settings] | None = None, desk: Desk | None = None) -> None:
        """`read` gives the settings as they are said at a reload; a worker has a `desk`. Raises `CallboardError`, `InvalidError` for
        settings that contradict each other."""
        self.settings = settings
        if not settings.server.http and not settings.server.https:
            raise InvalidError("http", "there is no address to listen at; say --http HOST:PORT or --https HOST:PORT")
        own_hosts = self._own_hosts()
        self.tls = server_tls(settings.server, settings.room("dns").tls_port)
        self._looking: Looking | None = None
        self._tasks = Tasks()
        self._listening = Listening()
        self._reloading = Reloading(settings, read, self.tls.reload if self.tls is not None else None)
        self._role = role_of(settings, desk)
        self.registry = self._make_registry()
        self._frontends = self._make_frontends()
        self.sites: tuple[Site, ...] = tuple(site for frontend in self._frontends.values() for site in frontend.sites)
        http = self._room("http", own_hosts=own_hosts, trusted_proxies=settings.server.trusted_proxy)
        self._connections_max_count: int = http.connections_max_count
        root = root_site(self.page, lambda: self.sites)
        self.http = HttpServer((*self.sites, root), http, lambda: self.registry.revision)
        self.rooms: dict[str, object] = self._gather_stats()
        """The counters of every room, by its name."""
        self.telemetry = Telemetry(self.rooms, self.gauges)
        self._log_feed = LogFeed(asyncio.get_running_loop())
        self._leaving = asyncio.Event()
        self._role.join(
            Process(self._place, self.registry.hear, self._leaving.set, self.reload_here, lambda: self._reloading.settings, self.telemetry)
        )
        for frontend in self._frontends.values():
            if frontend.operated is not None:
                frontend.operated(self.operations())
        self.registry.subscribe(self._changed)

    # -- made once

    def _own_hosts(self) -> tuple[str, ...]:
        """Names by which this machine is called: where it listens, how it is advertised, and what its own DNS says."""
        server = self.settings.server
        said = [("http", text) for text in server.http] + [("https", text) for text in server.https]
        return (*(parse_address(field, text).host for field, text in said), server.advertise, f".{server.dns_domain}")

    def _make_registry(self) -> Registry:
        server = self.settings.server
        registry = self.settings.room(
            "registry", member=self._role.member, node=server.node, address=server.advertise, datacenter=server.datacenter,
            script_checks=server.enable_script_checks, worker=self._role.number,
        )  # fmt: skip
        return Registry(
            self._role.store, registry, SystemClock(), SystemEntropy(), liveness=self._room("liveness"), opinions=self._room("opinions")
        )  # fmt: skip

    def _make_frontends(self) -> dict[str, Frontend]:
        server, said = self.settings.server, self._role.addresses.dns
        dns = parse_address("dns", said) if said else Address("", 0)
        fixed: dict[str, dict[str, object]] = {
            "dns": {"host": dns.host, "port": dns.port, "domain": server.dns_domain, "recursors": server.recursor},
            "console": {"dns": str(dns) if dns.port else "", "domain": server.dns_domain},
        }  # fmt: skip
        return {plugin.name: plugin.build(self.registry, self._room(plugin.name, **fixed.get(plugin.name, {}))) for plugin in FRONTENDS}

    def _room(self, name: str, **fixed: object) -> Any:  # noqa: ANN401  # as Settings.room
        """The settings of a room that takes connections, or not: no more of them than there may be files."""
        room = self.settings.room(name, **fixed)
        limit = _CONNECTIONS.get(name)
        if limit is None:
            return room
        count = connections_room(getattr(room, limit.field), limit.share)
        return msgspec.structs.replace(room, **{limit.field: count})

    def _gather_stats(self) -> dict[str, object]:
        tls = self.tls.stats if self.tls is not None else TlsStats()
        rooms: dict[str, object] = {"registry": self.registry.stats, "http": self.http.stats, "tls": tls}
        rooms.update((name, frontend.stats) for name, frontend in self._frontends.items() if frontend.stats is not None)
        if (stats := getattr(self._role.store, "stats", None)) is not None:
            rooms["store"] = stats
        return {**rooms, "workers": self._role.stats}

    # -- asked while it runs

    def gauges(self) -> dict[str, float]:
        """The size of the catalog now, and how this server stands among the members."""
        view, contact = self.registry.view, self.registry.contact()
        spaces = view.spaces.values()
        return {
            "revision": view.revision,
            "ready": self.registry.ready,
            "nodes": len(view.nodes),
            "services": sum(len(space.by_service) for space in spaces),
            "instances": view.instances_count,
            "checks": view.checks_count,
            "floors": len(view.floors),
            "leading": self.registry.leading,
            "leader_known": contact.known,
            "members_count": len(self.registry.members),
            "view_age_ms": contact.age_ms,
        }

    def operations(self) -> Operations:
        """What frontends may ask of the whole server."""
        return Operations(
            reload=self.reload, leave=self._role.leave, measures=self.telemetry.measures, page=self.telemetry.page,
            read_log=self._log_feed.read, machine=self._machine,
        )  # fmt: skip

    def _machine(self) -> Machine:
        expires_s = self.tls.stats.certificate_expires_timestamp_seconds if self.tls is not None else 0
        caps = self._role.store.caps
        caps = replace(caps, shared=caps.shared and self._role.sharing is Sharing.ALONE)  # workers are no servers
        return machine(self.settings.server, self._listening, caps, self._connections_max_count, int(expires_s))

    def _place(self, number: int) -> Place:
        settings, there = self._reloading.settings, self._listening
        return Place(
            number=number, member=self._role.member, server=settings.server, tune=settings.tune, dns=there.dns,
            http=tuple(url.partition("//")[2] for url in there.http), https=tuple(url.partition("//")[2] for url in there.https),
        )  # fmt: skip

    def reload(self) -> list[str]:
        """Read again what can change while the server runs, in all of its processes; answers what came of it. Raises `CallboardError`:
        then all is as before."""
        return self._role.reload()

    def reload_here(self) -> list[str]:
        """The same in this process alone."""
        return self._reloading.reload()

    def page(self) -> Promise[Answer]:
        """The metrics of all processes."""
        page = self._role.page()
        if isinstance(page, bytes):
            return Promise.of(Answer(200, page, CONTENT_TYPE))
        promise: Promise[Answer] = Promise()

        async def tell(gathering: Awaitable[bytes]) -> None:
            promise.tell(Answer(200, await gathering, CONTENT_TYPE))

        self._tasks.spawn(tell(page), name="metrics")
        return promise

    async def left(self) -> None:
        """Return when somebody has asked this server to leave."""
        await self._leaving.wait()

    def _changed(self, changes: Changes) -> None:
        self.http.changed(changes.topics)

    # -- from start to stop

    async def start(self) -> Ready:
        """Listen, then load: before the view is there every door says so. Raises `StoreError`, `OSError`, `InvalidError`.

        A worker loads first: until it serves, others do.
        """
        if self._role.courier is not None:
            self.registry.connect(self._role.courier, "", "")
            await self._load()
            self._listening = await self._listen()
        else:
            self._listening = await self._listen()
            self._tell_where()
            await self._load()
            if not self.settings.server.dev:
                keep_member(self.settings.server, self._role.member)
        there = self._listening
        return Ready(ready=True, http=list(there.http), https=list(there.https), dns=there.dns, member=self._role.member, pid=os.getpid())

    async def staffed(self) -> str:
        """After `start`: return when all workers serve too (empty), or one does not come to (why)."""
        return await self._role.staffed()

    async def _load(self) -> None:
        """Load the catalog, and let the collector never look at it again."""
        gc.disable()
        try:
            await self.registry.open()
        finally:
            gc.enable()
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)

    async def _listen(self) -> Listening:
        """Where HTTP is now served, without TLS and with it, and DNS."""
        start, at = partial(self.http.start, guarded=True, sharing=self._role.sharing), self._role.addresses
        http, https = [parse_address("http", text) for text in at.http], [parse_address("https", text) for text in at.https]
        plain = [Address(*there) for one in http for there in await start(one.host, one.port)]
        secured = [Address(*there) for one in https for there in await start(one.host, one.port, tls=self.tls)]
        if self.tls is not None:
            self._looking = Looking(self.tls)
        dns = await self._listen_dns()
        return Listening(tuple(f"http://{one}" for one in plain), tuple(f"https://{one}" for one in secured), dns[0] if dns else "")

    async def _listen_dns(self) -> list[str]:
        """The listeners of the frontends: DNS alone has any."""
        listening: list[str] = []
        for frontend in self._frontends.values():
            if frontend.secured is not None and self.tls is not None:
                frontend.secured(self.tls)
            if frontend.shared is not None and self._role.sharing is not Sharing.ALONE:
                frontend.shared(self._role.sharing)
            if frontend.listener is not None:
                listening += await self._listen_by(frontend.listener)
        return listening

    async def _listen_by(self, listener: Listener) -> list[str]:
        try:
            return await listener.start()
        except OSError as error:
            also = self.settings.room("dns").tls_port if self.tls is not None else 0
            raise DnsListenError(self.settings.server.dns, also, (error.strerror or str(error)).lower()) from error

    def _tell_where(self) -> None:
        """Tell the frontends where other members reach this server; only now is it known which port 0 has become."""
        url = (*self._listening.http, *self._listening.https)[0]
        scheme, _, there = url.partition("://")
        at = Address(self.settings.server.advertise, parse_address(scheme, there).port)
        for frontend in self._frontends.values():
            if frontend.listening is not None:
                frontend.listening(f"{scheme}://{at}")

    async def stop(self) -> None:
        """Finish what is under way, then let go of everything; what does not let go in time is left behind, for the process ends."""
        loop = asyncio.get_running_loop()
        end = loop.time() + STOP_MAX_S
        if self._looking is not None:
            self._looking.close()
        self._role.end()
        await self.http.stop(STOP_GRACE_S)
        for frontend in self._frontends.values():
            if frontend.listener is not None:
                await frontend.listener.stop()
        await self._role.gone()
        await self._tasks.close()
        closing = spawn(self.registry.close(), name="closing")
        await asyncio.wait({closing}, timeout=max(0.0, end - loop.time()))
        if closing.done():
            closing.result()
        else:
            _log.error("the store did not finish in time; what it has not acknowledged may be lost")
