"""The mesh's side of the catalog: which instances speak for a service, be it a proxy in front of it or the service itself.

Pure reads of the view, and the topics an instance is a part of. A proxy is an instance like any other, of a service of its own name;
besides it belongs to the service it speaks for, and whoever watches the connections to that one is told of the proxy's changes.
"""

from callboard.core.catalog.indexes import index_of_members
from callboard.core.catalog.queries import Found, find
from callboard.core.catalog.view import View
from callboard.model.instance import Instance
from callboard.model.rows import Revision
from callboard.model.topics import Topic, connect_topic, service_topic


def connected_to(view: View, namespace: str, service: str) -> list[Found]:
    """Every instance that speaks for a service, by node and id."""
    members = view.of_connect(namespace, service)
    return [find(view, members[place]) for place in sorted(members)]


def connect_index(view: View, namespace: str, service: str) -> Revision:
    """Instances that speak for a service, their checks, and the health of their nodes; and what no longer does."""
    return index_of_members(view, connect_topic(namespace, service), view.of_connect(namespace, service))


def topics_of(instance: Instance) -> tuple[Topic, ...]:
    """The services whose answers an instance is in: its own, and the one it speaks for."""
    own = service_topic(instance.namespace, instance.service)
    return (own, connect_topic(instance.namespace, instance.connects)) if instance.connects else (own,)


def leaves(before: Instance, after: Instance) -> bool:
    """Whether an instance speaks no longer for the service it spoke for."""
    return bool(before.connects) and before.connects.lower() != after.connects.lower()
