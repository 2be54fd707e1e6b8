"""What can be set about messages between members, and what is counted. The settings are frozen and made once by `callboard.server`."""

from dataclasses import dataclass

from msgspec import Struct


class PeerSettings(Struct, frozen=True, kw_only=True):
    """Limits with their units in their names."""

    url: str = ""
    """Where other members reach this one, as `http://HOST:PORT` or `https://HOST:PORT`; empty for `--advertise` with the port of the first
    `--http`, or of the first `--https` where there is no other."""
    ca_file: str = ""
    """CAs (PEM) of the certificates that other members show; empty for those of the system."""
    cert_file: str = ""
    """Certificate shown to other members (PEM), where they want one."""
    key_file: str = ""
    """Its key, if that is not in the same file."""
    message_max_bytes: int = 8_388_608
    """A larger message, or answer, is neither sent nor taken."""
    connections_max_count: int = 4
    """Connections to each other member; more messages wait."""
    connect_time_max_ms: int = 1_000
    """A member to which no connection opens in this time cannot be reached."""
    idle_time_max_ms: int = 60_000
    """A connection without a message for this long is closed."""


@dataclass(slots=True)
class PeerStats:
    """Plain counters, written where things happen and read at scrape."""

    sent: int = 0
    """Messages that were answered by another member."""
    unreachable: int = 0
    """Messages that another member did not answer, or not in time, or that somebody else answered."""
    heard: int = 0
    """Messages of other members that were taken."""
    refused: int = 0
    """Messages whose signature was not that of a member."""
    connections_now: int = 0
    """Open connections to other members, as of the last message."""
