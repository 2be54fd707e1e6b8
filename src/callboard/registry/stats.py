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
    terms: int = 0
    """How often this member took the lead."""
    stepped_down: int = 0
    reloads: int = 0
    """Views loaded anew because the feed could not go on."""
    batches_sent: int = 0
    batches_heard: int = 0
    """Batches of other members that came in while this one led."""
    relayed: int = 0
    """Messages that reached a member through a third one."""
    doubtful: int = 0
    """Commands that were under way when their leader's term ended."""
    doubtful_unknown: int = 0
    """Those of them whose callers were told that nobody knows."""
    second_opinions: int = 0
    turns_denied: int = 0
    """Turns to critical that a second opinion did not confirm."""
    preservations: int = 0
    """How often self-preservation began to hold expiry."""
