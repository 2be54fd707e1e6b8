"""The view: a member's picture of the live rows at one revision, with the indexes that queries need.

It is a pure function of the rows: folding groups one by one and loading all rows at once give the same view, indexes of topics included.
Values in it are replaced, never mutated, so what a query took stays true. It lives as long as the member, or until a reload replaces it.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from callboard.core.catalog import codec
from callboard.core.catalog.aliases import Aliases
from callboard.core.catalog.whereabouts import Whereabouts
from callboard.model.autopilot import Autopilot
from callboard.model.check import Check
from callboard.model.coordinate import Coordinate
from callboard.model.event import Event
from callboard.model.instance import Node, Placed
from callboard.model.rows import ORIGIN, ZERO, Position, Revision
from callboard.model.topics import Topic

Place = tuple[str, str]
"""Node (lower case) and instance id."""

_NOTHING: Final[Mapping[str, Placed]] = {}
_NOBODY: Final[Mapping[Place, Placed]] = {}
_UNCHECKED: Final[Mapping[str, Check]] = {}
_HOLDERS: Final[Mapping[str, str]] = {}


@dataclass(slots=True)
class Space:
    """One namespace: its instances by node, by service, and by the service they speak for in the mesh; and which instance holds a check id
    (empty: the node)."""

    by_node: dict[str, dict[str, Placed]] = field(default_factory=dict)
    by_service: dict[str, dict[Place, Placed]] = field(default_factory=dict)
    by_connect: dict[str, dict[Place, Placed]] = field(default_factory=dict)
    holders: dict[str, dict[str, str]] = field(default_factory=dict)
    instances_at: Whereabouts = field(default_factory=Whereabouts)
    checks_at: Whereabouts = field(default_factory=Whereabouts)


class View:
    """Read by every door, written only by `core.catalog.fold`."""

    __slots__ = (
        "aliases", "autopilot", "checks_count", "coordinates", "epoch", "events", "floors", "global_floor", "instances_count",
        "node_checks", "nodes", "position", "shared", "spaces", "tables", "term",
    )  # fmt: skip

    def __init__(self) -> None:
        self.position: Position = ORIGIN
        self.nodes: dict[str, Node] = {}
        self.node_checks: dict[str, dict[str, Check]] = {}
        """Checks of nodes, all in the public namespace: node, check id, check. What stands of a node is replaced, never changed."""
        self.spaces: dict[str, Space] = {}
        self.instances_count = 0
        """In all namespaces together; to be asked for at every scrape, however many nodes there are."""
        self.checks_count = 0
        """The same of checks, those of nodes included."""
        self.aliases = Aliases()
        """Checks that are aliases, by what they look at."""
        self.floors: dict[str, Revision] = {}
        """By topic: rows have left it up to this revision."""
        self.global_floor = ZERO
        self.tables: dict[Topic, Revision] = {}
        """Highest row revision of each list topic, floors not included."""
        self.events: dict[int, Event] = {}
        """By their place in the ring."""
        self.coordinates: dict[str, Coordinate] = {}
        """By node."""
        self.autopilot: Autopilot | None = None
        """None until somebody has set it."""
        self.epoch = codec.Epoch("")
        self.term = codec.Term("", 0)
        self.shared = codec.Shared()

    @property
    def revision(self) -> Revision:
        """Of the last group folded in."""
        return self.position.revision

    def space(self, namespace: str) -> Space:
        """The namespace, made when it is new."""
        if (space := self.spaces.get(namespace)) is None:
            space = self.spaces[namespace] = Space()
        return space

    def placed(self, namespace: str, node: str, instance: str) -> Placed | None:
        """An instance with its checks; `node` in lower case."""
        space = self.spaces.get(namespace)
        there = space.by_node.get(node) if space is not None else None
        return there.get(instance) if there is not None else None

    def on_node(self, namespace: str, node: str) -> Mapping[str, Placed]:
        """The instances of a namespace on a node, by id."""
        space = self.spaces.get(namespace)
        return space.by_node.get(node, _NOTHING) if space is not None else _NOTHING

    def of_service(self, namespace: str, service: str) -> Mapping[Place, Placed]:
        """The instances of a service, whatever the case of its name."""
        space = self.spaces.get(namespace)
        return space.by_service.get(service.lower(), _NOBODY) if space is not None else _NOBODY

    def services(self, namespace: str) -> Collection[str]:
        """The services of a namespace, in lower case and in no order."""
        space = self.spaces.get(namespace)
        return space.by_service.keys() if space is not None else ()

    def still(self) -> "View":
        """The nodes of now and their own checks, nothing else, and not changed any more: for whoever goes on with this revision later."""
        still = View()
        still.position = self.position
        still.nodes, still.node_checks = self.nodes.copy(), self.node_checks.copy()
        return still

    def of_connect(self, namespace: str, service: str) -> Mapping[Place, Placed]:
        """The instances that speak for a service in the mesh, whatever the case of its name."""
        space = self.spaces.get(namespace)
        return space.by_connect.get(service.lower(), _NOBODY) if space is not None else _NOBODY

    def checks_of_node(self, node: str) -> Mapping[str, Check]:
        """The checks of the node itself, by id."""
        return self.node_checks.get(node, _UNCHECKED)

    def holders(self, namespace: str, node: str) -> Mapping[str, str]:
        """Check ids on a node, and the instance each belongs to (empty: the node itself)."""
        space = self.spaces.get(namespace)
        return space.holders.get(node, _HOLDERS) if space is not None else _HOLDERS

    def nodes_of_instance(self, namespace: str, instance: str) -> Collection[str]:
        """The nodes that have an instance of this id, in no order. To be read at once."""
        space = self.spaces.get(namespace)
        return space.instances_at.nodes(instance, space.by_node) if space is not None else ()

    def nodes_of_check(self, namespace: str, check: str) -> Collection[str]:
        """The same for a check."""
        space = self.spaces.get(namespace)
        return space.checks_at.nodes(check, space.holders) if space is not None else ()

    def checks(self) -> Iterator[Check]:
        """Every check there is, in no order."""
        for there in self.node_checks.values():
            yield from there.values()
        for space in self.spaces.values():
            for placed_there in space.by_node.values():
                for placed in placed_there.values():
                    yield from placed.checks

    def check(self, namespace: str, node: str, check: str) -> Check | None:
        """A check by its id."""
        space = self.spaces.get(namespace)
        there = space.holders.get(node) if space is not None else None
        instance = there.get(check) if there is not None else None
        if instance is None:
            return None
        if not instance:
            return self.checks_of_node(node).get(check)
        placed = self.placed(namespace, node, instance)
        return next((c for c in placed.checks if c.id == check), None) if placed is not None else None
