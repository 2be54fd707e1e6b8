"""From a check as Consul's agent takes it to a definition of ours. Pure. The texts are Consul's, where it has one."""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from callboard.model.check import (
    DEREGISTER_AFTER_MIN,
    INTERVAL_MIN,
    OUTPUT_MAX_BYTES,
    TIMEOUT_DEFAULT,
    Definition,
    HttpCheck,
    TcpCheck,
    Thresholds,
    TtlCheck,
)
from callboard.model.errors import InvalidError
from callboard.model.time import Duration
from callboard.wire.consul_body import CheckBody
from callboard.wire.consul_fields import Span

_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
"""Characters of methods and header names (RFC 9110 section 5.6.2)."""
_LOCAL: Final = "127.0.0.1"
NEVER: Final = Duration(0)


def check_definition(body: CheckBody, connect: Callable[[str], str]) -> Definition:
    """What is asked, how and how often. `connect` tells the address to dial for a host. Raises `InvalidError`."""
    _refuse_other_kinds(body)
    probed = bool(body.http or body.tcp)
    if body.interval > 0 and body.ttl > 0:
        raise InvalidError("", "Interval and TTL cannot both be specified")
    if probed and body.interval <= 0:
        raise InvalidError("", "Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks")
    if not probed and body.ttl <= 0:
        raise InvalidError("", "TTL must be > 0 for TTL checks")
    if body.output_max_size < 0:
        raise InvalidError("", "MaxOutputMaxSize must be positive")
    if body.failures_before_warning > body.failures_before_critical:
        raise InvalidError("", "FailuresBeforeWarning can't be higher than FailuresBeforeCritical")
    after = _at_least(body.deregister_critical_service_after, DEREGISTER_AFTER_MIN) if body.deregister_critical_service_after > 0 else NEVER
    if body.http:
        return _http(body, connect, after)
    if body.tcp:
        return _tcp(body, connect, after)
    return TtlCheck(ttl=_at_least(body.ttl), deregister_after=after)


def _refuse_other_kinds(body: CheckBody) -> None:
    other = {
        "Args": body.script_args, "DockerContainerID": body.docker_container_id, "UDP": body.udp, "GRPC": body.grpc, "H2PING": body.h2ping,
        "OSService": body.os_service, "AliasNode": body.alias_node, "AliasService": body.alias_service, "TCPUseTLS": body.tcp_use_tls,
    }  # fmt: skip
    for name, value in other.items():
        if value:
            raise InvalidError("", f"{name} checks are not built yet; use HTTP, TCP or TTL")
    if body.http and body.tcp:
        raise InvalidError("", "HTTP and TCP cannot both be specified")


def _http(body: CheckBody, connect: Callable[[str], str], after: Duration) -> HttpCheck:
    host = _http_host(body.http)
    if body.method and not _TOKEN.issuperset(body.method):
        raise InvalidError("Method", "must be an HTTP method")
    return HttpCheck(
        url=body.http, method=body.method or "GET", headers=_headers(body.header), body=body.body,
        follow_redirects=not body.disable_redirects,
        interval=_interval(body), timeout=_timeout(body), connect=connect(host), thresholds=_thresholds(body),
        output_max_bytes=_output_max_bytes(body), deregister_after=after,
    )  # fmt: skip


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


def _tcp(body: CheckBody, connect: Callable[[str], str], after: Duration) -> TcpCheck:
    host, colon, port = body.tcp.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or len(port) > 5:
        raise InvalidError("TCP", "must be host:port")
    host = host.removeprefix("[").removesuffix("]") or _LOCAL
    return TcpCheck(
        host=host, port=int(port), interval=_interval(body), timeout=_timeout(body), connect=connect(host), thresholds=_thresholds(body),
        output_max_bytes=_output_max_bytes(body), deregister_after=after,
    )  # fmt: skip


def _interval(body: CheckBody) -> Duration:
    """Consul raises short intervals without a word."""
    return _at_least(body.interval, INTERVAL_MIN)


def _timeout(body: CheckBody) -> Duration:
    return _at_least(body.timeout) if body.timeout > 0 else TIMEOUT_DEFAULT


def _at_least(span: Span, least: Duration = NEVER) -> Duration:
    """A span as a plain number, which rows can hold."""
    return Duration(max(int(span), least))


def _thresholds(body: CheckBody) -> Thresholds:
    return Thresholds(body.success_before_passing, body.failures_before_warning, body.failures_before_critical)


def _output_max_bytes(body: CheckBody) -> int:
    return min(body.output_max_size or OUTPUT_MAX_BYTES, OUTPUT_MAX_BYTES)
