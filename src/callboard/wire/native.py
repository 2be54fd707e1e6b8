"""What `/api/v1` says and is told, as structs: the server and the SDK read and write the same ones.

Requests are strict, so that a mistyped field is an error and not a silence; answers are lenient, so that an older SDK can read those of a
newer server. Durations are whole milliseconds. A struct lives for one exchange.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from callboard.model.check import Status
from callboard.model.instance import Phase

MILLISECONDS_MAX: Final = 315_360_000_000
"""Ten years: longer than any server lives, and far from what a 64-bit count of nanoseconds holds."""
COUNT_MAX: Final = 1_000_000

Milliseconds = Annotated[int, Meta(ge=0, le=MILLISECONDS_MAX)]
Count = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Reported = Literal["passing", "warning", "critical"]
"""What a caller may say about a check."""


# -- requests


class Weights(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """Share of traffic while passing and while warning."""

    passing: Count = 1
    warning: Count = 1


class CheckRequest(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A check of an instance: exactly one of `ttl_ms`, `http`, `tcp` is given; the two probes also need `interval_ms`.

    Without an id it is `service:<instance>`, or `service:<instance>:<n>` when the instance has several. `status` is the initial one.
    """

    id: str = ""
    name: str = ""
    notes: str = ""
    status: Reported = "critical"
    output: str = ""
    ttl_ms: Milliseconds = 0
    http: str = ""
    """A URL: 2xx passes, 429 warns, all else is critical."""
    method: str = ""
    headers: dict[str, str] = {}
    body: str = ""
    tcp: str = ""
    """`host:port`: passes when a connection opens."""
    interval_ms: Milliseconds = 0
    timeout_ms: Milliseconds = 0
    success_before_passing: Count = 0
    failures_before_warning: Count = 0
    failures_before_critical: Count = 0
    deregister_after_ms: Milliseconds = 0
    """The instance goes when the check was critical for so long; 0: never."""


class Registration(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """`PUT /api/v1/instances`. The id is the service's name when none is given, the address the caller's, the node the caller's."""

    service: str
    id: str = ""
    namespace: str = ""
    node: str = ""
    address: str = ""
    port: Port = 0
    tags: tuple[str, ...] = ()
    meta: dict[str, str] = {}
    weights: Weights = Weights()
    phase: Phase | None = None
    """Left out, it stays as it is; a new instance serves."""
    checks: tuple[CheckRequest, ...] = ()
    replace_checks: bool = False
    """Checks of the instance that are not named here go."""


class Beat(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """`PUT /api/v1/heartbeat/<id>`; an empty body is a plain sign of life."""

    status: Reported = "passing"
    output: str | None = None


class BeatTarget(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One instance that shows a sign of life."""

    id: str
    namespace: str = ""
    node: str = ""


class Beats(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """`POST /api/v1/heartbeats`."""

    beats: tuple[BeatTarget, ...]


# -- answers


class Written(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A write counted. `changed` is False when everything was so already; `revision` is what the answer depends on."""

    id: str
    node: str
    namespace: str
    service: str = ""
    revision: int
    changed: bool


class UnknownBeat(Struct, frozen=True, gc=False, kw_only=True):
    """A sign of life that renewed nothing. `reason` is the code a single heartbeat would have been answered with."""

    id: str
    namespace: str
    node: str
    reason: str = ""


class Renewed(Struct, frozen=True, gc=False):
    """How many of the instances were renewed, and which are not known."""

    renewed: int
    unknown: tuple[UnknownBeat, ...] = ()


class CheckState(Struct, frozen=True, gc=False, kw_only=True):
    """A check as it stands; `kind` is ttl, http, tcp, manual or maintenance."""

    id: str
    name: str
    kind: str
    status: Status
    output: str
    notes: str


class InstanceState(Struct, frozen=True, gc=False, kw_only=True):
    """An instance as it stands. `status` is the worst of its checks and its node's, which `checks` starts with."""

    id: str
    service: str
    namespace: str
    node: str
    address: str
    port: int
    tags: tuple[str, ...]
    meta: dict[str, str]
    weights: Weights
    phase: Phase
    status: Status
    checks: tuple[CheckState, ...]
    created: int
    modified: int


class ServiceSummary(Struct, frozen=True, gc=False, kw_only=True):
    """A service: how many instances it has, how many of them have which status, and how many of them are draining."""

    name: str
    namespace: str
    tags: tuple[str, ...]
    instances: int
    passing: int
    warning: int
    critical: int
    maintenance: int
    draining: int


class ServiceList(Struct, frozen=True, gc=False):
    """`GET /api/v1/services`."""

    services: tuple[ServiceSummary, ...]
    revision: int


class ServiceInstances(Struct, frozen=True, gc=False, kw_only=True):
    """`GET /api/v1/services/<name>`; a service that nobody registered has no instances."""

    service: str
    namespace: str
    revision: int
    instances: tuple[InstanceState, ...]


class Endpoint(Struct, frozen=True, gc=False, kw_only=True):
    """Where to call, and its weight in its present status."""

    id: str
    node: str
    address: str
    port: int
    tags: tuple[str, ...]
    weight: int
    status: Status
    version: str = ""
    """What its instance says about itself as meta `version`."""
    zone: str = ""
    """Meta `zone` of its instance, else of its node."""


class Considered(Struct, frozen=True, gc=False, kw_only=True):
    """Why an instance is among the endpoints, or is not."""

    id: str
    node: str
    kept: bool
    reason: str


class Resolution(Struct, frozen=True, gc=False, kw_only=True):
    """`GET /api/v1/resolve/<name>`."""

    service: str
    namespace: str
    revision: int
    endpoints: tuple[Endpoint, ...]
    considered: tuple[Considered, ...]
    fell_back: bool = False
    """Nobody had the version that was asked for: these are of the `fallback`."""


class Digest(Struct, frozen=True, gc=False):
    """`GET /api/v1/digest`: whether a reader that knows `instances` of a revision knows the right ones (`wire.native_digest`)."""

    revision: int
    instances: int
    digest: str


class NodeSummary(Struct, frozen=True, gc=False, kw_only=True):
    """A node; an implicit one was made by a call from its address and goes with what is on it."""

    name: str
    address: str
    meta: dict[str, str]
    instances: int
    implicit: bool


class NodeList(Struct, frozen=True, gc=False):
    """`GET /api/v1/nodes`."""

    nodes: tuple[NodeSummary, ...]
    revision: int


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
    revision: int
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


class InstanceEvent(Struct, frozen=True, gc=False):
    """Data of the events `added`, `changed` and `removed` (its last state)."""

    revision: int
    instance: InstanceState


class MarkEvent(Struct, frozen=True, gc=False, omit_defaults=True):
    """Data of the events `ready` and `resync`, the latter with a reason."""

    revision: int
    reason: str = ""


class Problem(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """An error (RFC 9457). `code` is for programs; `field` names what the request got wrong."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    field: str = ""
