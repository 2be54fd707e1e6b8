"""Topics: what a watcher waits for. Each has an index, the highest revision of the rows an answer about it is derived from.

Topics are plain text, so they can be keys of dictionaries without cost; the functions here are the only place that spells them.
"""

from typing import Final, NewType

from callboard.model.rows import escape

Topic = NewType("Topic", str)

NODES: Final = Topic("t/nodes")
"""The list of nodes."""
EVENTS: Final = Topic("t/events")
"""The events that are kept."""
COORDINATES: Final = Topic("t/coordinates")
"""The coordinates of all nodes."""
AUTOPILOT: Final = Topic("t/autopilot")
"""The settings about the care of the servers."""
_SLASHES_COUNT: Final = 2
"""Of the topic of a service."""


def service_topic(namespace: str, service: str) -> Topic:
    """Instances of a service, their checks and their nodes. Service names differing only in case are one topic."""
    topic = f"s/{namespace}/{service.lower()}"
    if topic.count("/") == _SLASHES_COUNT and "%" not in topic:
        return Topic(topic)
    return Topic(f"s/{escape(namespace)}/{escape(service.lower())}")


def connect_topic(namespace: str, service: str) -> Topic:
    """Instances that speak for a service in the mesh, its proxies among them, their checks and their nodes."""
    return Topic(f"p/{escape(namespace)}/{escape(service.lower())}")


def node_topic(node: str) -> Topic:
    """A node, its instances and its checks."""
    node = node.lower()
    return Topic("n/" + (escape(node) if "/" in node or "%" in node else node))


def services_topic(namespace: str) -> Topic:
    """The list of services of a namespace."""
    return Topic("t/services/" + escape(namespace))


def checks_topic(namespace: str) -> Topic:
    """Every check of a namespace."""
    return Topic("t/checks/" + escape(namespace))


def node_health_topic(node: str) -> Topic:
    """What a node passes on to every service on it: its row and its own checks. Only its floor is used; nobody waits for it."""
    return Topic("h/" + escape(node.lower()))
