"""Counters of the registry: plain numbers, written where things happen and read at scrape. They live as long as the server."""

from dataclasses import dataclass


@dataclass(slots=True)
class RegistryStats:
    """What the registry has done since it started."""

    commands: int = 0
    """Commands that were taken here: planned by this member, or sent to the one that leads. Heartbeats are not among them."""
    commands_refused: int = 0
    """Commands that changed nothing, because they were wrong, or there was no room or no leader for them."""
    groups: int = 0
    """Groups of commands that became durable while this member led."""
    groups_failed: int = 0
    """Groups of commands that did not become durable."""
    beats: int = 0
    """Heartbeats that only renewed a deadline."""
    expiries: int = 0
    """Leases that ran out: nobody was heard from in time."""
    reaps: int = 0
    """Removals of instances that were critical for longer than their check allows."""
    turns: int = 0
    """Checks whose status changed, for whatever reason."""
    probes: int = 0
    """Probes that this member began."""
    pauses: int = 0
    """Times this process stood still, so that its deadlines were moved."""
    terms: int = 0
    """How often this member took the lead."""
    stepped_down: int = 0
    """How often this member stopped leading."""
    reloads: int = 0
    """Views loaded anew because the feed could not go on."""
    batches_sent: int = 0
    """Batches of commands and heartbeats that this member sent to the one that leads."""
    batches_heard: int = 0
    """Batches of other members that came in while this one led."""
    relayed: int = 0
    """Messages that reached a member through a third one."""
    doubtful: int = 0
    """Commands that were under way when their leader's term ended."""
    doubtful_unknown: int = 0
    """Commands whose callers were told that nobody knows whether they were done."""
    second_opinions: int = 0
    """Checks about which another member was asked whether it finds the same."""
    turns_denied: int = 0
    """Turns to critical that a second opinion did not confirm."""
    preservations: int = 0
    """How often self-preservation began to hold expiry."""
