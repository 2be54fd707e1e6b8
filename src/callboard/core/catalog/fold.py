"""Folding: durable rows into the view, and the changes that follow from them. The only writer of the view.

A group is folded whole, parents before children when they come and after them when they go, so that the order of rows in a group has no
meaning. Changes are derived from the rows, never from the commands that made them.
"""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import force_setattr

from callboard.core.catalog import beside, codec, sharing
from callboard.core.catalog.changes import Changes, CheckChange, InstanceChange, NodeChange
from callboard.core.catalog.connected import leaves, topics_of
from callboard.core.catalog.draft import shown_with_checks
from callboard.core.catalog.overlay import Entry
from callboard.core.catalog.view import View
from callboard.model.check import AliasCheck, Check
from callboard.model.errors import DivergedError
from callboard.model.instance import Instance, Node, Placed
from callboard.model.rows import GLOBAL_FLOOR, META_EPOCH, META_TERM, ZERO, Group, Key, Position, Revision, Row, split_key
from callboard.model.topics import NODES, Topic, checks_topic, connect_topic, node_topic, service_topic, services_topic

_NOTHING: Final[Mapping[Key, Entry]] = {}


def fold(view: View, group: Group, position: Position, planned: Mapping[Key, Entry] = _NOTHING) -> Changes:
    """Take a durable group into the view and tell what it changed. Raises `DivergedError` when the group does not follow the view.

    Who has planned the group has at hand what its rows were made of (`planned`, which is given up here): they need not be read again.
    """
    if group.after != view.position:
        raise DivergedError(f"a group after revision {group.after.revision} does not follow a view at revision {view.position.revision}")
    changes = Changes(group.last)
    tables: dict[str, list[tuple[Key, Row | None]]] = {"n/": [], "i/": [], "c/": []}
    for entry in group.rows.items():
        table = tables.get(entry[0][:2])
        if table is not None:
            table.append(entry)
        elif (topic := special(view, *entry)) is not None:
            changes.topics.add(topic)
    _arrive(view, tables, planned, changes)
    for prefix, remove in (("c/", _remove_check), ("i/", _remove_instance)):
        for key, row in tables[prefix]:
            if row is None:
                _, namespace, node, name = split_key(key)
                remove(view, namespace, node, name, changes)
    for key, row in tables["n/"]:
        if row is None:
            _remove_node(view, split_key(key)[1], changes)
    view.position = position
    return changes


def _arrive(view: View, tables: Mapping[str, list[tuple[Key, Row | None]]], planned: Mapping[Key, Entry], changes: Changes) -> None:
    """Rows that come or change. What one was made of is that which was planned at its revision, where that is known."""
    shared = view.shared
    shared.trim()
    for _, row in tables["n/"]:
        if row is not None:
            _put_node(view, codec.decode_node(row), changes)
    for key, row in tables["i/"]:
        if row is not None:
            entry = planned.get(key)
            if entry is not None and entry.revision == row.revision and isinstance(instance := entry.value, Instance):
                codec.finish_instance(instance, row.revision, shared)
            else:
                instance = codec.decode_instance(row, shared)
            _put_instance(view, instance, changes)
    for key, row in tables["c/"]:
        if row is not None:
            entry = planned.get(key)
            if entry is not None and entry.revision == row.revision and isinstance(check := entry.value, Check):
                codec.finish_check(check, row.revision, shared)
            else:
                check = codec.decode_check(row, shared)
            _put_check(view, check, changes)


def special(view: View, key: Key, row: Row | None) -> Topic | None:
    """Take a row that is no part of the catalog: a floor, the global floor, the term, the epoch, what stands beside it. Answers the topic
    it is shown under, if any."""
    if key[:2] in beside.TABLES:
        return beside.take(view, key, row)
    if key == GLOBAL_FLOOR:
        view.global_floor = codec.decode_floor(row).at if row is not None else ZERO
    elif key.startswith("f/"):
        if row is not None:
            view.floors[key[2:]] = codec.decode_floor(row).at
        else:
            view.floors.pop(key[2:], None)
    elif key == META_TERM and row is not None:
        view.term = codec.decode_term(row)
    elif key == META_EPOCH and row is not None:
        view.epoch = codec.decode_epoch(row)
    return None


# -- nodes


def _touch_node(view: View, node: str, changes: Changes) -> None:
    """A change of the node or its own checks is a change of every service on it."""
    changes.topics.add(node_topic(node))
    for namespace in view.spaces:
        for placed in view.on_node(namespace, node).values():
            changes.topics.update(topics_of(placed.instance))


def _put_node(view: View, node: Node, changes: Changes) -> None:
    key = view.shared(node.name.lower())
    changes.nodes.append(NodeChange(view.nodes.get(key), node))
    view.nodes[key] = node
    raise_table(view, NODES, node.modified)
    changes.topics.add(NODES)
    _touch_node(view, key, changes)


def _remove_node(view: View, node: str, changes: Changes) -> None:
    if (before := view.nodes.pop(node, None)) is not None:
        changes.nodes.append(NodeChange(before, None))
        changes.topics.add(NODES)
        _touch_node(view, node, changes)


# -- instances


def _put_instance(view: View, instance: Instance, changes: Changes) -> None:
    node, name = instance.node, instance.id
    if node not in view.nodes:
        require_node(view, node, f"instance {name}")
    space = view.space(instance.namespace)
    there = space.by_node.get(node)
    if there is None:
        there = space.by_node[node] = {}
    before = there.get(name)
    if before is not None:
        _replaces(view, before, instance, changes)
        placed = Placed(instance, before.checks)
    else:
        view.instances_count += 1
        space.instances_at.came(name, node)
        placed = Placed(instance)
    there[name] = placed
    service = instance.service.lower()
    members = space.by_service.get(service)
    if members is None:
        members = space.by_service[view.shared(service)] = {}
    members[node, name] = placed
    if connects := instance.connects:
        space.by_connect.setdefault(view.shared(connects.lower()), {})[node, name] = placed
    table = services_topic(instance.namespace)
    raise_table(view, table, instance.modified)
    changes.instances.append(InstanceChange(before.instance if before is not None else None, instance))
    changes.topics.update(topics_of(instance))
    changes.topics.update((node_topic(node), table))


def _replaces(view: View, before: Placed, instance: Instance, changes: Changes) -> None:
    """An instance takes the place of what it was before."""
    sharing.with_instance_before(instance, before.instance)
    if before.instance.service != instance.service:
        _leave_service(view, before, changes)
    if leaves(before.instance, instance):
        _leave_connect(view, before, changes)
    if before.checks and shown_with_checks(before.instance) != shown_with_checks(instance):
        changes.topics.add(checks_topic(instance.namespace))


def _leave_service(view: View, placed: Placed, changes: Changes) -> None:
    instance = placed.instance
    by_service = view.space(instance.namespace).by_service
    name = instance.service.lower()
    members = by_service[name]
    del members[instance.node, instance.id]
    if not members:
        del by_service[name]
    changes.topics.add(service_topic(instance.namespace, instance.service))


def _leave_connect(view: View, placed: Placed, changes: Changes) -> None:
    instance = placed.instance
    by_connect = view.space(instance.namespace).by_connect
    name = instance.connects.lower()
    members = by_connect[name]
    del members[instance.node, instance.id]
    if not members:
        del by_connect[name]
    changes.topics.add(connect_topic(instance.namespace, name))


def _remove_instance(view: View, namespace: str, node: str, instance: str, changes: Changes) -> None:
    space = view.spaces.get(namespace)
    there = space.by_node.get(node) if space is not None else None
    before = there.pop(instance, None) if there is not None else None
    if before is None or there is None or space is None:
        return
    view.instances_count -= 1
    space.instances_at.went(instance, node)
    if not there:
        del space.by_node[node]
    _leave_service(view, before, changes)
    if before.instance.connects:
        _leave_connect(view, before, changes)
    changes.instances.append(InstanceChange(before.instance, None))
    changes.topics.update((node_topic(node), services_topic(namespace)))
    _forget_empty(view, namespace)


# -- checks


def _put_check(view: View, check: Check, changes: Changes) -> None:
    before = view.check(check.namespace, check.node, check.id)
    space = view.space(check.namespace)
    if before is None:
        view.checks_count += 1
        space.checks_at.came(check.id, check.node)
    else:
        sharing.with_check_before(check, before)
        if before.instance != check.instance:
            _detach(view, before, changes)
    if check.instance:
        _attach(view, check, changes)
    else:
        require_node(view, check.node, f"check {check.id}")
        view.node_checks[check.node] = {**view.checks_of_node(check.node), check.id: check}
        _touch_node(view, check.node, changes)
    holders = space.holders.get(check.node)
    if holders is None:
        holders = space.holders[check.node] = {}
    holders[check.id] = check.instance
    if isinstance(check.definition, AliasCheck) or (before is not None and isinstance(before.definition, AliasCheck)):
        view.aliases.replace(before, check)
    table = checks_topic(check.namespace)
    raise_table(view, table, check.modified)
    changes.checks.append(CheckChange(before, check))
    changes.topics.add(table)


def _attach(view: View, check: Check, changes: Changes) -> None:
    placed = view.placed(check.namespace, check.node, check.instance)
    if placed is None:
        raise DivergedError(f"check {check.id} on node {check.node} belongs to instance {check.instance}, which has no row")
    instance = placed.instance
    if check.instance is not instance.id:  # it was not planned together with it
        sharing.with_instance(check, instance)
    if not placed.checks and instance.modified > view.position.revision:
        # It came with this group: nobody has seen it yet, and its topics are told.
        force_setattr(placed, "checks", (check,))
        return
    if placed.checks:
        others = [c for c in placed.checks if c.id != check.id]
        others.append(check)
        others.sort(key=lambda c: c.id)
        _replace(view, Placed(instance, tuple(others)))
    else:
        _replace(view, Placed(instance, (check,)))
    changes.topics.update(topics_of(instance))
    changes.topics.add(node_topic(check.node))


def _replace(view: View, placed: Placed) -> None:
    instance = placed.instance
    space = view.space(instance.namespace)
    space.by_node[instance.node][instance.id] = placed
    space.by_service[instance.service.lower()][instance.node, instance.id] = placed
    if instance.connects:
        space.by_connect[instance.connects.lower()][instance.node, instance.id] = placed


def _detach(view: View, check: Check, changes: Changes) -> None:
    """Take a check away from what it belongs to."""
    if not check.instance:
        view.node_checks[check.node] = {name: each for name, each in view.node_checks[check.node].items() if name != check.id}
        if not view.node_checks[check.node]:
            del view.node_checks[check.node]
        _touch_node(view, check.node, changes)
        return
    placed = view.placed(check.namespace, check.node, check.instance)
    if placed is not None:
        _replace(view, Placed(placed.instance, tuple(c for c in placed.checks if c.id != check.id)))
        changes.topics.update(topics_of(placed.instance))


def _remove_check(view: View, namespace: str, node: str, check: str, changes: Changes) -> None:
    before = view.check(namespace, node, check)
    if before is None:
        return
    _detach(view, before, changes)
    view.checks_count -= 1
    space = view.space(namespace)
    space.checks_at.went(check, node)
    holders = space.holders
    del holders[node][check]
    if not holders[node]:
        del holders[node]
    view.aliases.replace(before, None)
    changes.checks.append(CheckChange(before, None))
    changes.topics.update((checks_topic(namespace), node_topic(node)))
    _forget_empty(view, namespace)


def _forget_empty(view: View, namespace: str) -> None:
    """A namespace goes with its last row. The indexes of its lists do not fall: that row raised their floors when it left."""
    space = view.spaces[namespace]
    if not space.by_node and not space.holders:
        del view.spaces[namespace]
        view.tables.pop(services_topic(namespace), None)
        view.tables.pop(checks_topic(namespace), None)


def require_node(view: View, node: str, what: str) -> None:
    """Raise `DivergedError` when `what` is on a node that has no row."""
    if node not in view.nodes:
        raise DivergedError(f"{what} is on node {node}, which has no row")


def raise_table(view: View, topic: Topic, revision: Revision) -> None:
    """The index of a list never falls."""
    if revision > view.tables.get(topic, ZERO):
        view.tables[topic] = revision
