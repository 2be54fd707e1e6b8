"""The oracle: a catalog as naive as can be, for comparing the real one with. Plain dictionaries, no rows, no overlay, no indexes.

It does what `callboard.core.catalog.commands` says, one command after the other, and finds every answer by looking at everything. Values
are those of the model with their revisions left at 0. An oracle lives for one test.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from msgspec.structs import replace

from callboard.core.catalog import commands as cmd
from callboard.model.check import AliasCheck, Check, CheckSpec, MaintenanceCheck, Status, TcpCheck, TtlCheck
from callboard.model.instance import Instance, InstanceSpec, Node, NodeSpec, Phase
from callboard.model.names import PUBLIC
from callboard.model.rows import RefusalReason
from callboard.model.time import SECOND, Duration, Timestamp
from callboard.testing.oracle_aliases import behind

Found = TypeVar("Found", Instance, Check)
Identity = tuple[str, str, str]
"""Namespace, node (lower case), id of an instance or check."""


class Verdict(NamedTuple):
    """What became of a command. `changed` says whether anything is different now."""

    refusal: RefusalReason | None = None
    changed: bool = False


class RefusedError(Exception):
    """The command is refused and has changed nothing."""

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__(reason)
        self.reason: RefusalReason = reason


class Oracle:
    """Everything that is signed in."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.instances: dict[Identity, Instance] = {}
        self.checks: dict[Identity, Check] = {}

    def apply(self, command: cmd.Command, now: Timestamp) -> Verdict:
        """Do what `command` says at wall time `now`."""
        before = self._everything()
        try:
            _DO[type(command)](self, command, now)
            self._settle_aliases(now)
        except RefusedError as refused:
            self.nodes, self.instances, self.checks = before
            return Verdict(refused.reason)
        changed = self._everything() != before or isinstance(command, cmd.OpenTerm)
        return Verdict(changed=changed)

    def _everything(self) -> tuple[dict[str, Node], dict[Identity, Instance], dict[Identity, Check]]:
        return dict(self.nodes), dict(self.instances), dict(self.checks)

    def _settle_aliases(self, now: Timestamp) -> None:
        """Every alias says what stands behind it."""
        for key, alias in sorted(self.checks.items()):
            if isinstance(alias.definition, AliasCheck):
                status, output = behind(self, alias)
                self.checks[key] = replace(alias, status=status, output=output, turned=now if status is not alias.status else alias.turned)

    # -- answers

    def checks_of(self, instance: Instance) -> list[Check]:
        """The checks of an instance, by id."""
        found = [
            check
            for (namespace, node, _), check in self.checks.items()
            if (namespace, node) == (instance.namespace, instance.node) and check.instance == instance.id
        ]
        return sorted(found, key=lambda check: check.id)

    def checks_of_node(self, node: str) -> list[Check]:
        """The checks of the node itself, by id."""
        return sorted((c for c in self.checks.values() if c.node == node and not c.instance), key=lambda check: check.id)

    def instances_of(self, namespace: str, service: str) -> list[tuple[Node, Instance, list[Check]]]:
        """Every instance of a service, by node and id, with its node's checks and its own."""
        found = [i for i in self.instances.values() if i.namespace == namespace and i.service.lower() == service.lower()]
        found.sort(key=lambda instance: (instance.node, instance.id))
        return [(self.nodes[i.node], i, [*self.checks_of_node(i.node), *self.checks_of(i)]) for i in found]

    def connected_to(self, namespace: str, service: str) -> list[tuple[Node, Instance, list[Check]]]:
        """Every instance that speaks for a service in the mesh, likewise."""
        found = [
            each
            for each in self.instances.values()
            if each.namespace == namespace
            and (each.destination.lower() == service.lower() or (each.connect_native and each.service.lower() == service.lower()))
        ]
        found.sort(key=lambda instance: (instance.node, instance.id))
        return [(self.nodes[i.node], i, [*self.checks_of_node(i.node), *self.checks_of(i)]) for i in found]

    def services(self, namespace: str) -> dict[str, list[str]]:
        """Names of services and the tags of their instances."""
        tags: dict[str, set[str]] = {}
        for instance in self.instances.values():
            if instance.namespace == namespace:
                tags.setdefault(instance.service, set()).update(instance.tags)
        return {name: sorted(tags[name]) for name in sorted(tags)}

    # -- registrations

    def register(self, command: cmd.Register, now: Timestamp) -> None:
        """A node, an instance, checks."""
        name = command.node.name.lower()
        self._node(command.node, command.nonce, update=command.update_node)
        if command.instance is not None:
            instance = self._instance(command.instance, name, command)
            if command.replace_checks:
                self._drop_unnamed(instance, {attached.check.id for attached in command.checks})
            self._sidecar(command, instance, now)
        for attached in command.checks:
            holder = None
            if attached.instance:
                holder = self.instances.get((command.namespace, name, attached.instance))
                if holder is None:
                    raise RefusedError("unknown_instance")
            self._check(attached.check, holder, name, command.nonce, now, force=command.set_status)

    def _node(self, spec: NodeSpec, nonce: str, *, update: bool) -> None:
        there = self.nodes.get(spec.name.lower())
        if there is None:
            self.nodes[spec.name.lower()] = Node(
                name=spec.name, address=spec.address, nonce=nonce, id=spec.id, meta=spec.meta, tagged=spec.tagged, implicit=spec.implicit
            )  # fmt: skip
        elif update and not spec.implicit:
            self.nodes[spec.name.lower()] = replace(
                there, address=spec.address, id=spec.id or there.id, meta=spec.meta, tagged=spec.tagged, implicit=False
            )  # fmt: skip

    def _instance(self, spec: InstanceSpec, node: str, command: cmd.Register, parent: str = "") -> Instance:
        there = self.instances.get((spec.namespace, node, spec.id))
        kept = there.phase if there is not None else Phase.SERVING
        default = next((port.port for port in spec.ports if port.default), 0)
        made = Instance(
            namespace=spec.namespace, service=spec.service, node=node, id=spec.id,
            nonce=there.nonce if there is not None else command.nonce,
            address=spec.address, port=spec.port or default, tags=spec.tags, meta=spec.meta, tagged=spec.tagged, weights=spec.weights,
            enable_tag_override=spec.enable_tag_override, kind=spec.kind, phase=spec.phase if spec.phase is not None else kept,
            ports=spec.ports, socket_path=spec.socket_path, proxy=spec.proxy, destination=spec.destination,
            connect_native=spec.connect_native, locality=spec.locality, sidecar=parent,
        )  # fmt: skip
        if there is not None and command.of_catalog:
            said_otherwise = there.enable_tag_override and there.tags != made.tags
            made = replace(made, sidecar=there.sidecar, foreign_tags=there.foreign_tags or said_otherwise)
        elif there is not None and there.foreign_tags and made.enable_tag_override:
            made = replace(made, tags=there.tags, foreign_tags=True)
        self.instances[spec.namespace, node, spec.id] = made
        return made

    def _sidecar(self, command: cmd.Register, parent: Instance, now: Timestamp) -> None:
        there = self._sidecar_of(parent)
        if command.sidecar is None:
            if there is not None and not command.of_catalog:
                self._remove_alone(there)
            return
        spec = command.sidecar.instance
        before = self.instances.get((parent.namespace, parent.node, spec.id))
        range_of_ports = range(21_000, 21_256)
        if not spec.port and before is not None and before.port in range_of_ports:
            spec = replace(spec, port=before.port)
        elif not spec.port:
            used = {each.port for key, each in self.instances.items() if each.node == parent.node and key[2] != spec.id}
            spec = replace(spec, port=min(set(range_of_ports) - used))
        sidecar = self._instance(replace(spec, phase=parent.phase), parent.node, command, parent.id)
        listening = TcpCheck(host=command.sidecar.listens_at, port=sidecar.port, interval=Duration(10 * SECOND))
        checks = command.sidecar.checks or (
            CheckSpec(id=f"service:{spec.id}:1", name="Connect Sidecar Listening", definition=listening),
            CheckSpec(
                id=f"service:{spec.id}:2", name=f"Connect Sidecar Aliasing {parent.id}", definition=AliasCheck(alias_service=parent.id)
            ),
        )
        if command.replace_checks:
            self._drop_unnamed(sidecar, {check.id for check in checks})
        for check in checks:
            self._check(check, sidecar, sidecar.node, command.nonce, now)

    def _sidecar_of(self, parent: Instance) -> Instance | None:
        found = self.instances.get((parent.namespace, parent.node, parent.id + "-sidecar-proxy"))
        return found if found is not None and found.sidecar == parent.id else None

    def _drop_unnamed(self, instance: Instance, named: set[str]) -> None:
        for check in self.checks_of(instance):
            if check.id not in named and not isinstance(check.definition, MaintenanceCheck):
                del self.checks[check.namespace, check.node, check.id]

    def _check(self, spec: CheckSpec, holder: Instance | None, node: str, nonce: str, now: Timestamp, *, force: bool = False) -> None:
        namespace = holder.namespace if holder is not None else PUBLIC
        there = self.checks.get((namespace, node, spec.id))
        check = Check(
            namespace=namespace, node=node, id=spec.id, definition=spec.definition, name=spec.name, notes=spec.notes, nonce=nonce,
            instance=holder.id if holder is not None else "", parent=holder.nonce if holder is not None else self.nodes[node].nonce,
            status=spec.status, output=spec.output, turned=now,
        )  # fmt: skip
        if there is not None:
            asked_alike = (check.instance, check.parent, check.definition) == (there.instance, there.parent, there.definition)
            if asked_alike:
                check = replace(check, nonce=there.nonce)
            taken_over = isinstance(there.definition, MaintenanceCheck) is not isinstance(spec.definition, MaintenanceCheck)
            forced = force and not isinstance(spec.definition, AliasCheck)
            if not taken_over and not (forced and (spec.status, spec.output) != (there.status, there.output)):
                check = replace(check, status=there.status, output=there.output, turned=there.turned)
            elif not taken_over and check.status is there.status:
                check = replace(check, turned=there.turned)
        self.checks[namespace, node, spec.id] = check

    def register_check(self, command: cmd.RegisterCheck, now: Timestamp) -> None:
        """A check of an instance, or of a node."""
        if command.instance is not None:
            holder = self._find_instance(command.instance)
            self._check(command.check, holder, holder.node, command.nonce, now)
        else:
            self._node(command.node, command.nonce, update=False)
            self._check(command.check, None, command.node.name.lower(), command.nonce, now)

    # -- removals

    def deregister_instance(self, command: cmd.DeregisterInstance, _now: Timestamp) -> None:
        """An instance with its checks."""
        self._remove(self._find_instance(command.target))

    def _remove(self, instance: Instance) -> None:
        sidecar = self._sidecar_of(instance)
        if sidecar is not None:
            self._remove_alone(sidecar)
        self._remove_alone(instance)
        self._tidy(instance.node)

    def _remove_alone(self, instance: Instance) -> None:
        for check in self.checks_of(instance):
            del self.checks[check.namespace, check.node, check.id]
        del self.instances[instance.namespace, instance.node, instance.id]

    def _tidy(self, node: str) -> None:
        held = any(i.node == node for i in self.instances.values()) or any(c.node == node for c in self.checks.values())
        if not held and self.nodes[node].implicit:
            del self.nodes[node]

    def deregister_check(self, command: cmd.DeregisterCheck, _now: Timestamp) -> None:
        """A check."""
        check = self._find_check(command.target)
        del self.checks[check.namespace, check.node, check.id]
        self._tidy(check.node)

    def deregister_node(self, command: cmd.DeregisterNode, _now: Timestamp) -> None:
        """A node with everything on it."""
        name = command.node.lower()
        if name not in self.nodes:
            raise RefusedError("unknown_node")
        del self.nodes[name]
        self.instances = {key: instance for key, instance in self.instances.items() if instance.node != name}
        self.checks = {key: check for key, check in self.checks.items() if check.node != name}

    def reap(self, command: cmd.Reap, _now: Timestamp) -> None:
        """An instance whose check stayed critical."""
        check = self.checks.get((command.target.namespace, command.target.node.lower(), command.target.id))
        if (
            check is None
            or (check.nonce, check.turned) != (command.nonce, command.turned)
            or check.status is not Status.CRITICAL
            or not check.instance
            or not check.definition.deregister_after
        ):
            raise RefusedError("superseded")
        self._remove(self.instances[check.namespace, check.node, check.instance])

    # -- turns

    def report(self, command: cmd.ReportCheck, now: Timestamp) -> None:
        """A check's new answer."""
        try:
            check = self._find_check(command.target)
        except RefusedError:
            if command.nonce:
                raise RefusedError("superseded") from None
            raise
        if command.nonce and (command.nonce != check.nonce or isinstance(check.definition, AliasCheck)):
            raise RefusedError("superseded")
        if not command.nonce and not isinstance(check.definition, TtlCheck):
            raise RefusedError("not_ttl")
        self._turn(check, command.status, command.output if command.output is not None else check.output, now)

    def expire(self, command: cmd.ExpireTtl, now: Timestamp) -> None:
        """A time limit ran out."""
        check = self.checks.get((command.target.namespace, command.target.node.lower(), command.target.id))
        if check is None or check.nonce != command.nonce or not isinstance(check.definition, TtlCheck):
            raise RefusedError("superseded")
        if check.status is not Status.CRITICAL:
            expired_before = re.fullmatch(r"TTL expired(?: \(last output before timeout follows\): (.*))?", check.output, re.DOTALL)
            last = expired_before[1] if expired_before else check.output
            self._turn(check, Status.CRITICAL, f"TTL expired (last output before timeout follows): {last}" if last else "TTL expired", now)

    def _turn(self, check: Check, status: Status, output: str, now: Timestamp) -> None:
        turned = now if status is not check.status else check.turned
        self.checks[check.namespace, check.node, check.id] = replace(check, status=status, output=output, turned=turned)

    def maintain(self, command: cmd.SetMaintenance, now: Timestamp) -> None:
        """In or out of service."""
        holder = self._find_instance(command.instance) if command.instance is not None else None
        node = holder.node if holder is not None else command.node.name.lower()
        namespace = holder.namespace if holder is not None else PUBLIC
        check_id = f"_service_maintenance:{holder.id}" if holder is not None else "_node_maintenance"
        there = self.checks.get((namespace, node, check_id))
        if not command.enable:
            if there is not None:
                del self.checks[namespace, node, check_id]
                self._tidy(node)
            return
        if holder is None:
            self._node(command.node, command.nonce, update=False)
        what = "service" if holder is not None else "node"
        notes = command.reason or (f"Maintenance mode is enabled for this {what}, but no reason was provided. This is a default message.")
        if there is None or there.notes != notes or not isinstance(there.definition, MaintenanceCheck):
            self.checks[namespace, node, check_id] = Check(
                namespace=namespace, node=node, id=check_id, definition=MaintenanceCheck(), status=Status.MAINTENANCE, nonce=command.nonce,
                name=f"{what.title()} Maintenance Mode", notes=notes, turned=now, instance=holder.id if holder is not None else "",
                parent=holder.nonce if holder is not None else self.nodes[node].nonce,
            )  # fmt: skip

    def move_phase(self, command: cmd.SetPhase, _now: Timestamp) -> None:
        """Starting, serving, draining."""
        instance = self._find_instance(command.target)
        for each in (instance, self._sidecar_of(instance)):
            if each is not None:
                self.instances[each.namespace, each.node, each.id] = replace(each, phase=command.phase)

    def open_term(self, command: cmd.OpenTerm, now: Timestamp) -> None:
        """A new leader signs itself in."""
        self.register(command.itself, now)

    def sweep(self, _command: cmd.SweepFloors, _now: Timestamp) -> None:
        """Changes no answer."""

    # -- finding

    def _find_instance(self, target: cmd.Target) -> Instance:
        return _only(self.instances, target, "unknown_instance")

    def _find_check(self, target: cmd.Target) -> Check:
        return _only(self.checks, target, "unknown_check")


def _only(table: Mapping[Identity, Found], target: cmd.Target, unknown: RefusalReason) -> Found:
    """What has the id on the target's node, else, anywhere, the only one that has it."""
    here = table.get((target.namespace, target.node.lower(), target.id))
    if here is not None:
        return here
    if not target.anywhere:
        raise RefusedError(unknown)
    found = [value for (namespace, _, name), value in table.items() if (namespace, name) == (target.namespace, target.id)]
    if len(found) != 1:
        raise RefusedError("ambiguous" if found else unknown)
    return found[0]


_DO: Mapping[type[cmd.Command], Callable[[Oracle, Any, Timestamp], None]] = {
    cmd.Register: Oracle.register,
    cmd.RegisterCheck: Oracle.register_check,
    cmd.DeregisterInstance: Oracle.deregister_instance,
    cmd.DeregisterCheck: Oracle.deregister_check,
    cmd.DeregisterNode: Oracle.deregister_node,
    cmd.ReportCheck: Oracle.report,
    cmd.ExpireTtl: Oracle.expire,
    cmd.Reap: Oracle.reap,
    cmd.SetMaintenance: Oracle.maintain,
    cmd.SetPhase: Oracle.move_phase,
    cmd.OpenTerm: Oracle.open_term,
    cmd.SweepFloors: Oracle.sweep,
}
