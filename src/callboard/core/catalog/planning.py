"""Planning: one command, on the view and overlay, into an outcome and row changes. Plain sequential code; only the leader runs it.

Each plan first judges and then changes, so a refused command changes nothing. What a plan decides depends on nothing but its arguments.
"""

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from callboard.core.catalog import commands as cmd
from callboard.core.catalog.aliasing import settle
from callboard.core.catalog.codec import Epoch, Term
from callboard.core.catalog.draft import Draft
from callboard.core.catalog.finding import find_check, find_instance
from callboard.core.catalog.planning_beside import fire_event, set_autopilot, set_coordinate
from callboard.core.catalog.registering import Decision, refused, register, register_check, upsert_node
from callboard.core.catalog.restoring import restore
from callboard.core.catalog.sidecars import remove_with_sidecar, sidecar_of
from callboard.model.check import AliasCheck, Check, MaintenanceCheck, Status, TtlCheck, clip_output
from callboard.model.instance import Instance
from callboard.model.names import PUBLIC
from callboard.model.rows import ZERO, Refusal, floor_key
from callboard.model.time import Timestamp

SERVICE_MAINTENANCE: Final = "_service_maintenance:"
NODE_MAINTENANCE: Final = "_node_maintenance"
_EXPIRED: Final = "TTL expired"
_EXPIRED_LAST: Final = "TTL expired (last output before timeout follows): "
_NO_REASON: Final = "Maintenance mode is enabled for this {}, but no reason was provided. This is a default message."


def plan(draft: Draft, command: cmd.Command, now: Timestamp) -> Decision:
    """Decide `command` at wall time `now`, writing its changes and what follows from them into `draft`."""
    decision = _PLANS[type(command)](draft, command, now)
    if decision.refusal is None:
        settle(draft, now)
    return decision


def _report(draft: Draft, command: cmd.ReportCheck, now: Timestamp) -> Decision:
    check = find_check(draft, command.target)
    if isinstance(check, Refusal):
        return refused(Refusal("superseded", command.target.id) if command.nonce else check)
    if command.nonce and (command.nonce != check.nonce or isinstance(check.definition, AliasCheck)):
        return refused(Refusal("superseded", check.id))
    if not command.nonce and not isinstance(check.definition, TtlCheck):
        return refused(Refusal("not_ttl", check.id))
    output = check.output if command.output is None else command.output
    if not command.nonce:
        output = clip_output(output)  # that of a probe was cut to its own check's limit, and says how much there was
    _turn(draft, check, command.status, output, now)
    return Decision(check.node)


def _turn(draft: Draft, check: Check, status: Status, output: str, now: Timestamp) -> None:
    if (status, output) != (check.status, check.output):
        turned = now if status != check.status else check.turned
        draft.put_check(replace(check, status=status, output=output, turned=turned, modified=ZERO), check)


def _expire(draft: Draft, command: cmd.ExpireTtl, now: Timestamp) -> Decision:
    check = find_check(draft, command.target)
    if isinstance(check, Refusal) or check.nonce != command.nonce or not isinstance(check.definition, TtlCheck):
        return refused(Refusal("superseded", command.target.id))
    if check.status is not Status.CRITICAL:
        _turn(draft, check, Status.CRITICAL, _expired(check.output), now)
    return Decision(check.node)


def _expired(output: str) -> str:
    """What a check says that ran out: its last output, said once, however often it ran out since."""
    last = "" if output == _EXPIRED else output.removeprefix(_EXPIRED_LAST)
    return clip_output(_EXPIRED_LAST + last) if last else _EXPIRED


def _deregister_instance(draft: Draft, command: cmd.DeregisterInstance, _now: Timestamp) -> Decision:
    instance = find_instance(draft, command.target)
    if isinstance(instance, Refusal):
        return refused(instance)
    return _remove_instance(draft, instance)


def _remove_instance(draft: Draft, instance: Instance) -> Decision:
    remove_with_sidecar(draft, instance)
    _tidy(draft, instance.node)
    return Decision(instance.node)


def _deregister_check(draft: Draft, command: cmd.DeregisterCheck, _now: Timestamp) -> Decision:
    check = find_check(draft, command.target)
    if isinstance(check, Refusal):
        return refused(check)
    draft.remove_check(check)
    _tidy(draft, check.node)
    return Decision(check.node)


def _tidy(draft: Draft, node_name: str) -> None:
    """A node that was made by a call goes with the last thing on it."""
    node = draft.node(node_name)
    if node is not None and node.implicit and not draft.occupied(node_name):
        draft.remove_node(node)


def _deregister_node(draft: Draft, command: cmd.DeregisterNode, _now: Timestamp) -> Decision:
    name = command.node.lower()
    node = draft.node(name)
    if node is None:
        return refused(Refusal("unknown_node", command.node))
    instances, checks = draft.contents(name)
    for instance in instances:
        draft.remove_instance(instance)
    for check in checks:
        if not check.instance:
            draft.remove_check(check)
    draft.remove_node(node)
    return Decision(name)


def _reap(draft: Draft, command: cmd.Reap, _now: Timestamp) -> Decision:
    check = find_check(draft, command.target)
    if isinstance(check, Refusal) or check.status is not Status.CRITICAL:
        return refused(Refusal("superseded", command.target.id))
    if (check.nonce, check.turned) != (command.nonce, command.turned):
        return refused(Refusal("superseded", command.target.id))
    instance = draft.instance(check.namespace, check.node, check.instance) if check.instance else None
    if instance is None or not check.definition.deregister_after:
        return refused(Refusal("superseded", command.target.id))
    return _remove_instance(draft, instance)


def _set_maintenance(draft: Draft, command: cmd.SetMaintenance, now: Timestamp) -> Decision:
    holder: Instance | None = None
    node, namespace, check_id = command.node.name.lower(), PUBLIC, NODE_MAINTENANCE
    if command.instance is not None:
        found = find_instance(draft, command.instance)
        if isinstance(found, Refusal):
            return refused(found)
        holder, node, namespace, check_id = found, found.node, found.namespace, SERVICE_MAINTENANCE + found.id
    before = draft.check(namespace, node, check_id)
    if command.enable:
        parent = holder or upsert_node(draft, command.node, command.nonce, update=False)
        what = "node" if holder is None else "service"
        notes = command.reason or _NO_REASON.format(what)
        if before is None or before.notes != notes or not isinstance(before.definition, MaintenanceCheck):
            draft.put_check(Check(
                namespace=namespace, node=node, id=check_id, name=f"{what.title()} Maintenance Mode", notes=notes,
                instance="" if holder is None else holder.id, parent=parent.nonce,
                definition=MaintenanceCheck(), status=Status.MAINTENANCE, nonce=command.nonce, turned=now,
                created=before.created if before is not None else draft.revision,
            ), before)  # fmt: skip
    elif before is not None:
        draft.remove_check(before)
        _tidy(draft, node)
    return Decision(node)


def _set_phase(draft: Draft, command: cmd.SetPhase, _now: Timestamp) -> Decision:
    instance = find_instance(draft, command.target)
    if isinstance(instance, Refusal):
        return refused(instance)
    for each in (instance, sidecar_of(draft, instance)):
        if each is not None and each.phase is not command.phase:
            draft.put_instance(replace(each, phase=command.phase, modified=ZERO), each)
    return Decision(instance.node)


def _open_term(draft: Draft, command: cmd.OpenTerm, now: Timestamp) -> Decision:
    if not draft.view.epoch.store:
        draft.put_epoch(Epoch(command.nonce, command.level))
    draft.put_term(Term(command.member, draft.view.term.number + 1))
    if draft.revision > draft.view.revision + 1:
        # Members have shown more than the store has, for it was set back: no index that anybody has seen may come again.
        draft.raise_every_index()
    return register(draft, command.itself, now)


def _raise_level(draft: Draft, command: cmd.RaiseLevel, _now: Timestamp) -> Decision:
    if command.level > draft.view.epoch.level:
        draft.put_epoch(replace(draft.view.epoch, level=command.level))
    return Decision()


def _sweep_floors(draft: Draft, command: cmd.SweepFloors, _now: Timestamp) -> Decision:
    floors = draft.view.floors
    surplus = len(floors) - command.keep
    if surplus > 0:
        for topic, revision in sorted(floors.items(), key=lambda item: item[1])[:surplus]:
            # One that a planned command raises is younger than it seems here, one that it sweeps is gone: the next sweep may take it.
            if floor_key(topic) not in draft.overlay.floors:
                draft.sweep_floor(topic, revision)
    return Decision()


Plan = Callable[[Draft, Any, Timestamp], Decision]
"""A plan for one type of command; `_PLANS` pairs each with its type, and a test holds it to the union."""

_PLANS: Final[dict[type[cmd.Command], Plan]] = {
    cmd.Register: register,
    cmd.RegisterCheck: register_check,
    cmd.DeregisterInstance: _deregister_instance,
    cmd.DeregisterCheck: _deregister_check,
    cmd.DeregisterNode: _deregister_node,
    cmd.ReportCheck: _report,
    cmd.ExpireTtl: _expire,
    cmd.Reap: _reap,
    cmd.SetMaintenance: _set_maintenance,
    cmd.SetPhase: _set_phase,
    cmd.OpenTerm: _open_term,
    cmd.RaiseLevel: _raise_level,
    cmd.SweepFloors: _sweep_floors,
    cmd.FireEvent: fire_event,
    cmd.SetCoordinate: set_coordinate,
    cmd.SetAutopilot: set_autopilot,
    cmd.Restore: restore,
}
