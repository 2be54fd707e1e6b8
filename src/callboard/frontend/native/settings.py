"""What can be set about the native API, and what it counts. The settings are frozen and made once by `callboard.server`."""

from dataclasses import dataclass

from msgspec import Struct


class NativeSettings(Struct, frozen=True, kw_only=True):
    """Limits with their units in their names."""

    wait_default_ms: int = 300_000
    """How long a read with `after` waits when `wait_ms` is not said."""
    wait_max_ms: int = 600_000
    """Longer waits are cut to this."""
    checks_max_count: int = 64
    """Checks in one registration."""
    beats_max_count: int = 1_000
    """Heartbeats in one batch."""
    callers_max_count: int = 4_096
    """Callers whose node is known without working it out again."""
    fragments_max_bytes: int = 33_554_432
    """Instances of services that are asked about again and again, kept as they are shown; 0 for none."""
    watchers_max_count: int = 1_000
    """Open watches; more are answered with 429."""
    watcher_events_max_count: int = 10_000
    """Events a watcher may be behind; with more it is told to begin anew."""
    watcher_slice_count: int = 256
    """Events that are written to a watcher in one go."""
    alive_ms: int = 15_000
    """A watcher that was told nothing for this long is sent a comment."""
    retry_ms: int = 1_000
    """How long a watcher is asked to wait before it connects again, at least."""
    retry_per_watcher_ms: int = 5
    """The same for each open watch: so that 1,000 watchers of a server that went come back over 5 s and not at once."""
    diagnoses_max_count: int = 4
    """Diagnoses at once; more are answered with 429."""
    dial_timeout_ms: int = 1_500
    """How long a diagnosis tries to open a connection."""


@dataclass(slots=True)
class NativeStats:
    """Plain counters, written where things happen and read at scrape."""

    heartbeats: int = 0
    """Instances that were heard from, one by one or in a batch."""
    heartbeats_unknown: int = 0
    """Heartbeats of instances that are not known."""
    watchers_now: int = 0
    """Open watches."""
    watch_events: int = 0
    """Events written to watchers."""
    watch_resyncs: int = 0
    """Times a watcher had to begin anew."""
