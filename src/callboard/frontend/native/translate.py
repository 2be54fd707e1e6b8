"""The words of the native API and ours, both ways. Pure: requests into commands, the view into answers."""

from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from callboard.core.callers import probe_address
from callboard.core.catalog import queries
from callboard.core.catalog.commands import Attached, Register, Target
from callboard.core.catalog.queries import Found
from callboard.core.catalog.view import Place, View
from callboard.model import names
from callboard.model.check import (
    TIMEOUT_DEFAULT,
    Check,
    CheckSpec,
    Definition,
    HttpCheck,
    MaintenanceCheck,
    ManualCheck,
    Status,
    TcpCheck,
    Thresholds,
    TtlCheck,
)
from callboard.model.errors import InvalidError
from callboard.model.instance import Instance, InstanceSpec, NodeSpec, Placed, Weights
from callboard.model.rows import Refusal
from callboard.model.time import MILLISECOND, Duration
from callboard.wire import native

_KINDS: Final[dict[type[Definition], str]] = {
    TtlCheck: "ttl", HttpCheck: "http", TcpCheck: "tcp", ManualCheck: "manual", MaintenanceCheck: "maintenance",
}  # fmt: skip
_FIELDS: Final = {
    "service id": "id", "check id": "id", "check name": "name", "check notes": "notes", "ttl": "ttl_ms", "interval": "interval_ms",
    "timeout": "timeout_ms", "deregister_after": "deregister_after_ms", "http url": "http", "tcp host": "tcp", "tcp port": "tcp",
}  # fmt: skip
"""The model's names of what a caller wrote under another name."""
_PROBE_FIELDS: Final = ("interval_ms", "timeout_ms", "success_before_passing", "failures_before_warning", "failures_before_critical")
_HTTP_FIELDS: Final = ("method", "headers", "body")
_TOKEN_CHARS: Final = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_NODES_NAMED: Final = 5


class Caller(NamedTuple):
    """Who asks: the node the call belongs to, and the addresses it came from and to."""

    node: NodeSpec
    peer: str
    local: str


# -- requests


def registration(request: native.Registration, caller: Caller, namespace: str, nonce: str) -> Register:
    """The command of a registration. Raises `InvalidError` in the words of the request."""
    instance_id = request.id or request.service
    checks = _checks(request, instance_id, caller)
    try:
        instance = InstanceSpec(
            service=request.service, id=instance_id, namespace=namespace, address=request.address, port=request.port,
            tags=request.tags, meta=request.meta, weights=Weights(request.weights.passing, request.weights.warning), phase=request.phase,
        )  # fmt: skip
    except InvalidError as error:
        raise _renamed("", error) from None
    return Register(
        nonce=nonce, node=caller.node, instance=instance, namespace=namespace, replace_checks=request.replace_checks,
        checks=tuple(Attached(instance_id, check) for check in checks),
    )  # fmt: skip


def _renamed(place: str, error: InvalidError) -> InvalidError:
    field = _FIELDS.get(error.field, error.field)
    return InvalidError(".".join(part for part in (place, field) if part), error.problem)


def _checks(request: native.Registration, instance_id: str, caller: Caller) -> list[CheckSpec]:
    specs: dict[str, CheckSpec] = {}
    for number, check in enumerate(request.checks):
        default = f"service:{instance_id}" if len(request.checks) == 1 else f"service:{instance_id}:{number + 1}"
        try:
            spec = CheckSpec(
                id=check.id or default, definition=_definition(check, caller), name=check.name or f"Service '{request.service}' check",
                notes=check.notes, status=Status(check.status), output=check.output,
            )  # fmt: skip
        except InvalidError as error:
            raise _renamed(f"checks[{number}]", error) from None
        if spec.id in specs:
            raise InvalidError(f"checks[{number}].id", f"{spec.id!r} is the id of an earlier check too")
        specs[spec.id] = spec
    return list(specs.values())


def _definition(check: native.CheckRequest, caller: Caller) -> Definition:
    if (check.ttl_ms > 0) + bool(check.http) + bool(check.tcp) != 1:
        raise InvalidError("", "exactly one of ttl_ms, http and tcp must be given")
    after = _duration(check.deregister_after_ms)
    if check.ttl_ms:
        _refuse_fields(check, (*_PROBE_FIELDS, *_HTTP_FIELDS), "ttl")
        return TtlCheck(_duration(check.ttl_ms), after)
    thresholds = Thresholds(check.success_before_passing, check.failures_before_warning, check.failures_before_critical)
    interval, timeout = _duration(check.interval_ms), _duration(check.timeout_ms) or TIMEOUT_DEFAULT
    if check.tcp:
        _refuse_fields(check, _HTTP_FIELDS, "tcp")
        host, port = _host_and_port(check.tcp)
        return TcpCheck(
            host=host, port=port, interval=interval, timeout=timeout, connect=probe_address(host, caller.peer, caller.local),
            thresholds=thresholds, deregister_after=after,
        )  # fmt: skip
    return HttpCheck(
        url=check.http, interval=interval, timeout=timeout, method=_method(check.method), headers=_headers(check.headers), body=check.body,
        connect=probe_address(_host_of(check.http), caller.peer, caller.local), thresholds=thresholds, deregister_after=after,
    )  # fmt: skip


def _duration(milliseconds: int) -> Duration:
    return Duration(milliseconds * MILLISECOND)


def _refuse_fields(check: native.CheckRequest, fields: tuple[str, ...], kind: str) -> None:
    for field in fields:
        if getattr(check, field):
            raise InvalidError(field, f"has no meaning for a check of kind {kind}")


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or len(port) > 5:
        raise InvalidError("tcp", "must be HOST:PORT, or [V6]:PORT")
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


# -- finding


def locate(view: View, target: Target) -> Placed | Refusal:
    """The instance a read or heartbeat means: on its node first; with `anywhere`, else on the only node that has it."""
    placed = view.placed(target.namespace, target.node, target.id)
    if placed is not None:
        return placed
    space = view.spaces.get(target.namespace)
    if not target.anywhere or space is None:
        return Refusal("unknown_instance", target.id)
    nodes = [node for node, there in space.by_node.items() if target.id in there]
    if len(nodes) == 1:
        return space.by_node[nodes[0]][target.id]
    if not nodes:
        return Refusal("unknown_instance", target.id)
    named = ", ".join(sorted(nodes)[:_NODES_NAMED]) + (", ..." if len(nodes) > _NODES_NAMED else "")
    return Refusal("ambiguous", target.id, f"{target.id!r} is on {len(nodes)} nodes ({named}); name one with ?node=")


# -- answers


def instance_state(found: Found) -> native.InstanceState:
    """An instance as the API shows it."""
    instance = found.instance
    return native.InstanceState(
        id=instance.id, service=instance.service, namespace=instance.namespace, node=found.node.name, address=found.address,
        port=instance.port, tags=instance.tags, meta=instance.meta,
        weights=native.Weights(instance.weights.passing, instance.weights.warning), phase=instance.phase, status=found.status,
        checks=tuple(_check_state(check) for check in found.checks), created=instance.created, modified=instance.modified,
    )  # fmt: skip


def _check_state(check: Check) -> native.CheckState:
    return native.CheckState(
        id=check.id, name=check.name, kind=_KINDS[type(check.definition)], status=check.status, output=check.output, notes=check.notes
    )  # fmt: skip


def visible(instance: Instance, own: Place) -> bool:
    """Whether lists show an instance: all but the servers' `own` entry."""
    return instance.namespace != names.PUBLIC or (instance.node, instance.id) != own


def services(view: View, namespace: str, own: Place) -> tuple[native.ServiceSummary, ...]:
    """Every service of a namespace, by name."""
    space = view.spaces.get(namespace)
    found = [queries.instances_of(view, namespace, service) for service in sorted(space.by_service)] if space is not None else []
    shown = ([each for each in instances if visible(each.instance, own)] for instances in found)
    return tuple(_service(namespace, instances) for instances in shown if instances)


def _service(namespace: str, found: Sequence[Found]) -> native.ServiceSummary:
    statuses = [each.status for each in found]
    return native.ServiceSummary(
        name=found[0].instance.service, namespace=namespace, tags=tuple(sorted({tag for each in found for tag in each.instance.tags})),
        instances=len(found), passing=statuses.count(Status.PASSING), warning=statuses.count(Status.WARNING),
        critical=statuses.count(Status.CRITICAL), maintenance=statuses.count(Status.MAINTENANCE),
        draining=sum(each.draining for each in found),
    )  # fmt: skip


def nodes(view: View, namespace: str, own: Place) -> tuple[native.NodeSummary, ...]:
    """Every node, by name, with the number of instances of the namespace on it."""
    return tuple(
        native.NodeSummary(
            name=view.nodes[name].name, address=view.nodes[name].address, meta=view.nodes[name].meta, implicit=view.nodes[name].implicit,
            instances=sum(visible(placed.instance, own) for placed in view.on_node(namespace, name).values()),
        )
        for name in sorted(view.nodes)
    )  # fmt: skip
