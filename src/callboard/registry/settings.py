"""What can be set about the registry: limits and names. Frozen, and made once by `callboard.server`."""

from msgspec import Struct

from callboard.model.members import LEVEL


class RegistrySettings(Struct, frozen=True, kw_only=True):
    """Limits with their units in their names."""

    member: str
    """This server's identity among the members."""
    worker: int = 0
    """Which worker of it this process is; 0 for the process that holds the engine."""
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
    script_checks: bool = False
    """Whether this member runs programs for checks (`--enable-script-checks`)."""
    probe_ca_file: str = ""
    """PEM file of the authorities that probes over TLS trust beside those of the machine; read when the first such probe is made."""
    check_output_hold_ms: int = 300_000
    """A probe's new output without a turn is written at most this often."""
    commit_retries_max_count: int = 5
    """How often a group is sent whose end the store left open; then this server gives up the lead."""
    commit_retry_wait_ms: int = 200
    """Wait before it is sent again."""
    leader_wait_ms: int = 5_000
    """How long commands and heartbeats are held while no leader takes them; then they are refused, and the caller may try again."""
    command_wait_ms: int = 10_000
    """How long a command may be under way whose end is not known; then its caller is told that nobody knows."""
    gather_ms: int = 5
    """How long what goes to the leader waits for company."""
    batch_interval_ms: int = 1_000
    """A member that has nothing to say to the leader says so this often."""
    batch_commands_max_count: int = 1_024
    batch_max_bytes: int = 2_097_152
    """Commands of a batch; one that is larger goes alone."""
    batch_beats_max_count: int = 50_000
    exchange_timeout_ms: int = 2_000
    """How long a member waits for the answer of another."""
    exchange_retry_wait_ms: int = 100
    opinions_max_count: int = 1_024
    """Checks that are probed for another member at a time."""
    opinion_timeout_ms: int = 12_000
    """How long a second opinion is waited for: somewhat longer than a probe's usual time limit."""
    greet_timeout_ms: int = 300
    """How long a new leader waits to hear how far the other members have come."""
    catch_up_ms: int = 2_000
    """How long an answer waits for this member's view to reach the revision it is about."""
    cut_off_after_ms: int = 3_000
    """A member that has not been in touch with the leader for so long says so in its answers."""
    island_after_ms: int = 12_000
    """A leader that most of the present members do not reach for so long gives up the lead, for it may be the one that is cut off."""
    island_again_ms: int = 60_000
    """It does so once in this time, lest the lead goes round where nobody reaches anybody."""
    island_wait_ms: int = 10_000
    """How long it then leaves the lead to others."""
    hand_over_wait_ms: int = 3_000
    """How long a leader that was asked to hand over the lead leaves it to the others. Less than `leader_wait_ms`: when all have handed it
    over in a row, the first takes it again before those who wait for a leader give up."""
    retry_wait_ms: int = 500
    """Wait before the store is asked again that failed: to follow, to load, to join, to campaign."""
    level: int = LEVEL
    """The newest level this member speaks; to be lowered only while a cluster is upgraded by hand."""
    name_wait_ms: int = 15_000
    """How long a starting member waits for its own name: its last process may have been killed, and its lease must end first."""
    opening_wait_ms: int = 10_000
    """How long a starting member waits for a leader before it serves reads without one."""
