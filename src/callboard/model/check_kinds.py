"""Kinds of checks: one frozen definition per way in which a health question is asked. `callboard.model.check` exports them.

A definition says everything a question takes, so that any member can ask it. It is shared by all checks that are asked alike, and lives as
long as a row that has it. Fields that mean the same have the same name in all of them.
"""

from typing import Final

from msgspec import Struct

from callboard.model.time import SECOND, Duration

OUTPUT_MAX_BYTES: Final = 4096
TIMEOUT_DEFAULT: Final = Duration(10 * SECOND)
SCRIPT_TIMEOUT_DEFAULT: Final = Duration(30 * SECOND)


class Thresholds(Struct, frozen=True, gc=False, omit_defaults=True):
    """How many results in a row it takes to turn. 0 means the first one does (Consul: success_before_passing and its siblings)."""

    success_before_passing: int = 0
    failures_before_warning: int = 0
    failures_before_critical: int = 0


class TlsOptions(Struct, frozen=True, gc=False, omit_defaults=True):
    """How a TLS peer is told from others. Without `server_name` it must have a certificate of the host it is asked as."""

    server_name: str = ""
    skip_verify: bool = False
    """Whoever answers is believed."""


class TtlCheck(Struct, frozen=True, gc=False, omit_defaults=True, tag="ttl"):
    """Pushed by the instance at least once per `ttl` nanoseconds; turns critical when it is not."""

    ttl: Duration
    deregister_after: Duration = Duration(0)


class HttpCheck(Struct, frozen=True, gc=False, omit_defaults=True, tag="http"):
    """A request to `url` every `interval`: 2xx passes, 429 warns, all else is critical. `connect` overrides the address that is dialled."""

    url: str
    interval: Duration
    timeout: Duration = TIMEOUT_DEFAULT
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    follow_redirects: bool = True
    connect: str = ""
    thresholds: Thresholds = Thresholds()
    output_max_bytes: int = OUTPUT_MAX_BYTES
    deregister_after: Duration = Duration(0)
    tls: TlsOptions = TlsOptions()
    """Of an https URL."""


class TcpCheck(Struct, frozen=True, gc=False, omit_defaults=True, tag="tcp"):
    """A connection to `host:port` every `interval`: it passes when it opens. `connect` overrides the address that is dialled."""

    host: str
    port: int
    interval: Duration
    timeout: Duration = TIMEOUT_DEFAULT
    connect: str = ""
    thresholds: Thresholds = Thresholds()
    output_max_bytes: int = OUTPUT_MAX_BYTES
    deregister_after: Duration = Duration(0)
    tls: TlsOptions | None = None
    """With it the connection is open when both have agreed on TLS."""


class UdpCheck(Struct, frozen=True, gc=False, omit_defaults=True, tag="udp"):
    """An empty datagram to `host:port` every `interval`: it passes unless that machine says that nobody is there."""

    host: str
    port: int
    interval: Duration
    timeout: Duration = TIMEOUT_DEFAULT
    connect: str = ""
    thresholds: Thresholds = Thresholds()
    output_max_bytes: int = OUTPUT_MAX_BYTES
    deregister_after: Duration = Duration(0)


class GrpcCheck(Struct, frozen=True, gc=False, omit_defaults=True, tag="grpc"):
    """gRPC's standard health question about `service` (empty: the whole server) every `interval`: SERVING passes."""

    host: str
    port: int
    interval: Duration
    service: str = ""
    timeout: Duration = TIMEOUT_DEFAULT
    connect: str = ""
    thresholds: Thresholds = Thresholds()
    output_max_bytes: int = OUTPUT_MAX_BYTES
    deregister_after: Duration = Duration(0)
    tls: TlsOptions | None = None
    """None: in the clear."""


class H2pingCheck(Struct, frozen=True, gc=False, omit_defaults=True, tag="h2ping"):
    """A PING frame of HTTP/2 every `interval`: its acknowledgement passes."""

    host: str
    port: int
    interval: Duration
    timeout: Duration = TIMEOUT_DEFAULT
    connect: str = ""
    thresholds: Thresholds = Thresholds()
    output_max_bytes: int = OUTPUT_MAX_BYTES
    deregister_after: Duration = Duration(0)
    tls: TlsOptions | None = None
    """None: in the clear."""


class ScriptCheck(Struct, frozen=True, gc=False, omit_defaults=True, tag="script"):
    """A program and its arguments every `interval`, on the machine of the member that asks: 0 passes, 1 warns, all else is critical."""

    args: tuple[str, ...]
    interval: Duration
    timeout: Duration = SCRIPT_TIMEOUT_DEFAULT
    thresholds: Thresholds = Thresholds()
    output_max_bytes: int = OUTPUT_MAX_BYTES
    deregister_after: Duration = Duration(0)


class OsServiceCheck(Struct, frozen=True, gc=False, omit_defaults=True, tag="os_service"):
    """What the service manager says about `service` every `interval`, on the machine of the member that asks: running passes."""

    service: str
    interval: Duration
    timeout: Duration = TIMEOUT_DEFAULT
    thresholds: Thresholds = Thresholds()
    output_max_bytes: int = OUTPUT_MAX_BYTES
    deregister_after: Duration = Duration(0)


class AliasCheck(Struct, frozen=True, gc=False, omit_defaults=True, tag="alias"):
    """As healthy as another instance with its node, or, without `alias_service`, as another node.

    The node is in any case, empty for the alias' own; the instance is named by its id and is in the alias' own namespace.
    """

    alias_node: str = ""
    alias_service: str = ""
    deregister_after: Duration = Duration(0)


class ManualCheck(Struct, frozen=True, gc=False, omit_defaults=True, tag="manual"):
    """Set by whoever registered it, never asked by us. `kind` is the word its protocol has for it."""

    kind: str = ""
    deregister_after: Duration = Duration(0)
    shown: str = ""
    """How others ask it: JSON in the words of its protocol, which nobody here reads."""


class MaintenanceCheck(Struct, frozen=True, gc=False, omit_defaults=True, tag="maintenance"):
    """Its presence takes the instance, or every instance of the node, out of service."""

    deregister_after: Duration = Duration(0)


NetworkDefinition = HttpCheck | TcpCheck | UdpCheck | GrpcCheck | H2pingCheck
"""Asked over the network: any member finds the same."""
LocalDefinition = ScriptCheck | OsServiceCheck
"""Asked on the machine of the member whose turn it is."""
ProbeDefinition = HttpCheck | TcpCheck | UdpCheck | GrpcCheck | H2pingCheck | ScriptCheck | OsServiceCheck
"""What is asked by us."""
Definition = (
    TtlCheck | HttpCheck | TcpCheck | UdpCheck | GrpcCheck | H2pingCheck | ScriptCheck | OsServiceCheck | AliasCheck | ManualCheck
    | MaintenanceCheck
)  # fmt: skip
