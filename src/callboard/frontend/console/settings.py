"""What can be set about the page. Frozen, made once by `callboard.server`; most of it is told to the browser with the page."""

from msgspec import Struct


class ConsoleSettings(Struct, frozen=True, kw_only=True):
    """Limits with their units in their names."""

    dns: str = ""
    """Where DNS listens, for the line that shows how to ask it; empty when it does not, or at a port that is not known before."""
    domain: str = "consul"
    """Domain of DNS names."""
    status_every_ms: int = 5_000
    """How often the page asks how the server is."""
    status_time_max_ms: int = 4_000
    """A question that takes longer has failed."""
    silent_max_ms: int = 40_000
    """A stream on which nothing came for so long (the server says at least every `tune.native.alive_ms` that it lives) is opened again."""
    retry_max_ms: int = 10_000
    """Longest pause between two attempts to open the stream."""
    hidden_max_ms: int = 60_000
    """A page that nobody looked at for so long closes its stream, and resumes it when it is looked at: a browser has few connections."""
    refresh_ms: int = 200
    """Changes that come within this time are shown at once, together."""
    asset_age_max_s: int = 31_536_000
    """How long a browser may keep scripts and styles; their address changes with their content."""
