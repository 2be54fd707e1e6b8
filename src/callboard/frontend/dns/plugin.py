"""DNS as a frontend: a cache of answers over the registry, behind a listener for UDP and TCP. They live as long as the server."""

from typing import Final

from callboard.frontend.base import Frontend, Plugin
from callboard.frontend.dns.cache import Cache
from callboard.frontend.dns.question import Zone, Zones
from callboard.frontend.dns.recursion import Recursion
from callboard.frontend.dns.settings import DnsSettings, DnsStats
from callboard.model.errors import InvalidError
from callboard.net.datagram import DatagramListener
from callboard.net.sharing import Sharing
from callboard.net.tls import ServerTls
from callboard.net.upstream import Server, Upstream, UpstreamLimits, parse_server
from callboard.registry.itself import SERVICE
from callboard.registry.registry import Registry


def build(registry: Registry, settings: DnsSettings) -> Frontend:
    """Raises `InvalidError` when a domain or the data centre cannot be part of a name, or a recursor is none."""
    zones = zones_of(settings, registry.settings.datacenter)
    servers = [_recursor(text, settings) for text in settings.recursors]
    if not settings.host:
        return Frontend()
    stats = DnsStats()
    upstream = _upstream(registry, settings, servers)
    recursion = Recursion(upstream, settings.edns_max_bytes, stats) if upstream is not None else None
    cache = Cache(registry, zones, settings, registry.entropy.chance, stats, recursion)
    registry.subscribe(cache.changed)
    listener = Listener(DatagramListener(settings.host, settings.port, cache, settings, stats), upstream, settings.tls_port)
    return Frontend(listener=listener, stats=stats, secured=listener.secure, shared=listener.share)


def zones_of(settings: DnsSettings, datacenter: str) -> Zones:
    """The parts of the name space that are ours. Raises `InvalidError`."""
    other = settings.alternative_domain
    return Zones(Zone(settings.domain, datacenter, SERVICE), Zone(other, datacenter, SERVICE) if other else None)


def _recursor(text: str, settings: DnsSettings) -> Server:
    server = parse_server(text)
    if server == (settings.host, settings.port):
        raise InvalidError("recursor", f"{server} is this server itself; name the one that knows the names of others")
    return server


def _upstream(registry: Registry, settings: DnsSettings, servers: list[Server]) -> Upstream | None:
    if not servers:
        return None
    limits = UpstreamLimits(settings.recursor_strategy, settings.recursor_timeout_max_ms, settings.recursor_parallel_max_count)
    return Upstream(servers, limits, registry.entropy.nonce, registry.entropy.chance)


class Listener:
    """The sockets, and what waits for recursors."""

    def __init__(self, sockets: DatagramListener, upstream: Upstream | None, tls_port: int) -> None:
        self._sockets = sockets
        self._upstream = upstream
        self._tls_port = tls_port

    def secure(self, tls: ServerTls) -> None:
        """DNS over TLS with this certificate, when it has a port."""
        if self._tls_port:
            self._sockets.secure(self._tls_port, tls)

    def share(self, sharing: Sharing) -> None:
        """One address for several processes of this server."""
        self._sockets.share(sharing)

    async def start(self) -> list[str]:
        return await self._sockets.start()

    async def stop(self) -> None:
        if self._upstream is not None:
            await self._upstream.close()
        await self._sockets.stop()


PLUGIN: Final = Plugin("dns", DnsSettings, build)
