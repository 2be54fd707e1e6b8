"""From Consul's words to ours: checks, nodes, and what both doors refuse; services are in `translate_services`. Pure.

What is wrong is told as `InvalidError` with the text Consul has for it; where Consul has none, the text says what to do instead.
"""

from collections.abc import Callable, Iterable
from typing import Final

from callboard.core.catalog.commands import Attached
from callboard.core.catalog.planning import NODE_MAINTENANCE, SERVICE_MAINTENANCE
from callboard.frontend.consul.translate_checks import as_written, check_definition
from callboard.model.check import Check, CheckSpec, Definition, MaintenanceCheck, ManualCheck, Status
from callboard.model.errors import InvalidError
from callboard.model.instance import NodeSpec
from callboard.wire.consul_body import CatalogCheckBody, CheckBody, RegisterBody, SidecarBody
from callboard.wire.consul_definition import definition_text, type_of

RESERVED: Final = "_callboard_"
"""Prefix of the ids of checks that exist only in answers."""
STATUSES: Final = {"passing": Status.PASSING, "warning": Status.WARNING, "critical": Status.CRITICAL}
_UUID_PARTS: Final = [8, 4, 4, 4, 12]
_UUID_CHARS: Final = sum(_UUID_PARTS) + 4
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_NO_CHECK: Final = CheckBody()
Connect = Callable[[str], str]
"""From the host of a check to the address to dial instead; empty for none."""


def invalid(text: str) -> InvalidError:
    """An error whose whole text is `text`."""
    return InvalidError("", text)


# -- the agent's words


def agent_checks(body: SidecarBody, instance: str, connect: Connect) -> tuple[Attached, ...]:
    """The checks in a service of the agent, with the ids and names Consul gives them. Raises `InvalidError`."""
    checks = body.checks
    if body.check is not None and body.check != _NO_CHECK:
        checks = body.check, *checks
    if not checks:
        return ()
    out = []
    one = len(checks) == 1
    for number, check in enumerate(checks, 1):
        if check.status and check.status not in STATUSES:
            raise invalid("Status for checks must 'passing', 'warning', 'critical'")
        name = check.check_id or check.id or (f"service:{instance}" if one else f"service:{instance}:{number}")
        out.append(Attached(instance, _agent_spec(check, name, check.name or f"Service '{body.name}' check", connect)))
    if not one:
        _refuse_twins(out)
    return tuple(out)


def agent_check(body: CheckBody, connect: Connect) -> CheckSpec:
    """A check of the agent on its own. Raises `InvalidError`."""
    if not body.name:
        raise invalid("Missing check name")
    if body.status and body.status not in STATUSES:
        raise invalid("Bad check status")
    return _agent_spec(body, body.id or body.check_id or body.name, body.name, connect)


def _agent_spec(body: CheckBody, check_id: str, name: str, connect: Connect) -> CheckSpec:
    _refuse_reserved(check_id)
    if body.namespace or body.partition:
        refuse_namespace(body.namespace, body.partition)
    try:
        definition = check_definition(body, connect)
        return CheckSpec(id=check_id, name=name, notes=body.notes, definition=definition, status=STATUSES.get(body.status, Status.CRITICAL))
    except InvalidError as error:
        raise invalid(f"Invalid check: {as_written(error)}") from None


# -- the catalog's words


def catalog_node(body: RegisterBody, known_address: str) -> NodeSpec:
    """The node of a registration; `known_address` is the address of the one that is there. Raises `InvalidError`."""
    if not body.node:
        raise invalid("Must provide node")
    if body.id and not _is_uuid(body.id):
        raise invalid(f"Bad node ID: uuid {'is improperly formatted' if len(body.id) == _UUID_CHARS else 'string is wrong length'}")
    if not body.address and not body.skip_node_update:
        raise invalid("Must provide address if SkipNodeUpdate is not set")
    address = body.address or known_address
    if not address:
        raise invalid(f"Must provide address: node {body.node!r} is not registered yet")
    return NodeSpec(name=body.node, address=address, id=body.id.lower(), meta=body.node_meta, tagged=body.tagged_addresses)


def catalog_checks(body: RegisterBody, existing: Callable[[str], Check | None]) -> tuple[Attached, ...]:
    """The checks of a catalog registration. What `existing` finds keeps the way it is asked. Raises `InvalidError`."""
    checks = [*body.checks, *([body.check] if body.check is not None else [])]
    out = [Attached(check.service_id, _catalog_spec(body.node, check, existing)) for check in checks]
    _refuse_twins(out)
    return tuple(out)


def _catalog_spec(node: str, body: CatalogCheckBody, existing: Callable[[str], Check | None]) -> CheckSpec:
    check_id = body.check_id or body.name
    if not check_id:
        raise invalid("Must provide check ID or name (Check.CheckID, Check.Name)")
    _refuse_reserved(check_id)
    refuse_namespace(body.namespace, body.partition)
    refuse_peer(body.peer_name)
    if body.node and body.node.lower() != node.lower():
        raise invalid(f"Node '{body.node}' for check '{check_id}' doesn't match register request node '{node}'")
    if body.status not in {"", *STATUSES}:
        raise invalid(f"Invalid check status: '{body.status}'")
    there = existing(check_id)
    manual = there is None or isinstance(there.definition, ManualCheck)
    definition = there.definition if there is not None and not manual else _catalog_definition(check_id, body)
    status = STATUSES.get(body.status, Status.CRITICAL)
    if isinstance(definition, MaintenanceCheck):
        status = Status.MAINTENANCE
    return CheckSpec(id=check_id, name=body.name, notes=body.notes, definition=definition, status=status, output=body.output)


def _catalog_definition(check_id: str, body: CatalogCheckBody) -> Definition:
    if check_id == NODE_MAINTENANCE or check_id.startswith(SERVICE_MAINTENANCE):
        return MaintenanceCheck()
    return ManualCheck(kind=body.type or type_of(body.definition), shown=definition_text(body.definition))


# -- what both have in common


def refuse_namespace(namespace: str, partition: str) -> None:
    """Raise `InvalidError` for a namespace or partition that is not the default one."""
    if namespace not in {"", "default"}:
        raise invalid('Request decode failed: json: unknown field "Namespace" - Namespaces are a Consul Enterprise feature')
    if partition not in {"", "default"}:
        raise invalid('Request decode failed: json: unknown field "Partition" - Partitions are a Consul Enterprise feature')


def refuse_peer(name: str) -> None:
    """Raise `InvalidError` when a peer is named."""
    if name:
        raise invalid("cannot register requests with PeerName in them")


def _refuse_reserved(check_id: str) -> None:
    if check_id.startswith(RESERVED):
        raise invalid(f"Invalid check: ids that begin with {RESERVED} are reserved; choose another for {check_id!r}")


def _refuse_twins(checks: Iterable[Attached]) -> None:
    seen: set[str] = set()
    for attached in checks:
        if attached.check.id in seen:
            raise invalid(f"Invalid check: the id {attached.check.id!r} is given twice")
        seen.add(attached.check.id)


def _is_uuid(text: str) -> bool:
    parts = text.split("-")
    return [len(part) for part in parts] == _UUID_PARTS and all(_HEX.issuperset(part) for part in parts)
