"""What can be set about the Consul door, and what it counts. The settings are frozen and made once by `callboard.server`."""

from dataclasses import dataclass

from msgspec import Struct


class ConsulSettings(Struct, frozen=True, kw_only=True):
    """Limits with their units in their names."""

    wait_default_ms: int = 300_000
    """How long a blocked query waits that names no `wait`."""
    wait_max_ms: int = 600_000
    """A longer `wait` is cut to this."""
    callers_max_count: int = 4_096
    """Callers whose node is remembered from one call to the next."""
    nodes_max_count: int = 16_384
    """Nodes that are kept as they are shown, so that they need not be put together for every answer."""
    get_writes: bool = True
    """Take TTL updates and deregistrations of the agent also by GET, for clients of the time before Consul 1.0."""


@dataclass(slots=True)
class ConsulStats:
    """Plain counters, written where things happen and read at scrape."""

    heartbeats: int = 0
    """TTL updates that only renewed a deadline."""
    reports: int = 0
    """TTL updates that were written, because status or output changed."""
