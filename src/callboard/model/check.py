"""Checks: one health question each, how it is asked, and its last answer.

A definition is shared by all checks that are asked alike; a `Check` is replaced at each turn of its status and lives as long as its row.
"""

from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from callboard.model import names
from callboard.model.errors import InvalidError
from callboard.model.rows import ZERO, Revision
from callboard.model.time import HOUR, MILLISECOND, SECOND, Duration, Timestamp

OUTPUT_MAX_BYTES: Final = 4096
INTERVAL_MIN: Final = SECOND
TIMEOUT_DEFAULT: Final = Duration(10 * SECOND)
DEREGISTER_AFTER_MIN: Final = SECOND
URL_MAX_CHARS: Final = 2048
METHOD_MAX_CHARS: Final = 32
HEADERS_MAX_COUNT: Final = 64
BODY_MAX_CHARS: Final = 65_536
_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")  # RFC 9110 section 5.6.2
SPAN_MAX: Final = Duration(100 * 365 * 24 * HOUR)
"""Added to any clock it still fits into 63 bits."""


class Status(StrEnum):
    """The answer to a health question, and by `worst` the health of an instance."""

    PASSING = "passing"
    WARNING = "warning"
    CRITICAL = "critical"
    MAINTENANCE = "maintenance"


SEVERITY: Final = {Status.PASSING: 0, Status.WARNING: 1, Status.CRITICAL: 2, Status.MAINTENANCE: 3}


class Thresholds(Struct, frozen=True, gc=False, omit_defaults=True):
    """How many results in a row it takes to turn. 0 means the first one does (Consul: success_before_passing and its siblings)."""

    success_before_passing: int = 0
    failures_before_warning: int = 0
    failures_before_critical: int = 0


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


class ManualCheck(Struct, frozen=True, gc=False, omit_defaults=True, tag="manual"):
    """Set by whoever registered it, never asked by us. `kind` is the word its protocol has for it."""

    kind: str = ""
    deregister_after: Duration = Duration(0)


class MaintenanceCheck(Struct, frozen=True, gc=False, omit_defaults=True, tag="maintenance"):
    """Its presence takes the instance, or every instance of the node, out of service."""

    deregister_after: Duration = Duration(0)


Definition = TtlCheck | HttpCheck | TcpCheck | ManualCheck | MaintenanceCheck
ProbeDefinition = HttpCheck | TcpCheck


class Check(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """One check as its row tells it. `instance` is empty for a check of the node; `node` is in lower case."""

    namespace: str
    node: str
    id: str
    definition: Definition
    status: Status
    nonce: str
    name: str = ""
    instance: str = ""
    parent: str = ""
    """Nonce of the instance or node it belongs to."""
    output: str = ""
    notes: str = ""
    turned: Timestamp = Timestamp(0)
    """When `status` last turned, by the leader's wall clock."""
    created: Revision = ZERO
    modified: Revision = ZERO


class CheckSpec(Struct, frozen=True, gc=False, kw_only=True):
    """What a caller says about a check. `status` is the initial one and does not touch a check that is there already."""

    id: str
    definition: Definition
    name: str = ""
    notes: str = ""
    status: Status = Status.CRITICAL
    output: str = ""

    def __post_init__(self) -> None:
        names.name("check id", self.id, names.CHECK_ID_MAX_CHARS)
        names.text("check name", self.name)
        names.text("check notes", self.notes)
        validate(self.definition)


def validate(definition: Definition) -> None:
    """Raise `InvalidError` for a definition nobody could run."""
    for field in ("ttl", "interval", "timeout", "deregister_after"):
        if getattr(definition, field, 0) > SPAN_MAX:
            raise InvalidError(field, "must be at most 100 years")
    if isinstance(definition, TtlCheck):
        if definition.ttl < MILLISECOND:
            raise InvalidError("ttl", "must be at least 1 ms")
    elif isinstance(definition, HttpCheck | TcpCheck):
        _validate_probe(definition)
    if definition.deregister_after and definition.deregister_after < DEREGISTER_AFTER_MIN:
        raise InvalidError("deregister_after", "must be at least 1 s, or 0 for never")


def _validate_probe(definition: ProbeDefinition) -> None:
    if definition.interval < INTERVAL_MIN:
        raise InvalidError("interval", "must be at least 1 s")
    if definition.timeout < MILLISECOND:
        raise InvalidError("timeout", "must be at least 1 ms")
    if not 0 < definition.output_max_bytes <= OUTPUT_MAX_BYTES:
        raise InvalidError("output_max_bytes", f"must be between 1 and {OUTPUT_MAX_BYTES}")
    limits = definition.thresholds
    if min(limits.success_before_passing, limits.failures_before_warning, limits.failures_before_critical) < 0:
        raise InvalidError("thresholds", "must not be negative")
    if limits.failures_before_warning > limits.failures_before_critical:
        raise InvalidError("failures_before_warning", "can't be higher than failures_before_critical")
    if isinstance(definition, TcpCheck):
        names.name("tcp host", definition.host)
        if not 1 <= definition.port <= 65535:
            raise InvalidError("tcp port", "must be between 1 and 65535")
    else:
        _validate_http(definition)


def _validate_http(definition: HttpCheck) -> None:
    """What is sent to an instance is made of these texts: none of them may add a line to the request."""
    _validate_url(definition.url)
    if not _TOKEN.issuperset(definition.method) or not 1 <= len(definition.method) <= METHOD_MAX_CHARS:
        raise InvalidError("http method", f"must be 1 to {METHOD_MAX_CHARS} letters")
    if len(definition.headers) > HEADERS_MAX_COUNT:
        raise InvalidError("http headers", f"must be at most {HEADERS_MAX_COUNT}")
    for name, value in definition.headers:
        if not name or not _TOKEN.issuperset(name) or len(name) > names.NAME_MAX_CHARS:
            raise InvalidError("http headers", f"{name[:80]!r} is no name of a header field")
        if not value.isprintable() or len(value) > names.TEXT_MAX_CHARS:
            raise InvalidError("http headers", f"the value of {name} must be at most {names.TEXT_MAX_CHARS} printable characters")
    if len(definition.body) > BODY_MAX_CHARS:
        raise InvalidError("http body", f"must have at most {BODY_MAX_CHARS} characters, has {len(definition.body)}")


def _validate_url(url: str) -> None:
    if len(url) > URL_MAX_CHARS or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidError("http url", f"must be at most {URL_MAX_CHARS} printable ASCII characters without spaces; escape others with %")
    if not url.startswith("http://"):
        raise InvalidError("http url", "must start with http:// (https checks are not built yet)")
    try:
        parts = urlsplit(url)
        askable = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise InvalidError("http url", f"is no URL: {error}") from None
    if not askable:
        raise InvalidError("http url", "must name a host, and a port other than 0")


def worst(statuses: "list[Status]") -> Status:
    """The health that several checks make together; passing when there is none."""
    return max(statuses, key=SEVERITY.__getitem__, default=Status.PASSING)


def clip_output(output: str, limit_bytes: int = OUTPUT_MAX_BYTES) -> str:
    """At most `limit_bytes` of UTF-8; what was cut off is said at the end, in Consul's words."""
    data = output.encode()
    if len(data) <= limit_bytes:
        return output
    kept = data[:limit_bytes].decode(errors="ignore")
    return f"{kept} ... (captured {limit_bytes} of {len(data)} bytes)"
