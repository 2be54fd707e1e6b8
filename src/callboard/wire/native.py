"""What `/api/v1` says and is told, as structs: the server and the SDK read and write the same ones.

Requests are strict, so that a mistyped field is an error and not a silence; answers are lenient, so that an older SDK can read those of a
newer server. Durations are whole milliseconds. A struct lives for one exchange.
"""

from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct

from callboard.model.check import Status
from callboard.model.instance import Phase
from callboard.model.service import PORTS_MAX_COUNT
from callboard.wire.native_words import (
    Arguments,
    CheckId,
    Count,
    GrpcTarget,
    HeaderFields,
    Labels,
    Method,
    Milliseconds,
    Name,
    NameOrNot,
    PassingWeight,
    Port,
    PortInUse,
    ProbeBody,
    Revision,
    Tags,
    Target,
    Text,
    Url,
    WarningWeight,
)

Reported = Literal["passing", "warning", "critical"]
"""What a caller may say about a check."""


# -- requests


class Weights(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """Share of traffic while passing and while warning."""

    passing: PassingWeight = 1
    warning: WarningWeight = 1


class NamedPort(Struct, frozen=True, gc=False, omit_defaults=True, forbid_unknown_fields=True):
    """One of several ports. Exactly one is the default: that of callers who name none."""

    name: Name
    port: PortInUse
    default: bool = False


class CheckRequest(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A check of an instance. Exactly one of `ttl_ms`, `http`, `tcp`, `udp`, `grpc`, `h2ping`, `script`, `os_service` is given, or what an
    alias looks at; all but `ttl_ms` and an alias also need `interval_ms`.

    Without an id it is `service:<instance>`, or `service:<instance>:<n>` when the instance has several. `status` is the initial one.
    """

    id: CheckId = ""
    name: Text = ""
    notes: Text = ""
    status: Reported = "critical"
    output: str = ""
    ttl_ms: Milliseconds = 0
    http: Url = ""
    """A URL: 2xx passes, 429 warns, all else is critical."""
    method: Method = ""
    headers: HeaderFields = {}
    body: ProbeBody = ""
    tcp: Target = ""
    """`host:port`: passes when a connection opens."""
    udp: Target = ""
    """`host:port`: passes unless that machine says that nobody listens."""
    grpc: GrpcTarget = ""
    """`host:port` or `host:port/service`: passes when gRPC's health service says SERVING."""
    h2ping: Target = ""
    """`host:port`: passes when a PING of HTTP/2 is acknowledged."""
    script: Arguments = ()
    """A program and its arguments, run by the server (only with --enable-script-checks): 0 passes, 1 warns, all else is critical."""
    os_service: NameOrNot = ""
    """A unit of systemd on the server's machine: passes while it is active."""
    alias_instance: NameOrNot = ""
    """The id of an instance whose health this check has, on `alias_node` (this instance's own when that is left out)."""
    alias_node: NameOrNot = ""
    """Alone: the check has the health of that node."""
    tls: bool = False
    """Of tcp, grpc and h2ping: over TLS. Of http, the URL says it."""
    tls_server_name: NameOrNot = ""
    """The name the certificate must have; the host's when it is left out."""
    tls_skip_verify: bool = False
    """Whatever certificate is shown is believed."""
    follow_redirects: bool = True
    """Of http."""
    interval_ms: Milliseconds = 0
    timeout_ms: Milliseconds = 0
    success_before_passing: Count = 0
    failures_before_warning: Count = 0
    failures_before_critical: Count = 0
    deregister_after_ms: Milliseconds = 0
    """The instance goes when the check was critical for so long; 0: never."""


class Registration(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """`PUT /api/v1/instances`. The id is the service's name when none is given, the address the caller's, the node the caller's."""

    service: Name
    id: NameOrNot = ""
    namespace: NameOrNot = ""
    node: NameOrNot = ""
    address: NameOrNot = ""
    port: Port = 0
    ports: Annotated[tuple[NamedPort, ...], Meta(max_length=PORTS_MAX_COUNT)] = ()
    """Named ports, instead of `port`."""
    tags: Tags = ()
    meta: Labels = {}
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

    id: Name
    namespace: NameOrNot = ""
    node: NameOrNot = ""


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
    revision: Revision
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


class CheckState(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A check as it stands; `kind` is ttl, http, tcp, udp, grpc, h2ping, script, os_service, alias, manual or maintenance.

    The fields with a default are left out when they say nothing.
    """

    id: str
    name: str
    kind: str
    status: Status
    output: str
    notes: str
    since_ms: int = 0
    """When it turned to this status (UTC, since 1970)."""
    target: str = ""
    """Whom a probe asks: `GET http://...`, `host:port`. Without what may be a secret."""
    interval_ms: int = 0
    timeout_ms: int = 0
    ttl_ms: int = 0
    of_node: bool = False
    """It is a check of the node, and so counts for every instance on it."""


class InstanceState(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """An instance as it stands. `status` is the worst of its checks and its node's, which `checks` starts with. The fields with a default
    are left out when they say nothing."""

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
    created: Revision
    modified: Revision
    ports: tuple[NamedPort, ...] = ()
    """Named ports; `port` is the default one of them."""
    socket_path: str = ""
    """A Unix socket it listens on."""
    kind: str = ""
    """What it is besides an ordinary service: `connect-proxy`, `mesh-gateway`, ..."""


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
    revision: Revision


class EncodedInstances(Struct, frozen=True, gc=False, kw_only=True):
    """`ServiceInstances`, each of which is JSON made before: many answers show the same ones."""

    service: str
    namespace: str
    revision: Revision
    instances: list[Raw]


class ServiceInstances(Struct, frozen=True, gc=False, kw_only=True):
    """`GET /api/v1/services/<name>`; a service that nobody registered has no instances."""

    service: str
    namespace: str
    revision: Revision
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
    revision: Revision
    endpoints: tuple[Endpoint, ...]
    considered: tuple[Considered, ...]
    fell_back: bool = False
    """Nobody had the version that was asked for: these are of the `fallback`."""


class Digest(Struct, frozen=True, gc=False):
    """`GET /api/v1/digest`: whether a reader that knows `instances` of a revision knows the right ones (`wire.native_digest`)."""

    revision: Revision
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
    revision: Revision


class InstanceEvent(Struct, frozen=True, gc=False):
    """Data of the events `added`, `changed` and `removed` (its last state)."""

    revision: Revision
    instance: InstanceState


class MarkEvent(Struct, frozen=True, gc=False, omit_defaults=True):
    """Data of the events `ready` and `resync`, the latter with a reason."""

    revision: Revision
    reason: str = ""


class Problem(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """An error (RFC 9457). `code` is for programs; `field` names what the request got wrong."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    field: str = ""
