"""Which definitions can be run: limits, and rules for texts that become part of what is sent or started."""

from typing import Final
from urllib.parse import urlsplit

from callboard.model import names
from callboard.model.check_kinds import (
    OUTPUT_MAX_BYTES,
    AliasCheck,
    Definition,
    GrpcCheck,
    H2pingCheck,
    HttpCheck,
    OsServiceCheck,
    ProbeDefinition,
    ScriptCheck,
    TcpCheck,
    TlsOptions,
    TtlCheck,
    UdpCheck,
)
from callboard.model.errors import InvalidError
from callboard.model.time import HOUR, MILLISECOND, SECOND, Duration

INTERVAL_MIN: Final = SECOND
DEREGISTER_AFTER_MIN: Final = SECOND
URL_MAX_CHARS: Final = 2048
METHOD_MAX_CHARS: Final = 32
HEADERS_MAX_COUNT: Final = 64
BODY_MAX_CHARS: Final = 65_536
ARGS_MAX_COUNT: Final = 64
ARGS_MAX_CHARS: Final = 4096
"""Of all arguments of a script together."""
SPAN_MAX: Final = Duration(100 * 365 * 24 * HOUR)
"""Added to any clock it still fits into 63 bits."""
SCHEMES: Final = ("http://", "https://")
_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")  # RFC 9110 section 5.6.2
_UNIT: Final = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz:_.\\@-")  # systemd.unit(5)


def validate(definition: Definition) -> None:
    """Raise `InvalidError` for a definition nobody could run."""
    if isinstance(definition, TtlCheck) and MILLISECOND <= definition.ttl <= SPAN_MAX and not definition.deregister_after:
        return  # what most checks are
    for field in ("ttl", "interval", "timeout", "deregister_after"):
        if getattr(definition, field, 0) > SPAN_MAX:
            raise InvalidError(field, "must be at most 100 years")
    if isinstance(definition, TtlCheck):
        if definition.ttl < MILLISECOND:
            raise InvalidError("ttl", "must be at least 1 ms")
    elif isinstance(definition, AliasCheck):
        _validate_alias(definition)
    elif isinstance(definition, ProbeDefinition):
        _validate_probe(definition)
    if definition.deregister_after and definition.deregister_after < DEREGISTER_AFTER_MIN:
        raise InvalidError("deregister_after", "must be at least 1 s, or 0 for never")


def _validate_alias(definition: AliasCheck) -> None:
    if not definition.alias_node and not definition.alias_service:
        raise InvalidError("alias_service", "must name an instance, or alias_node a node")
    if definition.alias_node:
        names.name("alias_node", definition.alias_node)
    if definition.alias_service:
        names.name("alias_service", definition.alias_service)


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
    if isinstance(definition, HttpCheck):
        _validate_http(definition)
    elif isinstance(definition, ScriptCheck):
        _validate_args(definition.args)
    elif isinstance(definition, OsServiceCheck):
        _validate_unit(definition.service)
    else:
        _validate_place(definition)


def _validate_place(definition: TcpCheck | UdpCheck | GrpcCheck | H2pingCheck) -> None:
    kind = str(definition.__struct_config__.tag)
    names.name(f"{kind} host", definition.host)
    if not 1 <= definition.port <= 65535:
        raise InvalidError(f"{kind} port", "must be between 1 and 65535")
    if isinstance(definition, GrpcCheck):
        names.text("grpc service", definition.service)
    if not isinstance(definition, UdpCheck) and definition.tls is not None:
        _validate_tls(definition.tls)


def _validate_tls(tls: TlsOptions) -> None:
    if tls.server_name:
        names.name("tls_server_name", tls.server_name)
        if not tls.server_name.isascii():
            raise InvalidError("tls_server_name", "must be ASCII; write other names as xn--")


def _validate_args(args: tuple[str, ...]) -> None:
    if not args or not args[0]:
        raise InvalidError("script args", "must name a program")
    if len(args) > ARGS_MAX_COUNT or sum(map(len, args)) > ARGS_MAX_CHARS:
        raise InvalidError("script args", f"must be at most {ARGS_MAX_COUNT}, of at most {ARGS_MAX_CHARS} characters together")
    if any("\0" in arg for arg in args):
        raise InvalidError("script args", "must not contain NUL")


def _validate_unit(service: str) -> None:
    if not service or len(service) > names.NAME_MAX_CHARS or not _UNIT.issuperset(service) or service.startswith("-"):
        raise InvalidError("os_service", f"must be the name of a unit of systemd, at most {names.NAME_MAX_CHARS} characters")


def _validate_http(definition: HttpCheck) -> None:
    """What is sent to an instance is made of these texts: none of them may add a line to the request."""
    _validate_url(definition.url)
    _validate_tls(definition.tls)
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
    if not url.startswith(SCHEMES):
        raise InvalidError("http url", "must start with http:// or https://")
    try:
        parts = urlsplit(url)
        askable = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise InvalidError("http url", f"is no URL: {error}") from None
    if not askable:
        raise InvalidError("http url", "must name a host, and a port other than 0")
