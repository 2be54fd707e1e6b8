"""DNS as a frontend: a cache of answers over the registry, behind a listener for UDP and TCP. They live as long as the server."""

from typing import Final

import msgspec

from callboard.frontend.base import Frontend, Plugin
from callboard.frontend.dns.answer import Rules, Zone
from callboard.frontend.dns.cache import Cache
from callboard.frontend.dns.settings import DnsSettings, DnsStats
from callboard.net.datagram import DatagramListener
from callboard.registry.itself import SERVICE
from callboard.registry.registry import Registry


def build(registry: Registry, settings: DnsSettings) -> Frontend:
    """Raises `InvalidError` when the domain or the data centre cannot be part of a name."""
    zone = Zone(settings.domain, registry.settings.datacenter, SERVICE)
    if not settings.host:
        return Frontend()
    stats = DnsStats()
    rules = msgspec.convert(settings, Rules, from_attributes=True)
    cache = Cache(registry, zone, rules, settings, registry.entropy.chance, stats)
    registry.subscribe(lambda changes: cache.drop(changes.topics))
    return Frontend(listener=DatagramListener(settings.host, settings.port, cache, settings, stats), stats=stats)


PLUGIN: Final = Plugin("dns", DnsSettings, build)
