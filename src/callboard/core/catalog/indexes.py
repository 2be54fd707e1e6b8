"""Topic indexes: the highest revision of the rows an answer is derived from, of its floors, and of the global floor.

Computed from rows alone, so they are the same on every member and after every reload, and never fall: whatever leaves a topic raises
that topic's floor in the same group (`core.catalog.draft`). An index is at least 1, for clients take 0 as "no index".
"""

from collections.abc import Mapping

from callboard.core.catalog.view import Place, View
from callboard.model.instance import Placed
from callboard.model.rows import ZERO, Revision
from callboard.model.topics import Topic, node_health_topic, node_topic, service_topic


def service_index(view: View, namespace: str, service: str) -> Revision:
    """Instances, their checks, and the health of their nodes. A service that does not exist has its own index, its floor."""
    return index_of_members(view, service_topic(namespace, service), view.of_service(namespace, service))


def index_of_members(view: View, topic: Topic, members: Mapping[Place, Placed]) -> Revision:
    """The index of a topic whose answers are made of `members`, their checks, and the health of their nodes."""
    highest = max(Revision(1), view.global_floor, view.floors.get(topic, ZERO))
    nodes: set[str] = set()
    for placed in members.values():  # this is what an answer costs that is joined from parts which were there
        instance = placed.instance
        nodes.add(instance.node)
        if instance.modified > highest:  # noqa: PLR1730  # a call of `max` for each is three times as much
            highest = instance.modified
        for check in placed.checks:
            if check.modified > highest:  # noqa: PLR1730  # the same
                highest = check.modified
    return max(highest, *(node_health_index(view, node) for node in nodes)) if nodes else highest


def node_health_index(view: View, node: str) -> Revision:
    """What a node (lower case) passes on to the services on it: its row, its own checks, and those that left."""
    highest = view.floors.get(node_health_topic(node), ZERO) if view.floors else ZERO
    row = view.nodes.get(node)
    if row is not None and row.modified > highest:
        highest = row.modified
    for check in view.checks_of_node(node).values():
        highest = max(highest, check.modified)
    return highest


def node_index(view: View, node: str) -> Revision:
    """A node, its checks, its instances and theirs, and what left it."""
    node = node.lower()
    highest = max(Revision(1), view.global_floor, view.floors.get(node_topic(node), ZERO), node_health_index(view, node))
    for namespace in view.spaces:
        for placed in view.on_node(namespace, node).values():
            highest = max(highest, placed.instance.modified)
            for check in placed.checks:
                highest = max(highest, check.modified)
    return highest


def table_index(view: View, topic: Topic) -> Revision:
    """A list: nodes, services of a namespace, checks of a namespace."""
    return max(Revision(1), view.global_floor, view.floors.get(topic, ZERO), view.tables.get(topic, ZERO))
