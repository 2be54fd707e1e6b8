"""From a check as Consul's agent takes it to a definition of ours. Pure. The texts are Consul's, where it has one."""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from callboard.model.check import (
    DEREGISTER_AFTER_MIN,
    INTERVAL_MIN,
    OUTPUT_MAX_BYTES,
    SCRIPT_TIMEOUT_DEFAULT,
    TIMEOUT_DEFAULT,
    AliasCheck,
    CheckSpec,
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
from callboard.model.time import Duration
from callboard.wire.consul_body import CheckBody
from callboard.wire.consul_fields import Span

_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
"""Characters of methods and header names (RFC 9110 section 5.6.2)."""
_LOCAL: Final = "127.0.0.1"
_SCRIPTS_DISABLED: Final = "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true"
_FIELDS: Final = {
    "ttl": "TTL", "interval": "Interval", "timeout": "Timeout", "deregister_after": "DeregisterCriticalServiceAfter", "http url": "HTTP",
    "http method": "Method", "http headers": "Header", "http body": "Body", "tls_server_name": "TLSServerName", "script args": "Args",
    "os_service": "OSService", "alias_service": "AliasService", "alias_node": "AliasNode", "grpc service": "GRPC",
    **{f"{kind.lower()} {part}": kind for kind in ("TCP", "UDP", "GRPC", "H2PING") for part in ("host", "port")},
}  # fmt: skip
"""The model's names of what a caller wrote under another name."""
NEVER: Final = Duration(0)
Connect = Callable[[str], str]
"""From the host of a check to the address to dial instead; empty for none."""


class _Place(NamedTuple):
    """Where a probe goes, and where it is dialled instead."""

    host: str
    port: int
    connect: str


def refuse_scripts(checks: Iterable[CheckSpec], *, allowed: bool) -> None:
    """Raise `InvalidError` for a script on a server that does not run any."""
    if allowed:
        return
    for check in checks:
        if isinstance(check.definition, ScriptCheck):
            raise InvalidError("", _SCRIPTS_DISABLED)


def as_written(error: InvalidError) -> str:
    """What is wrong, with the field that the caller wrote."""
    return f"{_FIELDS.get(error.field, error.field)}: {error.problem}" if error.field else error.problem


def check_definition(body: CheckBody, connect: Connect) -> Definition:
    """What is asked, how and how often. `connect` tells the address to dial for a host. Raises `InvalidError`."""
    kind = _kind(body)
    limited = body.output_max_size or body.failures_before_warning or body.failures_before_critical
    if kind or body.ttl <= 0 or body.interval > 0 or limited:
        _validate(body, kind)
    if not kind:
        return TtlCheck(ttl=_at_least(body.ttl), deregister_after=_after(body))
    if kind in {"AliasNode", "AliasService"}:
        return AliasCheck(body.alias_node, body.alias_service, _after(body))
    if kind == "Args":
        return _script(body)
    if kind == "OSService":
        return OsServiceCheck(
            service=body.os_service, interval=_interval(body), timeout=_timeout(body), thresholds=_thresholds(body),
            output_max_bytes=_output_max_bytes(body), deregister_after=_after(body),
        )  # fmt: skip
    if kind == "HTTP":
        return _http(body, connect)
    return _at_a_place(kind, body, connect)


def _kind(body: CheckBody) -> str:
    """The field that says what is asked; empty for a TTL check. Raises `InvalidError` for two of them."""
    if body.docker_container_id:
        raise InvalidError("", "DockerContainerID checks are not built; run the check outside and push its result with a TTL check")
    if body.shell:
        raise InvalidError("", "Shell has no meaning without DockerContainerID; name the shell as the first of Args")
    alias = body.alias_node or body.alias_service
    if not (alias or body.http or body.tcp or body.udp or body.grpc or body.h2ping or body.script_args or body.os_service):
        return ""
    given = {
        "HTTP": body.http, "TCP": body.tcp, "UDP": body.udp, "GRPC": body.grpc, "H2PING": body.h2ping, "Args": body.script_args,
        "OSService": body.os_service, "AliasNode": body.alias_node and not body.alias_service, "AliasService": body.alias_service,
    }  # fmt: skip
    kinds = [name for name, value in given.items() if value]
    if len(kinds) > 1 and not kinds[-1].startswith("Alias"):
        raise InvalidError("", f"{kinds[0]} and {kinds[1]} cannot both be specified")
    return kinds[-1] if kinds else ""


def _validate(body: CheckBody, kind: str) -> None:
    """Consul's rules, in its order."""
    alias = kind.startswith("Alias")
    asked = body.http or body.tcp or body.udp or body.grpc or body.h2ping or body.script_args or body.os_service
    if body.interval > 0 and body.ttl > 0:
        raise InvalidError("", "Interval and TTL cannot both be specified")
    if asked and body.interval <= 0:
        raise InvalidError("", "Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks")
    if asked and alias:
        raise InvalidError("", "Interval cannot be set for Alias checks")
    if alias and body.ttl > 0:
        raise InvalidError("", "TTL must be not be set for Alias checks")
    if not kind and body.ttl <= 0:
        raise InvalidError("", "TTL must be > 0 for TTL checks")
    if body.output_max_size < 0:
        raise InvalidError("", "MaxOutputMaxSize must be positive")
    if body.failures_before_warning > body.failures_before_critical:
        raise InvalidError("", "FailuresBeforeWarning can't be higher than FailuresBeforeCritical")


def _after(body: CheckBody) -> Duration:
    after = body.deregister_critical_service_after
    return _at_least(after, DEREGISTER_AFTER_MIN) if after > 0 else NEVER


def _http(body: CheckBody, connect: Connect) -> HttpCheck:
    host = _http_host(body.http)
    if body.method and not _TOKEN.issuperset(body.method):
        raise InvalidError("Method", "must be an HTTP method")
    return HttpCheck(
        url=body.http, method=body.method or "GET", headers=_headers(body.header), body=body.body,
        follow_redirects=not body.disable_redirects,
        interval=_interval(body), timeout=_timeout(body), connect=connect(host), thresholds=_thresholds(body),
        output_max_bytes=_output_max_bytes(body), deregister_after=_after(body), tls=_tls(body),
    )  # fmt: skip


def _at_a_place(kind: str, body: CheckBody, connect: Connect) -> Definition:
    """Probes of a host and a port."""
    target, _, service = body.grpc.partition("/")
    place = _place(kind, {"TCP": body.tcp, "UDP": body.udp, "GRPC": target, "H2PING": body.h2ping}[kind], connect)
    interval, timeout, thresholds = _interval(body), _timeout(body), _thresholds(body)
    size, after = _output_max_bytes(body), _after(body)
    if kind == "UDP":
        return UdpCheck(place.host, place.port, interval, timeout, place.connect, thresholds, size, after)
    if kind == "GRPC":
        tls = _tls(body) if body.grpc_use_tls else None
        return GrpcCheck(place.host, place.port, interval, service, timeout, place.connect, thresholds, size, after, tls)
    if kind == "TCP":
        tls = _tls(body) if body.tcp_use_tls else None
        return TcpCheck(place.host, place.port, interval, timeout, place.connect, thresholds, size, after, tls)
    tls = _tls(body) if body.h2ping_use_tls else None
    return H2pingCheck(place.host, place.port, interval, timeout, place.connect, thresholds, size, after, tls)


def _script(body: CheckBody) -> ScriptCheck:
    return ScriptCheck(
        args=body.script_args, interval=_interval(body), timeout=_timeout(body, SCRIPT_TIMEOUT_DEFAULT), thresholds=_thresholds(body),
        output_max_bytes=_output_max_bytes(body), deregister_after=_after(body),
    )  # fmt: skip


def _tls(body: CheckBody) -> TlsOptions:
    return TlsOptions(body.tls_server_name, body.tls_skip_verify)


def _http_host(url: str) -> str:
    if not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidError("HTTP", "must be a URL of printable ASCII without spaces")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidError("HTTP", f"must be a URL: {error}") from None
    if not host or port == 0:
        raise InvalidError("HTTP", "must be a URL with a host")
    return host


def _headers(header: dict[str, tuple[str, ...]]) -> tuple[tuple[str, str], ...]:
    for name, values in header.items():
        if not name or not _TOKEN.issuperset(name):
            raise InvalidError("Header", f"{name!r} is no name of a header field")
        if not all(value.isprintable() and value.isascii() for value in values):
            raise InvalidError("Header", f"values of {name!r} must be printable ASCII")
    return tuple((name, value) for name, values in header.items() for value in values)


def _place(kind: str, text: str, connect: Connect) -> _Place:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or len(port) > 5:
        raise InvalidError(kind, "must be host:port" + ("[/service]" if kind == "GRPC" else ""))
    host = host.removeprefix("[").removesuffix("]") or _LOCAL
    return _Place(host, int(port), connect(host))


def _interval(body: CheckBody) -> Duration:
    """Consul raises short intervals without a word."""
    return _at_least(body.interval, INTERVAL_MIN)


def _timeout(body: CheckBody, default: Duration = TIMEOUT_DEFAULT) -> Duration:
    return _at_least(body.timeout) if body.timeout > 0 else default


def _at_least(span: Span, least: Duration = NEVER) -> Duration:
    """A span as a plain number, which rows can hold."""
    return Duration(max(int(span), least))


def _thresholds(body: CheckBody) -> Thresholds:
    return Thresholds(body.success_before_passing, body.failures_before_warning, body.failures_before_critical)


def _output_max_bytes(body: CheckBody) -> int:
    return min(body.output_max_size or OUTPUT_MAX_BYTES, OUTPUT_MAX_BYTES)
