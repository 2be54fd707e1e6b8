"""Consul's answers about the servers, and the few bodies that operators send: field names and order as Go's structs have them."""

from typing import Final

import msgspec
from msgspec import Struct

from callboard.model.time import MILLISECOND, SECOND
from callboard.wire.consul_body import Anything
from callboard.wire.consul_fields import Body, Span, go_name
from callboard.wire.consul_json import Member


class Version(Struct, frozen=True, kw_only=True):
    """`agent/version`."""

    sha: str = msgspec.field(name="SHA")
    build_date: str = msgspec.field(name="BuildDate")
    human_version: str = msgspec.field(name="HumanVersion")
    fips: str = msgspec.field(default="", name="FIPS")


class Memory(Struct, frozen=True, kw_only=True, rename="camel"):
    """Memory of the machine, in bytes."""

    total: int
    available: int
    used: int
    used_percent: float
    free: int
    buffers: int
    cached: int


class Cpu(Struct, frozen=True, kw_only=True, rename="camel"):
    """One of its processors."""

    cpu: int
    model_name: str
    mhz: float


class System(Struct, frozen=True, kw_only=True):
    """The machine and its operating system."""

    hostname: str
    uptime: int
    boot_time: int = msgspec.field(name="bootTime")
    procs: int
    os: str
    platform: str
    platform_family: str = msgspec.field(default="", name="platformFamily")
    platform_version: str = msgspec.field(name="platformVersion")
    kernel_version: str = msgspec.field(name="kernelVersion")
    kernel_arch: str = msgspec.field(name="kernelArch")
    virtualization_system: str = msgspec.field(default="", name="virtualizationSystem")
    virtualization_role: str = msgspec.field(default="", name="virtualizationRole")
    host_id: str = msgspec.field(default="", name="hostId")


class Disk(Struct, frozen=True, kw_only=True, rename="camel"):
    """The file system of `path`, in bytes."""

    path: str
    fstype: str = ""
    total: int
    free: int
    used: int
    used_percent: float
    inodes_total: int
    inodes_used: int
    inodes_free: int


class Host(Struct, frozen=True, rename=go_name, kw_only=True):
    """`agent/host`. What could not be found out is null, and named in `errors`."""

    memory: Memory | None
    cpu: list[Cpu] = msgspec.field(name="CPU")
    host: System
    disk: Disk | None
    collection_time: int
    errors: list[str] | None


class Gauge(Struct, frozen=True, gc=False, rename=go_name):
    """A metric that goes up and down."""

    name: str
    value: float
    labels: dict[str, str] = {}


class Counter(Struct, frozen=True, gc=False, rename=go_name, kw_only=True):
    """A metric that only goes up, since the server was started."""

    name: str
    count: int
    rate: float
    sum: float
    min: float
    max: float
    mean: float
    stddev: float = 0.0
    labels: dict[str, str] = {}


class Metrics(Struct, frozen=True, rename=go_name, kw_only=True):
    """`agent/metrics`. Points and samples are kinds of Consul's that nothing here is of."""

    timestamp: str
    gauges: list[Gauge]
    points: tuple[()] = ()
    counters: list[Counter]
    samples: tuple[()] = ()


class Event(Struct, frozen=True, rename=go_name, kw_only=True):
    """An event; the payload is base64, or null."""

    id: str
    name: str
    payload: bytes | None
    node_filter: str
    service_filter: str
    tag_filter: str
    version: int = 1
    ltime: int = msgspec.field(default=0, name="LTime")


class Coord(Struct, frozen=True, rename=go_name):
    """A network coordinate."""

    vec: tuple[float, ...]
    error: float
    adjustment: float
    height: float


class Coordinate(Struct, frozen=True, rename=go_name):
    """Where a node is."""

    node: str
    segment: str
    coord: Coord


class Area(Struct, frozen=True, kw_only=True):
    """The servers of a data centre, and where they are."""

    datacenter: str = msgspec.field(name="Datacenter")
    area_id: str = msgspec.field(default="wan", name="AreaID")
    coordinates: list[Coordinate] = msgspec.field(name="Coordinates")


class CoordBody(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True):
    """A coordinate that somebody has measured."""

    vec: tuple[float, ...] = ()
    error: float = 0.0
    adjustment: float = 0.0
    height: float = 0.0


class CoordinateBody(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True):
    """For `coordinate/update`."""

    datacenter: str = ""
    node: str = ""
    segment: str = ""
    coord: CoordBody | None = None
    partition: str = ""
    token: str = ""
    write_request: Anything = None


class AutopilotBody(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True):
    """For `operator/autopilot/configuration`. What is left out is as Consul has it when nobody has set anything."""

    cleanup_dead_servers: bool = True
    last_contact_threshold: Span = Span(200 * MILLISECOND)
    max_trailing_logs: int = 250
    min_quorum: int = 0
    server_stabilization_time: Span = Span(10 * SECOND)
    redundancy_zone_tag: str = ""
    disable_upgrade_migration: bool = False
    upgrade_version_tag: str = ""
    create_index: int = 0
    modify_index: int = 0


class Autopilot(Struct, frozen=True, rename=go_name, kw_only=True):
    """The settings about the care of servers."""

    cleanup_dead_servers: bool
    last_contact_threshold: str
    max_trailing_logs: int
    min_quorum: int
    server_stabilization_time: str
    redundancy_zone_tag: str
    disable_upgrade_migration: bool
    upgrade_version_tag: str
    create_index: int
    modify_index: int


class ServerHealth(Struct, frozen=True, rename=go_name, kw_only=True):
    """A server in `operator/autopilot/health`."""

    id: str
    name: str
    address: str
    serf_status: str = "alive"
    version: str
    leader: bool
    last_contact: str
    last_term: int
    last_index: int
    healthy: bool
    voter: bool = True
    stable_since: str


class OperatorHealth(Struct, frozen=True, rename=go_name):
    """`operator/autopilot/health`."""

    healthy: bool
    failure_tolerance: int
    servers: list[ServerHealth]


class ServerState(Struct, frozen=True, rename=go_name, kw_only=True):
    """A server in `operator/autopilot/state`."""

    id: str
    name: str
    address: str
    node_status: str = "alive"
    version: str
    last_contact: str
    last_term: int
    last_index: int
    healthy: bool
    stable_since: str
    read_replica: bool = False
    status: str
    meta: dict[str, str]
    node_type: str = "voter"


class AutopilotState(Struct, frozen=True, rename=go_name, kw_only=True):
    """`operator/autopilot/state`."""

    healthy: bool
    failure_tolerance: int
    optimistic_failure_tolerance: int
    servers: dict[str, ServerState]
    leader: str
    voters: list[str]


class RaftServer(Struct, frozen=True, rename=go_name, kw_only=True):
    """A server in `operator/raft/configuration`."""

    id: str
    node: str
    address: str
    leader: bool
    protocol_version: str = "3"
    voter: bool = True
    last_index: int


class RaftConfiguration(Struct, frozen=True, rename=go_name):
    """`operator/raft/configuration`; its index is always 0."""

    servers: list[RaftServer]
    index: int = 0


class Transferred(Struct, frozen=True, rename=go_name):
    """`operator/raft/transfer-leader`."""

    success: bool


class Keyring(Struct, frozen=True, kw_only=True):
    """The keys of one pool of gossip; there is none, so there are no keys."""

    wan: bool = msgspec.field(name="WAN")
    datacenter: str = msgspec.field(name="Datacenter")
    segment: str = msgspec.field(default="", name="Segment")
    keys: dict[str, int] = msgspec.field(name="Keys", default_factory=dict)
    primary_keys: dict[str, int] = msgspec.field(name="PrimaryKeys", default_factory=dict)
    num_nodes: int = msgspec.field(name="NumNodes")


class ServiceUsage(Struct, frozen=True, rename=go_name, kw_only=True):
    """How much there is in a data centre."""

    services: int
    service_instances: int
    connect_service_instances: dict[str, int]
    billable_service_instances: int
    nodes: int


class Usage(Struct, frozen=True, rename=go_name, kw_only=True):
    """`operator/usage`."""

    usage: dict[str, ServiceUsage]
    index: int
    last_contact: int = 0
    known_leader: bool
    consistency_level: str
    not_modified: bool = False
    backend: int = 0
    results_filtered_by_acls: bool = msgspec.field(default=False, name="ResultsFilteredByACLs")


class AgentConfig(Struct, frozen=True, rename=go_name, kw_only=True):
    """What an agent says about itself."""

    datacenter: str
    primary_datacenter: str
    node_name: str
    node_id: str
    revision: str = ""
    server: bool = True
    version: str
    build_date: str
    bind_addr: str


class XdsPorts(Struct, frozen=True):
    """Ports of the xDS server; -1 means that there is none."""

    plaintext: int = msgspec.field(default=-1, name="Plaintext")
    tls: int = msgspec.field(default=-1, name="TLS")


class Xds(Struct, frozen=True, rename=go_name):
    """What the server can tell proxies."""

    supported_proxies: dict[str, list[str]] = {}
    port: int = -1
    ports: XdsPorts = XdsPorts()


class AgentSelf(Struct, frozen=True, rename=go_name, kw_only=True):
    """The answer of `agent/self`."""

    config: AgentConfig
    debug_config: dict[str, str | int | bool]
    coord: Coord | None
    member: Member
    stats: dict[str, dict[str, str]]
    meta: dict[str, str]
    xds: Xds = msgspec.field(default=Xds(), name="xDS")


COORDINATE: Final = Body(CoordinateBody)
AUTOPILOT: Final = Body(AutopilotBody)
