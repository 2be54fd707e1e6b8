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
from callboard.server.member import keep_member, member_name
from callboard.server.reloading import Reloading
from callboard.server.root import root_site
from callboard.server.settings import Settings
from callboard.server.stores import hold_for_workers, make_store
from callboard.server.telemetry import CONTENT_TYPE, Telemetry
from callboard.server.worker_settings import WorkersStats
from callboard.server.workers.crew import Aboard, Crew, WorkerError
from callboard.server.workers.desk import Desk
from callboard.server.workers.words import Place
from callboard.store.contract import Store
from callboard.store.unix.holding import HeldStore

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
        """`read` gives the settings as they are said at a reload; a worker has a `desk`. Raises `InvalidError` for settings that contradict
        each other."""
        self.settings = settings
        self.addresses = [parse_address("http", text) for text in settings.server.http]
        self.secure_addresses = [parse_address("https", text) for text in settings.server.https]
        if not self.addresses and not self.secure_addresses:
            raise InvalidError("http", "there is no address to listen at; say --http HOST:PORT or --https HOST:PORT")
        self.tls = server_tls(settings.server, settings.room("dns").tls_port)
        self._looking: Looking | None = None
        self._workers = WorkersStats()
        self._tasks = Tasks()
        self._listening = Listening()
        self._reloading = Reloading(settings, read, self.tls.reload if self.tls is not None else None)
        self._desk = desk
        dns = desk.place.dns if desk is not None else settings.server.dns
        self.member = desk.place.member if desk is not None else member_name(settings.server)
        self._store = self._make_store()
        self.registry = self._make_registry()
        self._frontends = self._make_frontends(parse_address("dns", dns) if dns else Address("", 0))
        self.sites: tuple[Site, ...] = tuple(site for frontend in self._frontends.values() for site in frontend.sites)
        self.rooms: dict[str, object] = {}
        """The counters of every room, by its name."""
        self.telemetry = Telemetry(self.rooms, self.gauges)
        root = root_site(self.page, lambda: self.sites)
        own = {"own_hosts": self._own_hosts(), "trusted_proxies": settings.server.trusted_proxy}
        http = self._room("http", **own)
        self._connections_max_count: int = http.connections_max_count
        self.http = HttpServer((*self.sites, root), http, lambda: self.registry.revision)
        self._gather_stats()
        self._log_feed = LogFeed(asyncio.get_running_loop())
        self._leaving = asyncio.Event()
        self.crew = self._make_crew()
        for frontend in self._frontends.values():
            if frontend.operated is not None:
                frontend.operated(self.operations())
        self.registry.subscribe(self._changed)

    def _make_store(self) -> Store:
        """The engine's, or what a worker has instead; with workers, as they share it."""
        if self._desk is not None:
            return self._desk.store
        store = make_store(self.settings)
        return store if self.settings.server.workers == 1 else hold_for_workers(store, self.settings)

    def _make_crew(self) -> Crew | None:
        """The workers, where there are any, seen from the process that was started."""
        if not isinstance(self._store, HeldStore):
            return None
        aboard = Aboard(self._place, self.registry.hear, self._leaving.set, self._reload_for_workers, self.telemetry.figures)
        return Crew(self.settings.server.workers - 1, self._store, self._room("workers"), self._workers, aboard)

    @property
    def _sharing(self) -> Sharing:
        if self._desk is not None:
            return Sharing.NEXT
        return Sharing.FIRST if self.crew is not None else Sharing.ALONE

    def _place(self, number: int) -> Place:
        """Where a worker of that number stands."""
        settings, there = self._reloading.settings, self._listening
        return Place(
            number=number, member=self.member, server=settings.server, tune=settings.tune, dns=there.dns,
            http=tuple(url.partition("//")[2] for url in there.http), https=tuple(url.partition("//")[2] for url in there.https),
        )  # fmt: skip

    def _make_registry(self) -> Registry:
        server = self.settings.server
        registry = self.settings.room(
            "registry", member=self.member, node=server.node, address=server.advertise, datacenter=server.datacenter,
            script_checks=server.enable_script_checks, worker=self._desk.place.number if self._desk is not None else 0,
        )  # fmt: skip
        return Registry(
            self._store, registry, SystemClock(), SystemEntropy(), liveness=self._room("liveness"), opinions=self._room("opinions")
        )  # fmt: skip

    def _make_frontends(self, dns: Address) -> dict[str, Frontend]:
        server = self.settings.server
        fixed: dict[str, dict[str, object]] = {
            "dns": {"host": dns.host, "port": dns.port, "domain": server.dns_domain, "recursors": server.recursor},
            "console": {"dns": str(dns) if dns.port else "", "domain": server.dns_domain},
        }  # fmt: skip
        return {plugin.name: plugin.build(self.registry, self._room(plugin.name, **fixed.get(plugin.name, {}))) for plugin in FRONTENDS}

    def _own_hosts(self) -> tuple[str, ...]:
        """Names by which this machine is called: where it listens, how it is advertised, and what its own DNS says."""
        server = self.settings.server
        listening = (address.host for address in (*self.addresses, *self.secure_addresses))
        return (*listening, server.advertise, f".{server.dns_domain}")

    def _room(self, name: str, **fixed: object) -> Any:  # noqa: ANN401  # as Settings.room
        """The settings of a room that takes connections, or not: no more of them than there may be files."""
        room = self.settings.room(name, **fixed)
        limit = _CONNECTIONS.get(name)
        if limit is None:
            return room
        count = connections_room(getattr(room, limit.field), limit.share)
        return msgspec.structs.replace(room, **{limit.field: count})

    def _gather_stats(self) -> None:
        self.rooms.update(registry=self.registry.stats, http=self.http.stats, tls=self.tls.stats if self.tls is not None else TlsStats())
        self.rooms.update((name, frontend.stats) for name, frontend in self._frontends.items() if frontend.stats is not None)
        if (stats := getattr(self._store, "stats", None)) is not None:
            self.rooms["store"] = stats
        self.rooms["workers"] = self._workers

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
            reload=self.reload, leave=self._leaving.set if self._desk is None else self._desk.leave,
            measures=self.telemetry.measures, page=self.telemetry.page,
            read_log=self._log_feed.read, machine=self._machine,
        )  # fmt: skip

    def _machine(self) -> Machine:
        expires_s = self.tls.stats.certificate_expires_timestamp_seconds if self.tls is not None else 0
        limit = self._connections_max_count
        caps = self._store.caps
        caps = replace(caps, shared=caps.shared and self._sharing is Sharing.ALONE)  # workers are no servers
        return machine(self.settings.server, self._listening, caps, limit, int(expires_s))

    def reload(self) -> list[str]:
        """Read again what can change while the server runs; answers what came of it. Raises `InvalidError`: then all is as before."""
        return self.reload_here() if self._desk is None else self._desk.reload()

    def reload_here(self) -> list[str]:
        """The same in this process, and then in its workers."""
        lines = self._reloading.reload()
        if self.crew is not None:
            self.crew.apply(self._reloading.settings)
        return lines

    def _reload_for_workers(self) -> None:
        try:
            self.reload()
        except CallboardError as error:
            _log.error("reload: all stays as it was: %s", error)

    def page(self) -> Promise[Answer]:
        """The metrics: of this process, or of all where there are several."""
        gather = self._desk.page if self._desk is not None else self.crew.page if self.crew is not None else None
        if gather is None:
            return Promise.of(Answer(200, self.telemetry.page(), CONTENT_TYPE))
        promise: Promise[Answer] = Promise()

        async def tell(gathering: Awaitable[bytes]) -> None:
            promise.tell(Answer(200, await gathering, CONTENT_TYPE))

        self._tasks.spawn(tell(gather()), name="metrics")
        return promise

    async def left(self) -> None:
        """Return when somebody has asked this server to leave."""
        await self._leaving.wait()

    def _changed(self, changes: Changes) -> None:
        self.http.changed(changes.topics)

    async def start(self) -> Ready:
        """Listen, then load: before the view is there every door says so. Raises `StoreError`, `OSError`, `InvalidError`.

        A worker loads first: until it serves, others do.
        """
        if self._desk is not None:
            self.registry.connect(self._desk.courier, "", "")
            await self._open()
        http, https = await self._listen()
        if self._desk is None:
            self._tell_where(http, https)
        dns: list[str] = []
        for frontend in self._frontends.values():
            if frontend.secured is not None and self.tls is not None:
                frontend.secured(self.tls)
            if frontend.shared is not None and self._sharing is not Sharing.ALONE:
                frontend.shared(self._sharing)
            if frontend.listener is not None:
                dns += await self._listen_dns(frontend.listener)
        urls = [f"http://{address}" for address in http], [f"https://{address}" for address in https]
        self._listening = Listening(tuple(urls[0]), tuple(urls[1]), dns[0] if dns else "")
        if self._desk is None:
            await self._open()
            if not self.settings.server.dev:
                keep_member(self.settings.server, self.member)
        return Ready(ready=True, http=urls[0], https=urls[1], dns=self._listening.dns, member=self.member, pid=os.getpid())

    async def staffed(self) -> str:
        """After `start`: return when all workers serve too (empty), or one does not come to (why)."""
        try:
            if self.crew is not None:
                await self.crew.start()
        except WorkerError as error:
            return str(error)
        return ""

    async def _open(self) -> None:
        """Load the catalog, and let the collector never look at it again."""
        gc.disable()
        try:
            await self.registry.open()
        finally:
            gc.enable()
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)

    async def _listen(self) -> tuple[list[Address], list[Address]]:
        """Where HTTP is now served, without TLS and with it."""
        start, plain, secured = partial(self.http.start, guarded=True, sharing=self._sharing), self.addresses, self.secure_addresses
        if self._desk is not None:
            place = self._desk.place
            plain, secured = [parse_address("http", at) for at in place.http], [parse_address("https", at) for at in place.https]
        http = [Address(*there) for at in plain for there in await start(at.host, at.port)]
        https = [Address(*there) for at in secured for there in await start(at.host, at.port, tls=self.tls)]
        if self.tls is not None:
            self._looking = Looking(self.tls)
        return http, https

    async def _listen_dns(self, listener: Listener) -> list[str]:
        try:
            return await listener.start()
        except OSError as error:
            also = self.settings.room("dns").tls_port if self.tls is not None else 0
            raise DnsListenError(self.settings.server.dns, also, (error.strerror or str(error)).lower()) from error

    def _tell_where(self, http: list[Address], https: list[Address]) -> None:
        """Tell the frontends where other members reach this server; only now is it known which port 0 has become."""
        at = Address(self.settings.server.advertise, (http or https)[0].port)
        url = f"http://{at}" if http else f"https://{at}"
        for frontend in self._frontends.values():
            if frontend.listening is not None:
                frontend.listening(url)

    async def stop(self) -> None:
        """Finish what is under way, then let go of everything; what does not let go in time is left behind, for the process ends."""
        loop = asyncio.get_running_loop()
        end = loop.time() + STOP_MAX_S
        if self._looking is not None:
            self._looking.close()
        if self.crew is not None:
            self.crew.end()
        await self.http.stop(STOP_GRACE_S)
        for frontend in self._frontends.values():
            if frontend.listener is not None:
                await frontend.listener.stop()
        if self.crew is not None:
            await self.crew.gone()
        await self._tasks.close()
        closing = spawn(self.registry.close(), name="closing")
        await asyncio.wait({closing}, timeout=max(0.0, end - loop.time()))
        if closing.done():
            closing.result()
        else:
            _log.error("the store did not finish in time; what it has not acknowledged may be lost")
