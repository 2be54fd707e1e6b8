"""What `/api/v1` says about the servers themselves, as structs: answers, lenient as in `wire.native`. They live for one exchange."""

from typing import Literal

from msgspec import Struct

from callboard.wire.native_words import Revision


class StoreState(Struct, frozen=True, gc=False, kw_only=True):
    """The engine under the server, as it last saw it. `detail` says what is wrong; the sizes are 0 where the engine tells none."""

    reachable: bool
    detail: str
    version: str
    size_bytes: int
    size_max_bytes: int


class ServerStatus(Struct, frozen=True, gc=False, kw_only=True):
    """`GET /api/v1/status`. The counts leave out the servers' own entry. `leader` is empty when the server knows of none."""

    member: str
    node: str
    datacenter: str
    version: str
    ready: bool
    leader: str
    revision: Revision
    services: int
    instances: int
    checks: int
    nodes: int
    leading: bool = False
    """This server is the leader."""
    members: int = 1
    """Servers that are present."""
    age_ms: int = 0
    """How old its answers may be; 0 while it is in touch with the leader."""
    store: StoreState | None = None


class MemberState(Struct, frozen=True, gc=False, kw_only=True):
    """A server that is present."""

    name: str
    url: str
    """Where the others reach it."""
    level: int
    """The newest form of rows and messages it speaks."""
    program: str
    started_ms: int
    """UTC, since 1970."""
    leading: bool


class MemberList(Struct, frozen=True, gc=False, kw_only=True):
    """`GET /api/v1/members`; `leader` is empty when the server that answers knows of none."""

    members: tuple[MemberState, ...]
    leader: str


class Health(Struct, frozen=True, gc=False):
    """`GET /health`."""

    status: Literal["passing"]


class Ready(Struct, frozen=True, gc=False):
    """`GET /ready`."""

    ready: bool


class Dialled(Struct, frozen=True, gc=False):
    """A connection that the server tried to open, and closed again."""

    address: str
    """`host:port`."""
    reachable: bool
    detail: str = ""
    """Why not."""


class MachineState(Struct, frozen=True, gc=False, kw_only=True):
    """Where a server listens, and what its machine and its store have room for. Numbers are 0 where nobody tells."""

    http: tuple[str, ...]
    """URLs."""
    https: tuple[str, ...]
    dns: str
    """`host:port`; empty: none is served."""
    dns_domain: str
    store: str
    """The scheme of its URL."""
    store_durable: bool
    store_shared: bool
    """Several servers may use it at once."""
    value_max_bytes: int
    group_max_rows: int
    group_max_bytes: int
    data: str
    """The data directory; empty: nothing is kept on this machine's disk."""
    data_free_bytes: int
    data_total_bytes: int
    files_open: int
    files_max: int
    connections_max: int
    """What of HTTP there may be at once."""
    certificate_expires_s: int
    """When the certificate ends, since 1970; 0: there is none."""


class Diagnosis(Struct, frozen=True, gc=False, kw_only=True):
    """`GET /api/v1/diagnosis`."""

    member: str
    version: str
    level: int
    """The newest form of rows and messages it speaks."""
    time_ms: int
    """Its clock, since 1970."""
    advertised: Dialled | None = None
    """Its own address, as it is told to others. None: nobody is told."""
    caller: Dialled | None = None
    """The caller's address at `port`. None: no port was named."""
    machine: MachineState | None = None
