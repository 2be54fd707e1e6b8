"""Counters of the registry: plain numbers, written where things happen and read at scrape. They live as long as the server."""

from dataclasses import dataclass


@dataclass(slots=True)
class RegistryStats:
    """What the registry has done since it started."""

    commands: int = 0
    commands_refused: int = 0
    groups: int = 0
    groups_failed: int = 0
    beats: int = 0
    """Heartbeats that only renewed a deadline."""
    expiries: int = 0
    reaps: int = 0
    turns: int = 0
    probes: int = 0
    pauses: int = 0
