"""What differs between two views: one synthetic change, for a member that had to load anew and cannot tell what happened in between.

It names every topic whose answer or index differs, and no other. Only a topic that neither view has ever heard of is not named, though its
index may have risen with the global floor: nothing can be told of it. It lives as long as the swap of the views.
"""

from collections.abc import Generator, Iterator, Mapping
from typing import Final, TypeVar

from callboard.core.catalog import queries
from callboard.core.catalog.changes import Changes, CheckChange, InstanceChange, NodeChange
from callboard.core.catalog.connected import connect_index, topics_of
from callboard.core.catalog.draft import shown_with_checks
from callboard.core.catalog.indexes import node_index, service_index, table_index
from callboard.core.catalog.view import Space, View
from callboard.model.check import Check
from callboard.model.instance import Placed
from callboard.model.names import PUBLIC
from callboard.model.rows import Key, Revision, split_key
from callboard.model.topics import (
    AUTOPILOT,
    COORDINATES,
    EVENTS,
    NODES,
    Topic,
    checks_topic,
    connect_topic,
    node_topic,
    service_topic,
    services_topic,
)

V = TypeVar("V")
_EMPTY: Final = Space()


def differences(before: View, after: View) -> Changes:
    """Everything that leads from one view to the other."""
    steps = in_steps(before, after)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            changes: Changes = end.value
            return changes


def in_steps(before: View, after: View) -> Generator[int, None, Changes]:
    """The same, for whoever gives others a turn between: a node or a topic each, telling how many rows it has looked at. Both views must
    stay as they are meanwhile."""
    changes, looked_at = Changes(after.revision), set[Topic]()
    for node in _each(before.nodes, after.nodes):
        yield _diff_node(before, after, node, changes) if node is not None else 1
    for namespace in _either(before.spaces, after.spaces):
        yield from _diff_space(before, after, namespace, changes)
    for topic in _suspects(before, after):
        if topic in changes.topics or topic in looked_at:
            yield 1
            continue
        looked_at.add(topic)
        if index_of(before, topic) != index_of(after, topic):
            changes.topics.add(topic)
        yield _weight(after, topic)
    return changes


def _weight(view: View, topic: Topic) -> int:
    """How many rows its index is made of, about."""
    kind, *parts = split_key(Key(topic))
    return 1 + (len(view.of_service(parts[0], parts[1])) if kind == "s" else 0)


def index_of(view: View, topic: Topic) -> Revision:
    """The index of any topic."""
    kind, *parts = split_key(Key(topic))
    if kind == "s":
        return service_index(view, parts[0], parts[1])
    if kind == "p":
        return connect_index(view, parts[0], parts[1])
    return node_index(view, parts[0]) if kind == "n" else table_index(view, topic)


def _either(before: Mapping[str, V], after: Mapping[str, V]) -> list[str]:
    return [*before, *(name for name in after if name not in before)]


def _each(before: Mapping[str, V], after: Mapping[str, V]) -> Iterator[str | None]:
    """The same of so many that a list of them would be long to make. None stands for one that was there already: no more than a look."""
    yield from before
    for name in after:
        yield name if name not in before else None


def _pairs(before: Mapping[str, V], after: Mapping[str, V]) -> Iterator[tuple[V | None, V | None]]:
    """What is under the same name in both, where it differs."""
    for name in _either(before, after):
        old, new = before.get(name), after.get(name)
        if old is not new and old != new:
            yield old, new


# -- rows


def _diff_node(before: View, after: View, node: str, changes: Changes) -> int:
    old, new = before.nodes.get(node), after.nodes.get(node)
    if old != new:
        changes.nodes.append(NodeChange(old, new))
        changes.topics.add(NODES)
        _name_node(before, after, node, changes)
    return 1


def _name_node(before: View, after: View, node: str, changes: Changes) -> None:
    """Its row or its own checks differ, and so does every service on it."""
    changes.topics.add(node_topic(node))
    changes.topics.update(_services_on(before, node))
    changes.topics.update(_services_on(after, node))


def _services_on(view: View, node: str) -> Iterator[Topic]:
    for namespace in view.spaces:
        for placed in view.on_node(namespace, node).values():
            yield from topics_of(placed.instance)


def _diff_space(before: View, after: View, namespace: str, changes: Changes) -> Iterator[int]:
    count = len(changes.instances)
    old_space, new_space = before.spaces.get(namespace, _EMPTY), after.spaces.get(namespace, _EMPTY)
    for node in _each(old_space.by_node, new_space.by_node):
        yield _diff_instances(before, after, namespace, node, changes) if node is not None else 1
    for node in _each(old_space.holders, new_space.holders):
        yield _diff_checks(before, after, namespace, node, changes) if node is not None else 1
    touched = {each.service.lower() for change in changes.instances[count:] for each in (change.before, change.after) if each is not None}
    for service in touched:
        members = before.of_service(namespace, service), after.of_service(namespace, service)
        if queries.tags_by_name(members[0].values()) != queries.tags_by_name(members[1].values()):
            changes.topics.add(services_topic(namespace))
            break
        yield max(map(len, members))


def _diff_instances(before: View, after: View, namespace: str, node: str, changes: Changes) -> int:
    there = before.on_node(namespace, node), after.on_node(namespace, node)
    for old, new in _pairs(*there):
        _diff_placed(old, new, changes)
    return max(map(len, there))


def _diff_checks(before: View, after: View, namespace: str, node: str, changes: Changes) -> int:
    """By identity, whatever they belong to: one that moved is one change."""
    old, new = _checks_on(before, namespace, node), _checks_on(after, namespace, node)
    of_node = False
    for was, now in _pairs(old, new):
        changes.checks.append(CheckChange(was, now))
        of_node = of_node or any(check is not None and not check.instance for check in (was, now))
        changes.topics.update((checks_topic(namespace), node_topic(node)))
    if of_node:
        _name_node(before, after, node, changes)
    return max(len(old), len(new))


def _checks_on(view: View, namespace: str, node: str) -> Mapping[str, Check]:
    there = {check.id: check for placed in view.on_node(namespace, node).values() for check in placed.checks}
    if namespace == PUBLIC:
        there.update(view.checks_of_node(node))
    return there


def _diff_placed(old: Placed | None, new: Placed | None, changes: Changes) -> None:
    """An instance or its checks differ."""
    was, now = (old.instance if old is not None else None), (new.instance if new is not None else None)
    for instance in (was, now):
        if instance is not None:
            changes.topics.update(topics_of(instance))
            changes.topics.add(node_topic(instance.node))
    if was != now:
        changes.instances.append(InstanceChange(was, now))
    if old is not None and new is not None and old.checks and shown_with_checks(old.instance) != shown_with_checks(new.instance):
        changes.topics.add(checks_topic(old.instance.namespace))


# -- indexes


def _suspects(before: View, after: View) -> Iterator[Topic]:
    """Topics whose index may differ though no row of theirs does; some come twice."""
    return _known(before, after) if before.global_floor != after.global_floor else _floored(before, after)


def _floored(before: View, after: View) -> Iterator[Topic]:
    """Those that a row has left, and lists, whose index may stand on rows."""
    yield from _lists(before, after)
    for topic in _either(before.floors, after.floors):
        if before.floors.get(topic) == after.floors.get(topic):
            continue
        if topic.startswith("h/"):
            yield from _inherit(before, after, topic)
        else:
            yield Topic(topic)


def _inherit(before: View, after: View, floor: str) -> Iterator[Topic]:
    node = split_key(Key(floor))[1]
    yield node_topic(node)
    yield from _services_on(before, node)
    yield from _services_on(after, node)


def _lists(before: View, after: View) -> Iterator[Topic]:
    yield from (NODES, EVENTS, COORDINATES, AUTOPILOT)
    for namespace in _either(before.spaces, after.spaces):
        yield services_topic(namespace)
        yield checks_topic(namespace)


def _known(before: View, after: View) -> Iterator[Topic]:
    """Every topic either view has a row or a floor of."""
    yield from _lists(before, after)
    for view in (before, after):
        yield from (node_topic(split_key(Key(floor))[1]) if floor.startswith("h/") else Topic(floor) for floor in view.floors)
        yield from (node_topic(node) for node in view.nodes)
        for namespace, space in view.spaces.items():
            yield from (service_topic(namespace, service) for service in space.by_service)
            yield from (connect_topic(namespace, service) for service in space.by_connect)
