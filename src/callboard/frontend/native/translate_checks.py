"""From a check as the native API takes it to a definition of ours. Pure. What is wrong is told with the field that the caller wrote."""

from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import urlsplit

from callboard.core.catalog.commands import Attached
from callboard.model.check import (
    SCRIPT_TIMEOUT_DEFAULT,
    TIMEOUT_DEFAULT,
    AliasCheck,
    Definition,
    GrpcCheck,
    H2pingCheck,
    HttpCheck,
    OsServiceCheck,
    ScriptCheck,
    TcpCheck,
    Thresholds,
    TlsOptions,
    TtlCheck,
    UdpCheck,
)
from callboard.model.errors import InvalidError
from callboard.model.time import MILLISECOND, Duration
from callboard.wire.native import CheckRequest

KINDS: Final = ("ttl_ms", "http", "tcp", "udp", "grpc", "h2ping", "script", "os_service", "alias")
"""The fields of which exactly one is given; an alias is `alias_instance`, `alias_node` or both."""
_PROBE: Final = frozenset({"interval_ms", "timeout_ms", "success_before_passing", "failures_before_warning", "failures_before_critical"})
_TRUST: Final = frozenset({"tls_server_name", "tls_skip_verify"})
_HTTP: Final = frozenset({"method", "headers", "body", "follow_redirects"})
_TLS: Final = frozenset({"tls"})
_MEANING: Final[dict[str, frozenset[str]]] = {
    "ttl_ms": frozenset(), "http": _PROBE | _HTTP | _TRUST, "tcp": _PROBE | _TRUST | _TLS, "udp": _PROBE, "grpc": _PROBE | _TRUST | _TLS,
    "h2ping": _PROBE | _TRUST | _TLS, "script": _PROBE, "os_service": _PROBE, "alias": frozenset(),
}  # fmt: skip
"""The further fields that each kind looks at."""
_SOMETIMES: Final = _PROBE | _HTTP | _TRUST | _TLS
_NOTHING: Final = CheckRequest()
_TOKEN_CHARS: Final = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
FIELDS: Final = {
    "ttl": "ttl_ms", "interval": "interval_ms", "timeout": "timeout_ms", "deregister_after": "deregister_after_ms", "http url": "http",
    "tcp host": "tcp", "tcp port": "tcp", "http method": "method", "http headers": "headers", "http body": "body",
    "udp host": "udp", "udp port": "udp", "grpc host": "grpc", "grpc port": "grpc",
    "grpc service": "grpc", "h2ping host": "h2ping", "h2ping port": "h2ping", "script args": "script", "alias_service": "alias_instance",
}  # fmt: skip
"""The model's names of what a caller wrote under another name."""
Connect = Callable[[str], str]
"""From the host of a check to the address to dial instead; empty for none."""


def refuse_scripts(checks: Iterable[Attached], *, allowed: bool) -> None:
    """Raise `InvalidError` for a script on a server that does not run any."""
    for number, attached in enumerate(checks):
        if isinstance(attached.check.definition, ScriptCheck) and not allowed:
            raise InvalidError(f"checks[{number}].script", "is not run by this server; start every member with --enable-script-checks")


def check_definition(check: CheckRequest, connect: Connect) -> Definition:
    """What is asked, how and how often. Raises `InvalidError`."""
    kind = _kind(check)
    for field in sorted(_SOMETIMES - _MEANING[kind]):
        if getattr(check, field) != getattr(_NOTHING, field):
            raise InvalidError(field, f"has no meaning for a check of kind {kind.removesuffix('_ms')}")
    after = _duration(check.deregister_after_ms)
    if kind == "ttl_ms":
        return TtlCheck(_duration(check.ttl_ms), after)
    if kind == "alias":
        return AliasCheck(check.alias_node, check.alias_instance, after)
    thresholds = Thresholds(check.success_before_passing, check.failures_before_warning, check.failures_before_critical)
    interval, timeout = _duration(check.interval_ms), _duration(check.timeout_ms) or TIMEOUT_DEFAULT
    if kind == "script":
        timeout = _duration(check.timeout_ms) or SCRIPT_TIMEOUT_DEFAULT
        return ScriptCheck(check.script, interval, timeout, thresholds, deregister_after=after)
    if kind == "os_service":
        return OsServiceCheck(check.os_service, interval, timeout, thresholds, deregister_after=after)
    if kind == "http":
        return HttpCheck(
            url=check.http, interval=interval, timeout=timeout, method=_method(check.method), headers=_headers(check.headers),
            body=check.body, follow_redirects=check.follow_redirects, connect=connect(_host_of(check.http)), thresholds=thresholds,
            deregister_after=after, tls=TlsOptions(check.tls_server_name, check.tls_skip_verify),
        )  # fmt: skip
    return _at_a_place(kind, check, connect, interval, timeout, thresholds)


def _kind(check: CheckRequest) -> str:
    given = {kind: getattr(check, kind) for kind in KINDS if kind != "alias"}
    given["alias"] = check.alias_node or check.alias_instance
    kinds = [kind for kind in KINDS if given[kind]]
    if len(kinds) != 1:
        raise InvalidError("", f"exactly one of {', '.join(KINDS[:-1])}, and alias_instance or alias_node, must be given")
    return kinds[0]


def _at_a_place(
    kind: str, check: CheckRequest, connect: Connect, interval: Duration, timeout: Duration, thresholds: Thresholds
) -> Definition:
    """Probes of a host and a port."""
    target, _, service = check.grpc.partition("/")
    host, port = _host_and_port(kind, target if kind == "grpc" else getattr(check, kind))
    after, dialled = _duration(check.deregister_after_ms), connect(host)
    if kind == "udp":
        return UdpCheck(host, port, interval, timeout, dialled, thresholds, deregister_after=after)
    if not check.tls and (check.tls_server_name or check.tls_skip_verify):
        raise InvalidError("tls", "must be true where tls_server_name or tls_skip_verify is said")
    tls = TlsOptions(check.tls_server_name, check.tls_skip_verify) if check.tls else None
    if kind == "tcp":
        return TcpCheck(host, port, interval, timeout, dialled, thresholds, deregister_after=after, tls=tls)
    if kind == "grpc":
        return GrpcCheck(host, port, interval, service, timeout, dialled, thresholds, deregister_after=after, tls=tls)
    return H2pingCheck(host, port, interval, timeout, dialled, thresholds, deregister_after=after, tls=tls)


def _duration(milliseconds: int) -> Duration:
    return Duration(milliseconds * MILLISECOND)


def _host_and_port(field: str, text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or len(port) > 5:
        raise InvalidError(field, "must be HOST:PORT, or [V6]:PORT" + (", and perhaps /SERVICE" if field == "grpc" else ""))
    return host, int(port)


def _host_of(url: str) -> str:
    """The host of a URL that a probe could be sent to."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidError("http", f"is no URL: {error}") from None
    if not host or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidError("http", "must be http://HOST[:PORT]/PATH, percent-encoded ASCII")
    return host


def _method(method: str) -> str:
    if not _TOKEN_CHARS.issuperset(method):
        raise InvalidError("method", "must be an HTTP method, like GET")
    return method or "GET"


def _headers(headers: dict[str, str]) -> tuple[tuple[str, str], ...]:
    for name, value in headers.items():
        if not name or not _TOKEN_CHARS.issuperset(name):
            raise InvalidError("headers", f"{name[:100]!r} is no name of a header field (RFC 9110 section 5.1)")
        if not value.isprintable() or not value.isascii():
            raise InvalidError("headers", f"the value of {name[:100]} must contain only printable ASCII characters")
    return tuple(sorted(headers.items()))
