"""The words of the native API and ours, both ways. Pure: requests into commands, the view into answers."""

from collections import Counter
from functools import partial
from typing import Final, NamedTuple

from callboard.core.callers import probe_address
from callboard.core.catalog import queries
from callboard.core.catalog.commands import Attached, Register, Target
from callboard.core.catalog.queries import Found
from callboard.core.catalog.view import Place, View
from callboard.frontend.native.translate_asked import asked
from callboard.frontend.native.translate_checks import FIELDS, check_definition
from callboard.model import names
from callboard.model.check import Check, CheckSpec, Status
from callboard.model.errors import InvalidError
from callboard.model.instance import Instance, InstanceSpec, NodeSpec, Phase, Placed, Weights
from callboard.model.rows import Refusal
from callboard.model.service import NamedPort
from callboard.wire import native

_FIELDS: Final = {"service id": "id", "check id": "id", "check name": "name", "check notes": "notes", "port name": "ports", **FIELDS}
"""The model's names of what a caller wrote under another name."""
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
            ports=tuple(NamedPort(each.name, each.port, each.default) for each in request.ports),
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
    connect = partial(probe_address, peer=caller.peer, local=caller.local)
    for number, check in enumerate(request.checks):
        default = f"service:{instance_id}" if len(request.checks) == 1 else f"service:{instance_id}:{number + 1}"
        try:
            spec = CheckSpec(
                id=check.id or default, definition=check_definition(check, connect),
                name=check.name or f"Service '{request.service}' check", notes=check.notes,
                status=Status(check.status), output=check.output,
            )  # fmt: skip
        except InvalidError as error:
            raise _renamed(f"checks[{number}]", error) from None
        if spec.id in specs:
            raise InvalidError(f"checks[{number}].id", f"{spec.id!r} is the id of an earlier check too")
        specs[spec.id] = spec
    return list(specs.values())


# -- finding


def locate(view: View, target: Target) -> Placed | Refusal:
    """The instance a read or heartbeat means: on its node first; with `anywhere`, else on the only node that has it."""
    placed = view.placed(target.namespace, target.node, target.id)
    if placed is not None:
        return placed
    nodes = sorted(view.nodes_of_instance(target.namespace, target.id)) if target.anywhere else []
    if not nodes:
        return Refusal("unknown_instance", target.id)
    if len(nodes) == 1:
        return view.on_node(target.namespace, nodes[0])[target.id]
    named = ", ".join(nodes[:_NODES_NAMED]) + (", ..." if len(nodes) > _NODES_NAMED else "")
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
        ports=tuple(native.NamedPort(each.name, each.port, each.default) for each in instance.ports), socket_path=instance.socket_path,
        kind=instance.kind,
    )  # fmt: skip


def _check_state(check: Check) -> native.CheckState:
    how = asked(check.definition)
    return native.CheckState(
        id=check.id, name=check.name, kind=str(check.definition.__struct_config__.tag), status=check.status, output=check.output,
        notes=check.notes, since_ms=check.turned, of_node=not check.instance, target=how.target, interval_ms=how.interval_ms,
        timeout_ms=how.timeout_ms,
        ttl_ms=how.ttl_ms,
    )  # fmt: skip


def visible(instance: Instance, own: Place) -> bool:
    """Whether lists show an instance: all but the servers' `own` entry."""
    return instance.namespace != names.PUBLIC or (instance.node, instance.id) != own


def service_summary(view: View, namespace: str, service: str, own: Place) -> native.ServiceSummary | None:
    """A service, None when there is nothing of it to see. Spelled as by the first of its instances."""
    members = view.of_service(namespace, service)
    shown = list(members.values())
    if namespace == names.PUBLIC and own in members:
        shown.remove(members[own])
    if not shown:
        return None
    spelled = {placed.instance.service for placed in shown}
    statuses = Counter(queries.status_of(view, placed) for placed in shown)
    return native.ServiceSummary(
        name=spelled.pop() if len(spelled) == 1 else min(shown, key=queries.place_of).instance.service, namespace=namespace,
        tags=tuple(sorted(set().union(*{placed.instance.tags for placed in shown}))),
        instances=len(shown), passing=statuses[Status.PASSING], warning=statuses[Status.WARNING],
        critical=statuses[Status.CRITICAL], maintenance=statuses[Status.MAINTENANCE],
        draining=sum(placed.instance.phase is Phase.DRAINING for placed in shown),
    )  # fmt: skip


def nodes(view: View, namespace: str, own: Place) -> tuple[native.NodeSummary, ...]:
    """Every node, by name, with the number of instances of the namespace on it."""
    return tuple(
        native.NodeSummary(
            name=view.nodes[name].name, address=view.nodes[name].address, meta=view.nodes[name].meta, implicit=view.nodes[name].implicit,
            instances=_visible_count(view, namespace, name, own),
        )
        for name in sorted(view.nodes)
    )  # fmt: skip


def _visible_count(view: View, namespace: str, node: str, own: Place) -> int:
    there = view.on_node(namespace, node)
    return len(there) - (namespace == names.PUBLIC and node == own[0] and own[1] in there)
