"""What can be set about the Consul door, and what it counts. The settings are frozen and made once by `callboard.server`."""

from dataclasses import dataclass
from typing import Literal

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
    fragments_max_bytes: int = 33_554_432
    """Instances of services that are asked about again and again, kept as health answers show them, and as much for those of the catalog;
    0 for none."""
    filters_max_count: int = 128
    """Filters that are kept compiled; one weighs as much as it has regular expressions."""
    leave_from: Literal["loopback", "anywhere", "nowhere"] = "loopback"
    """From where the server may be told to leave."""
    monitors_max_count: int = 16
    """Readers of the log at once, and as many of the stream of metrics."""
    monitor_lines_max_count: int = 512
    """Lines that wait for a reader of the log; more are lost, and it is told how many."""
    metrics_interval_ms: int = 10_000
    """How often a stream of metrics goes on."""
    snapshots_max_count: int = 2
    """Snapshots that are made or restored at once."""
    snapshot_max_bytes: int = 67_108_864
    """Of a snapshot that is restored, as it is sent."""
    snapshot_unpacked_max_bytes: int = 134_217_728
    """The same when it is unpacked."""
    snapshot_rows_max_count: int = 30_000
    """Rows of a snapshot that is restored while the server serves: everything else waits for them, up to 0.1 ms for each."""
    get_writes: bool = True
    """Take TTL updates and deregistrations of the agent also by GET, for clients of the time before Consul 1.0."""


@dataclass(slots=True)
class ConsulStats:
    """Plain counters, written where things happen and read at scrape."""

    heartbeats: int = 0
    """TTL updates that only renewed a deadline."""
    reports: int = 0
    """TTL updates that were written, because status or output changed."""
