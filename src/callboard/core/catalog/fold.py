"""Folding: durable rows into the view, and the changes that follow from them. The only writer of the view.

A group is folded whole, parents before children when they come and after them when they go, so that the order of rows in a group has no
meaning. Changes are derived from the rows, never from the commands that made them.
"""

from typing import Final

from callboard.core.catalog import beside, codec, sharing
from callboard.core.catalog.changes import Changes, CheckChange, InstanceChange, NodeChange
from callboard.core.catalog.connected import leaves, topics_of
from callboard.core.catalog.draft import shown_with_checks
from callboard.core.catalog.view import View
from callboard.model.check import Check
from callboard.model.errors import DivergedError
from callboard.model.instance import Instance, Node, Placed
from callboard.model.rows import GLOBAL_FLOOR, META_EPOCH, META_TERM, ZERO, Group, Key, Position, Revision, Row, split_key
from callboard.model.topics import NODES, Topic, checks_topic, connect_topic, node_topic, service_topic, services_topic

_ORDER: Final = {"n": 0, "i": 1, "c": 2}


def fold(view: View, group: Group, position: Position) -> Changes:
    """Take a durable group into the view and tell what it changed. Raises `DivergedError` when the group does not follow the view."""
    if group.after != view.position:
        raise DivergedError(f"a group after revision {group.after.revision} does not follow a view at revision {view.position.revision}")
    changes = Changes(group.last)
    arriving: list[tuple[int, Row]] = []
    leaving: list[tuple[int, Key]] = []
    for key, row in group.rows.items():
        table = _ORDER.get(key[0], -1) if key[1] == "/" else -1
        if table < 0:
            if (topic := special(view, key, row)) is not None:
                changes.topics.add(topic)
        elif row is None:
            leaving.append((-table, key))
        else:
            arriving.append((table, row))
    arriving.sort(key=lambda entry: entry[0])
    leaving.sort(key=lambda entry: entry[0])
    for table, row in arriving:
        _put(view, table, row, changes)
    for table, key in leaving:
        _remove(view, -table, key, changes)
    view.position = position
    return changes


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


def _put(view: View, table: int, row: Row, changes: Changes) -> None:
    if table == 0:
        _put_node(view, codec.decode_node(row), changes)
    elif table == 1:
        _put_instance(view, codec.decode_instance(row, view.shared), changes)
    else:
        _put_check(view, codec.decode_check(row, view.shared), changes)


def _remove(view: View, table: int, key: Key, changes: Changes) -> None:
    parts = split_key(key)
    if table == 0:
        _remove_node(view, parts[1], changes)
    elif table == 1:
        _remove_instance(view, parts[1], parts[2], parts[3], changes)
    else:
        _remove_check(view, parts[1], parts[2], parts[3], changes)


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
    require_node(view, instance.node, f"instance {instance.id}")
    space = view.space(instance.namespace)
    there = space.by_node.setdefault(instance.node, {})
    before = there.get(instance.id)
    if before is not None:
        sharing.with_instance_before(instance, before.instance)
    else:
        view.instances_count += 1
    if before is not None and before.instance.service != instance.service:
        _leave_service(view, before, changes)
    if before is not None and leaves(before.instance, instance):
        _leave_connect(view, before, changes)
    if before is not None and before.checks and shown_with_checks(before.instance) != shown_with_checks(instance):
        changes.topics.add(checks_topic(instance.namespace))
    placed = Placed(instance, before.checks if before is not None else ())
    there[instance.id] = placed
    space.by_service.setdefault(view.shared(instance.service.lower()), {})[instance.node, instance.id] = placed
    if instance.connects:
        space.by_connect.setdefault(view.shared(instance.connects.lower()), {})[instance.node, instance.id] = placed
    table = services_topic(instance.namespace)
    raise_table(view, table, instance.modified)
    changes.instances.append(InstanceChange(before.instance if before is not None else None, instance))
    changes.topics.update((*topics_of(instance), node_topic(instance.node), table))


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
    if before is not None:
        sharing.with_check_before(check, before)
    else:
        view.checks_count += 1
    if before is not None and before.instance != check.instance:
        _detach(view, before, changes)
    if check.instance:
        _attach(view, check, changes)
    else:
        require_node(view, check.node, f"check {check.id}")
        view.node_checks.setdefault(check.node, {})[check.id] = check
        _touch_node(view, check.node, changes)
    holders = view.space(check.namespace).holders.setdefault(check.node, {})
    holders[check.id] = check.instance
    view.aliases.replace(before, check)
    table = checks_topic(check.namespace)
    raise_table(view, table, check.modified)
    changes.checks.append(CheckChange(before, check))
    changes.topics.update((table, node_topic(check.node)))


def _attach(view: View, check: Check, changes: Changes) -> None:
    placed = view.placed(check.namespace, check.node, check.instance)
    if placed is None:
        raise DivergedError(f"check {check.id} on node {check.node} belongs to instance {check.instance}, which has no row")
    sharing.with_instance(check, placed.instance)
    if placed.checks:
        others = [c for c in placed.checks if c.id != check.id]
        others.append(check)
        others.sort(key=lambda c: c.id)
        _replace(view, Placed(placed.instance, tuple(others)))
    else:
        _replace(view, Placed(placed.instance, (check,)))
    changes.topics.update(topics_of(placed.instance))


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
        checks = view.node_checks[check.node]
        del checks[check.id]
        if not checks:
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
    holders = view.space(namespace).holders
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
