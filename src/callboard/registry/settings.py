"""What can be set about the registry: limits and names. Frozen, and made once by `callboard.server`."""

from msgspec import Struct


class RegistrySettings(Struct, frozen=True, kw_only=True):
    """Limits with their units in their names."""

    member: str
    """This server's identity among the members."""
    node: str = "callboard"
    """Node of calls that come from this machine."""
    address: str = "127.0.0.1"
    """Address of that node."""
    datacenter: str = "dc1"
    commands_pending_max_count: int = 20_000
    """Commands that wait for the store; more are refused with "overloaded"."""
    group_commands_max_count: int = 1_024
    history_max_count: int = 65_536
    """Changes a watcher may be behind and still resume."""
    floors_max_count: int = 20_000
    lateness_max_ms: int = 500
    """How late the driver may be; a pause of more than twice this moves every deadline by the pause."""
    expiries_max_count: int = 2_000
    """Deadlines worked off per turn of the loop."""
    probes_parallel_max_count: int = 1_024
    lookups_parallel_max_count: int = 64
    """Host names of probes that are looked up at once, each in a thread of its own."""
    check_output_hold_ms: int = 300_000
    """A probe's new output without a turn is written at most this often."""
    commit_retries_max_count: int = 5
    """How often a group is sent whose end the store left open; then this server gives up the lead."""
    commit_retry_wait_ms: int = 200
    """Wait before it is sent again."""
