"""Counters of a worker's store: plain numbers, written where things happen and read at scrape. They live as long as the store."""

from dataclasses import dataclass


@dataclass(slots=True)
class UnixStats:
    """What this process has had from the one that holds the engine."""

    groups: int = 0
    """Groups that were followed."""
    rows: int = 0
    """Rows in them."""
    loads: int = 0
    """Loads of the whole catalog."""
    heads: int = 0
    """Questions where the end of the history is."""
