"""The words of the native API and ours, both ways. Pure: requests into commands, the view into answers."""

from collections.abc import Sequence
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
from callboard.model.instance import Instance, InstanceSpec, NodeSpec, Placed, Weights
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
    """A service, None when there is nothing of it to see."""
    found = [each for each in queries.instances_of(view, namespace, service) if visible(each.instance, own)]
    return _summary(namespace, found) if found else None


def _summary(namespace: str, found: Sequence[Found]) -> native.ServiceSummary:
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
            instances=_visible_count(view, namespace, name, own),
        )
        for name in sorted(view.nodes)
    )  # fmt: skip


def _visible_count(view: View, namespace: str, node: str, own: Place) -> int:
    there = view.on_node(namespace, node)
    return len(there) - (namespace == names.PUBLIC and node == own[0] and own[1] in there)
