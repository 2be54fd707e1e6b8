"""Planning of registrations: what is new is made, what differs is replaced, what is identical is left alone."""

from msgspec import Struct
from msgspec.structs import replace

from callboard.core.catalog.commands import Register, RegisterCheck
from callboard.core.catalog.draft import Draft
from callboard.core.catalog.finding import find_instance
from callboard.core.catalog.sidecars import SUFFIX, checks_of_sidecar, sidecar_of, with_port
from callboard.model.check import AliasCheck, Check, CheckSpec, Definition, MaintenanceCheck, clip_output
from callboard.model.instance import Instance, InstanceSpec, Node, NodeSpec, Phase
from callboard.model.names import PUBLIC
from callboard.model.rows import ZERO, Refusal, Revision, check_key, instance_key
from callboard.model.time import Timestamp


class Decision(Struct, frozen=True, gc=False):
    """What a plan decided: the node it was about, or why it was refused."""

    node: str = ""
    refusal: Refusal | None = None


def refused(refusal: Refusal) -> Decision:
    """Nothing is to change."""
    return Decision("", refusal)


def register(draft: Draft, command: Register, now: Timestamp) -> Decision:
    """A node with an instance and checks on it, together or not at all."""
    node_name = command.node.name.lower()
    if _register_new(draft, command, node_name, now):
        return Decision(node_name)
    own = command.instance.id if command.instance is not None else None
    for attached in command.checks:
        if attached.instance and attached.instance != own and draft.instance(command.namespace, node_name, attached.instance) is None:
            return refused(Refusal("unknown_instance", attached.instance, f"check {attached.check.id!r} names it"))
    sidecar = with_port(draft, node_name, command.sidecar.instance) if command.sidecar is not None else None
    if isinstance(sidecar, Refusal):
        return refused(sidecar)
    node = upsert_node(draft, command.node, command.nonce, update=command.update_node)
    instance: Instance | None = None
    if command.instance is not None:
        instance = _upsert_instance(draft, command.instance, node_name, command)
        if command.replace_checks:
            _remove_unnamed(draft, instance, {attached.check.id for attached in command.checks})
        _register_sidecar(draft, command, instance, sidecar, node, now)
    for attached in command.checks:
        if attached.instance and attached.instance != own:
            holder = draft.instance(command.namespace, node_name, attached.instance)
        else:
            holder = instance if attached.instance else None
        namespace = holder.namespace if holder is not None else PUBLIC
        existing = _upsert_check(draft, attached.check, namespace, node_name, holder, node, command.nonce, now)
        if command.set_status and existing is not None:
            _set_status(draft, existing, attached.check, now)
    return Decision(node_name)


def _register_new(draft: Draft, command: Register, node: str, now: Timestamp) -> bool:
    """The most frequent registration in one go: an instance that is not there yet, with checks of its own that are not there either, on a
    node that stays as it is. False, and nothing is done, where anything is otherwise."""
    spec = command.instance
    there = draft.node(node)
    if spec is None or command.sidecar is not None or there is None or not (command.node.implicit or not command.update_node):
        return False
    namespace, name, checks, view, planned = spec.namespace, spec.id, command.checks, draft.view, draft.overlay.entries
    placed, held = view.on_node(namespace, node), view.holders(namespace, node)
    key = instance_key(namespace, node, name)
    if name in placed or key in planned or name + SUFFIX in placed or key + SUFFIX in planned:
        return False
    for attached in checks:
        check = attached.check.id
        if attached.instance != name or check in held or check_key(namespace, node, check) in planned:
            return False
    if len(checks) > 1 and len({attached.check.id for attached in checks}) < len(checks):
        return False
    instance = _put_instance(draft, spec, node, command, None)
    for attached in checks:
        draft.put_check(_new_check(attached.check, instance, draft.revision, now), None)
    return True


def _new_check(spec: CheckSpec, holder: Instance, created: Revision, now: Timestamp) -> Check:
    nonce = holder.nonce
    return Check(
        namespace=holder.namespace, node=holder.node, id=spec.id, definition=spec.definition, status=spec.status, nonce=nonce,
        name=spec.name, instance=holder.id, parent=nonce, output=clip_output(spec.output) if spec.output else "", notes=spec.notes,
        turned=now, created=created,
    )  # fmt: skip


def register_check(draft: Draft, command: RegisterCheck, now: Timestamp) -> Decision:
    """A check of an instance that is there, or of the caller's node."""
    holder: Instance | None = None
    node_name = command.node.name.lower()
    if command.instance is not None:
        found = find_instance(draft, command.instance)
        if isinstance(found, Refusal):
            return refused(found)
        holder, node_name = found, found.node
        node = draft.node(node_name)
    else:
        node = upsert_node(draft, command.node, command.nonce, update=False)
    if node is None:
        return refused(Refusal("unknown_node", node_name))
    namespace = holder.namespace if holder is not None else PUBLIC
    _upsert_check(draft, command.check, namespace, node_name, holder, node, command.nonce, now)
    return Decision(node_name)


def upsert_node(draft: Draft, spec: NodeSpec, nonce: str, *, update: bool) -> Node:
    """The node as it is to be; an implicit spec never changes one that is there."""
    before = draft.node(spec.name.lower())
    if before is None:
        node = Node(
            name=spec.name, address=spec.address, nonce=nonce, id=spec.id, meta=spec.meta, tagged=spec.tagged,
            implicit=spec.implicit, created=draft.revision,
        )  # fmt: skip
    elif spec.implicit or not update:
        return before
    else:
        node = replace(
            before, address=spec.address, id=spec.id or before.id, meta=spec.meta, tagged=spec.tagged, implicit=False, modified=ZERO
        )  # fmt: skip
        if node == replace(before, modified=ZERO):
            return before
    draft.put_node(node)
    return node


def _register_sidecar(  # one call with everything two registrations share
    draft: Draft, command: Register, parent: Instance, spec: InstanceSpec | None, node: Node, now: Timestamp
) -> None:
    """The sidecar of this registration, or the end of that of an earlier one."""
    if command.sidecar is None or spec is None:
        before = None if command.of_catalog else sidecar_of(draft, parent)
        if before is not None:
            draft.remove_instance(before)
        return
    sidecar = _upsert_instance(draft, replace(spec, phase=parent.phase), parent.node, command, sidecar_of_id=parent.id)
    checks = checks_of_sidecar(command.sidecar, spec, parent.id)
    if command.replace_checks:
        _remove_unnamed(draft, sidecar, {check.id for check in checks})
    for check in checks:
        _upsert_check(draft, check, sidecar.namespace, sidecar.node, sidecar, node, command.nonce, now)


def _upsert_instance(draft: Draft, spec: InstanceSpec, node: str, command: Register, *, sidecar_of_id: str = "") -> Instance:
    return _put_instance(draft, spec, node, command, draft.instance(spec.namespace, node, spec.id), sidecar_of_id=sidecar_of_id)


def _put_instance(
    draft: Draft, spec: InstanceSpec, node: str, command: Register, before: Instance | None, *, sidecar_of_id: str = ""
) -> Instance:
    """The instance as it is to be, in the place of what was there before."""
    tags, foreign = _tags(before, spec, of_catalog=command.of_catalog)
    sidecar = before.sidecar if before is not None and command.of_catalog else sidecar_of_id
    # No more than fifteen by name: Python would collect them in a dictionary first, which costs more than all the rest.
    instance = Instance(
        namespace=spec.namespace, service=spec.service, node=node, id=spec.id,
        nonce=before.nonce if before is not None else command.nonce,
        address=spec.address, port=spec.main_port, tags=tags, meta=spec.meta, tagged=spec.tagged, weights=spec.weights,
        enable_tag_override=spec.enable_tag_override,
        phase=spec.phase or (before.phase if before is not None else Phase.SERVING),
        created=before.created if before is not None else draft.revision,
        modified=before.modified if before is not None else ZERO,
    )  # fmt: skip
    if spec.says_more or foreign or sidecar:
        instance = replace(
            instance, kind=spec.kind, ports=spec.ports, socket_path=spec.socket_path, proxy=spec.proxy, destination=spec.destination,
            connect_native=spec.connect_native, locality=spec.locality, foreign_tags=foreign, sidecar=sidecar,
        )  # fmt: skip
    if instance != before:
        draft.put_instance(instance, before)
    return instance


def _tags(before: Instance | None, spec: InstanceSpec, *, of_catalog: bool) -> tuple[tuple[str, ...], bool]:
    """The tags an instance is to have, and whether they are those that somebody else gave it, which its own say leaves alone."""
    if before is None:
        return spec.tags, False
    if of_catalog:
        return spec.tags, before.foreign_tags or (before.enable_tag_override and spec.tags != before.tags)
    kept = before.foreign_tags and spec.enable_tag_override
    return (before.tags, True) if kept else (spec.tags, False)


def _upsert_check(  # noqa: PLR0917  # one call with everything a row of a check needs
    draft: Draft, spec: CheckSpec, namespace: str, node_name: str, holder: Instance | None, node: Node, nonce: str, now: Timestamp
) -> Check | None:
    """Make or replace a check; answers the one that was there. Its status and output stay, and its incarnation while it is asked alike."""
    before = draft.check(namespace, node_name, spec.id)
    instance, parent = (holder.id, holder.nonce) if holder is not None else ("", node.nonce)
    # A maintenance check is no answer to a question: whoever takes over its id starts from its own status.
    kept = before if before is not None and _is_maintenance(before.definition) is _is_maintenance(spec.definition) else None
    same = before is not None and (before.instance, before.parent, before.definition) == (instance, parent, spec.definition)
    check = Check(
        namespace=namespace, node=node_name, id=spec.id, definition=spec.definition, name=spec.name, instance=instance, parent=parent,
        notes=spec.notes,
        status=kept.status if kept is not None else spec.status,
        output=kept.output if kept is not None else clip_output(spec.output),
        nonce=before.nonce if before is not None and same else nonce,
        turned=kept.turned if kept is not None else now,
        created=before.created if before is not None else draft.revision,
        modified=before.modified if before is not None else ZERO,
    )  # fmt: skip
    if check != before:
        draft.put_check(check, before)
    return before


def _set_status(draft: Draft, before: Check, spec: CheckSpec, now: Timestamp) -> None:
    """The caller's word on status and output replaces that of a check that was there; an alias only says what follows."""
    check = draft.check(before.namespace, before.node, before.id) or before
    if isinstance(check.definition, AliasCheck):
        return
    output = clip_output(spec.output)
    if (check.status, check.output) != (spec.status, output):
        turned = now if check.status != spec.status else check.turned
        draft.put_check(replace(check, status=spec.status, output=output, turned=turned, modified=ZERO), check)


def _remove_unnamed(draft: Draft, instance: Instance, keep: set[str]) -> None:
    for check in draft.checks_of(instance.namespace, instance.node, instance.id):
        if check.id not in keep and not _is_maintenance(check.definition):
            draft.remove_check(check)


def _is_maintenance(definition: Definition) -> bool:
    return isinstance(definition, MaintenanceCheck)
