"""What can be set about workers, and what is counted. The settings are frozen and made once by `callboard.server`."""

from dataclasses import dataclass
from typing import Annotated, Final

from msgspec import Meta, Struct

WORKERS_MAX_COUNT: Final = 64
Millis = Annotated[int, Meta(ge=1)]


class WorkersSettings(Struct, frozen=True, kw_only=True):
    """Limits with their units in their names."""

    start_time_max_ms: Millis = 600_000
    """How long a worker may take until it serves: it loads the whole catalog."""
    restart_wait_ms: Millis = 250
    """Wait before a worker that ended is started again; twice as long each time ..."""
    restart_wait_max_ms: Millis = 10_000
    """... up to this, until one has served for `steady_after_ms`."""
    steady_after_ms: Millis = 30_000
    ping_interval_ms: Millis = 1_000
    """How often a worker is asked whether it still answers."""
    silent_max_ms: Millis = 15_000
    """A worker that has not answered for so long (it hangs, or was stopped, and keeps its share of the connections) is killed, and started
    again. A pause of the whole machine does not count."""
    figures_time_max_ms: Millis = 1_000
    """How long `/metrics` waits for the figures of a worker."""
    stop_time_max_ms: Millis = 3_500
    """How long workers may take to finish what is under way when the server stops; then they are killed."""


@dataclass(slots=True)
class WorkersStats:
    """Plain counters, written where things happen and read at scrape."""

    serving_now: int = 0
    """Workers that serve now, beside the process that holds the engine."""
    started: int = 0
    """Workers that were started, again or for the first time."""
    died: int = 0
    """Workers that ended without having been told to."""
    silenced: int = 0
    """Workers that were killed because they did not answer any more."""
