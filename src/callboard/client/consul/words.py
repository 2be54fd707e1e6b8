"""From our words to Consul's and back: bodies of writes, and answers as what `/api/v1` would have said. Pure.

Bodies name only what differs from Consul's default, for an older Consul refuses fields it does not know. Answers are read leniently:
fields may be missing, and null stands for empty.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET, Struct, UnsetType

from callboard.model import names
from callboard.model.check import Status, worst
from callboard.model.instance import Phase
from callboard.model.time import MILLISECOND
from callboard.wire import native
from callboard.wire.consul_fields import go_name
from callboard.wire.consul_go import format_duration

REASONS: Final = {Phase.DRAINING: "draining", Phase.STARTING: "starting"}
"""The reasons of a maintenance that is none, but a phase of ours."""
_OUR_PHASES: Final = {reason: phase for phase, reason in REASONS.items()}
_SERVICE_MAINTENANCE: Final = "_service_maintenance:"
_NODE_MAINTENANCE: Final = "_node_maintenance"
_PHASES: Final = {"_callboard_draining:": Phase.DRAINING, "_callboard_starting:": Phase.STARTING}
"""Checks that stand for a phase in the answers of Callboard's own Consul door."""
_STATUSES: Final = {"passing": Status.PASSING, "warning": Status.WARNING}


def namespace_query(namespace: str) -> list[tuple[str, str]]:
    """The parameter for a name space; none for the default one. Raises `InvalidError`."""
    space = names.namespace(namespace)
    return [] if space == names.PUBLIC else [("ns", space)]


# -- what is written


class _CheckBody(Struct, frozen=True, kw_only=True, omit_defaults=True, rename=go_name):
    check_id: str
    name: str = ""
    notes: str = ""
    status: str = ""
    ttl: str = ""
    http: str = ""
    method: str = ""
    header: dict[str, list[str]] = {}
    body: str = ""
    disable_redirects: bool = False
    tcp: str = ""
    tcp_use_tls: bool = False
    udp: str = ""
    grpc: str = ""
    grpc_use_tls: bool = False
    h2ping: str = ""
    h2ping_use_tls: bool | UnsetType = UNSET
    """Left out it is true, so it is said wherever it is not."""
    script_args: tuple[str, ...] = ()
    os_service: str = ""
    alias_node: str = ""
    alias_service: str = ""
    tls_server_name: str = ""
    tls_skip_verify: bool = False
    interval: str = ""
    timeout: str = ""
    success_before_passing: int = 0
    failures_before_warning: int = 0
    failures_before_critical: int = 0
    deregister_critical_service_after: str = ""


class _WeightsBody(Struct, frozen=True, rename=go_name):
    passing: int
    warning: int


class _ServiceBody(Struct, frozen=True, kw_only=True, omit_defaults=True, rename=go_name):
    id: str
    name: str
    address: str = ""
    port: int = 0
    tags: tuple[str, ...] = ()
    meta: dict[str, str] = {}
    weights: _WeightsBody | None = None
    checks: tuple[_CheckBody, ...] = ()


class _UpdateBody(Struct, frozen=True, rename=go_name):
    status: str
    output: str


class Pushed(NamedTuple):
    """A TTL check of a registration, and how it starts."""

    check_id: str
    status: native.Reported
    output: str


def instance_id(registration: native.Registration) -> str:
    """The id it goes by."""
    return registration.id or registration.service


def is_hidden(registration: native.Registration) -> bool:
    """Whether it takes no new traffic from the start."""
    return registration.phase in REASONS


def pushed_checks(registration: native.Registration) -> tuple[Pushed, ...]:
    """Its TTL checks."""
    named = zip(_check_ids(registration), registration.checks, strict=True)
    return tuple(Pushed(check_id, check.status, check.output) for check_id, check in named if check.ttl_ms)


def registration_body(registration: native.Registration) -> bytes:
    """What `agent/service/register` is sent. One that is hidden starts with critical TTL checks, until it is in maintenance."""
    hidden = is_hidden(registration)
    checks = [
        _check_body(check_id, check, hidden=hidden) for check_id, check in zip(_check_ids(registration), registration.checks, strict=True)
    ]
    checks.sort(key=lambda check: not check.ttl)
    weights = registration.weights
    body = _ServiceBody(
        id=instance_id(registration), name=registration.service, address=registration.address, port=registration.port,
        tags=registration.tags, meta=registration.meta, checks=tuple(checks),
        weights=None if weights == native.Weights() else _WeightsBody(weights.passing, weights.warning),
    )  # fmt: skip
    return msgspec.json.encode(body)


def update_body(status: native.Reported, output: str) -> bytes:
    """What `agent/check/update` is sent."""
    return msgspec.json.encode(_UpdateBody(status, output))


def _check_ids(registration: native.Registration) -> list[str]:
    """The ids both registries would give; said always, so that heartbeats do not depend on who counts how."""
    default, several = f"service:{instance_id(registration)}", len(registration.checks) > 1
    return [check.id or (f"{default}:{place}" if several else default) for place, check in enumerate(registration.checks, 1)]


def _check_body(check_id: str, check: native.CheckRequest, *, hidden: bool) -> _CheckBody:
    return _CheckBody(
        check_id=check_id, name=check.name, notes=check.notes, status="critical" if hidden and check.ttl_ms else check.status,
        ttl=_span(check.ttl_ms), http=check.http, method=check.method,
        header={name: [value] for name, value in check.headers.items()}, body=check.body,
        disable_redirects=not check.follow_redirects, tcp=check.tcp, tcp_use_tls=bool(check.tcp) and check.tls, udp=check.udp,
        grpc=check.grpc, grpc_use_tls=bool(check.grpc) and check.tls, h2ping=check.h2ping,
        h2ping_use_tls=check.tls if check.h2ping else UNSET, script_args=check.script, os_service=check.os_service,
        alias_node=check.alias_node, alias_service=check.alias_instance, tls_server_name=check.tls_server_name,
        tls_skip_verify=check.tls_skip_verify, interval=_span(check.interval_ms), timeout=_span(check.timeout_ms),
        success_before_passing=check.success_before_passing, failures_before_warning=check.failures_before_warning,
        failures_before_critical=check.failures_before_critical,
        deregister_critical_service_after=_span(check.deregister_after_ms),
    )  # fmt: skip


def _span(milliseconds: int) -> str:
    return format_duration(milliseconds * MILLISECOND) if milliseconds else ""


# -- what is read


class _Node(Struct, frozen=True, rename=go_name):
    node: str
    address: str = ""


class _Weights(Struct, frozen=True, rename=go_name):
    passing: int = 1
    warning: int = 1


class _Service(Struct, frozen=True, rename=go_name):
    id: str
    service: str
    tags: tuple[str, ...] | None = None
    address: str = ""
    meta: dict[str, str] | None = None
    port: int = 0
    weights: _Weights | None = None
    create_index: int = 0
    modify_index: int = 0


class _Check(Struct, frozen=True, rename=go_name):
    check_id: str
    status: str
    node: str = ""
    name: str = ""
    notes: str = ""
    output: str = ""
    service_id: str = ""
    service_name: str = ""
    type: str = ""
    modify_index: int = 0


class _Entry(Struct, frozen=True, rename=go_name):
    node: _Node
    service: _Service
    checks: tuple[_Check, ...] | None = None


class _Config(Struct, frozen=True, rename=go_name):
    node_name: str = ""


class _Itself(Struct, frozen=True, rename=go_name):
    config: _Config = _Config()


class _Health(Struct, frozen=True, rename=go_name):
    checks: tuple[_Check, ...] | None = None


def maintenance_reason(body: bytes) -> str:
    """Why an instance is in maintenance, in an answer of `agent/health/service/id`; empty when it is not. Raises `msgspec.DecodeError`."""
    checks = msgspec.json.decode(body, type=_Health).checks or ()
    return next((check.notes for check in checks if check.check_id.startswith(_SERVICE_MAINTENANCE)), "")


def agent_node(body: bytes) -> str:
    """Name of the node in an answer of `agent/self`. Raises `msgspec.DecodeError`."""
    return msgspec.json.decode(body, type=_Itself).config.node_name


def instances_of(body: bytes, namespace: str) -> tuple[native.InstanceState, ...]:
    """An answer of `health/service`, by node and id. Raises `msgspec.DecodeError`, or `UnicodeDecodeError`."""
    entries = msgspec.json.decode(body, type=tuple[_Entry, ...] | None) or ()
    space = names.namespace(namespace)
    return tuple(sorted((_instance(entry, space) for entry in entries), key=lambda instance: (instance.node, instance.id)))


def _instance(entry: _Entry, namespace: str) -> native.InstanceState:
    service, checks = entry.service, entry.checks or ()
    phase, shown = _phase(checks)
    of_node_first = sorted(shown, key=lambda check: (bool(check.service_id), check.check_id))
    states = tuple(_check(check) for check in of_node_first)
    weights = service.weights or _Weights()
    return native.InstanceState(
        id=service.id, service=service.service, namespace=namespace, node=entry.node.node,
        address=service.address or entry.node.address, port=service.port, tags=service.tags or (), meta=service.meta or {},
        weights=native.Weights(weights.passing, weights.warning), phase=phase, status=worst([check.status for check in states]),
        checks=states, created=service.create_index, modified=max([service.modify_index, *(check.modify_index for check in checks)]),
    )  # fmt: skip


def _phase(checks: Iterable[_Check]) -> tuple[Phase, list[_Check]]:
    """What some checks say about the phase, and the other checks. A maintenance that is somebody else's counts as both."""
    phase, shown = Phase.SERVING, []
    for check in checks:
        said = next((phase for prefix, phase in _PHASES.items() if check.check_id.startswith(prefix)), None)
        if said is None and _is_maintenance(check):
            said = _OUR_PHASES.get(check.notes)
            phase = said or Phase.DRAINING
        if said is None:
            shown.append(check)
        else:
            phase = said
    return phase, shown


def _check(check: _Check) -> native.CheckState:
    maintenance = _is_maintenance(check)
    return native.CheckState(
        id=check.check_id, name=check.name, kind="maintenance" if maintenance else check.type or "manual",
        status=Status.MAINTENANCE if maintenance else _STATUSES.get(check.status, Status.CRITICAL), output=check.output, notes=check.notes,
    )  # fmt: skip


def _is_maintenance(check: _Check) -> bool:
    return check.check_id == _NODE_MAINTENANCE or check.check_id.startswith(_SERVICE_MAINTENANCE)


# -- the list of services


def summaries_of(services: bytes, checks: bytes, namespace: str) -> tuple[native.ServiceSummary, ...]:
    """Answers of `catalog/services` and `health/state/any`, by name. Raises `msgspec.DecodeError`, or `UnicodeDecodeError`.

    Neither lists instances: those are counted that have a check of their own.
    """
    tags = msgspec.json.decode(services, type=dict[str, tuple[str, ...] | None])
    found = msgspec.json.decode(checks, type=tuple[_Check, ...] | None) or ()
    space, counted = names.namespace(namespace), _by_instance(found)
    return tuple(_summary(name, tuple(sorted(tags[name] or ())), space, counted.get(name, ())) for name in sorted(tags))


def _by_instance(checks: Sequence[_Check]) -> dict[str, list[list[_Check]]]:
    """The checks of each instance of each service, those of its node among them."""
    of_node: dict[str, list[_Check]] = {}
    own: dict[tuple[str, str, str], list[_Check]] = {}
    for check in checks:
        if check.service_id:
            own.setdefault((check.service_name, check.node, check.service_id), []).append(check)
        else:
            of_node.setdefault(check.node, []).append(check)
    out: dict[str, list[list[_Check]]] = {}
    for (service, node, _), of_instance in own.items():
        out.setdefault(service, []).append([*of_node.get(node, ()), *of_instance])
    return out


def _summary(name: str, tags: tuple[str, ...], namespace: str, instances: Sequence[Sequence[_Check]]) -> native.ServiceSummary:
    statuses, draining = dict.fromkeys(Status, 0), 0
    for checks in instances:
        phase, shown = _phase(checks)
        draining += phase is Phase.DRAINING
        statuses[worst([_check(check).status for check in shown])] += 1
    return native.ServiceSummary(
        name=name, namespace=namespace, tags=tags, instances=len(instances), draining=draining,
        **{status.value: count for status, count in statuses.items()},
    )  # fmt: skip
