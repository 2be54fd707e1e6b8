"""A new view from all rows of a snapshot, in whatever order the engine gives them. A `Loader` lives for one load.

Checks that come before their instance wait for it, so each instance is placed once, complete.
"""

from collections import defaultdict
from collections.abc import Iterable

from callboard.core.catalog import codec, fold
from callboard.core.catalog.view import View
from callboard.model.check import Check
from callboard.model.errors import DivergedError
from callboard.model.instance import Instance, Placed
from callboard.model.rows import Position, Row
from callboard.model.topics import NODES, checks_topic, services_topic


class Loader:
    """Add rows in batches, then `finish`."""

    def __init__(self) -> None:
        self._view = View()
        self._waiting: dict[tuple[str, str, str], list[Check]] = defaultdict(list)

    def add(self, rows: Iterable[Row]) -> None:
        """Take some rows. Raises `UnreadableRowError`."""
        view, shared = self._view, self._view.shared
        for row in rows:
            table = row.key[:2]
            if table == "c/":
                self._check(codec.decode_check(row, shared))
            elif table == "i/":
                self._instance(codec.decode_instance(row, shared))
            elif table == "n/":
                node = codec.decode_node(row)
                view.nodes[shared(node.name.lower())] = node
                fold.raise_table(view, NODES, node.modified)
            else:
                fold.special(view, row.key, row)

    def finish(self, position: Position) -> View:
        """The complete view. Raises `DivergedError` for what belongs to an instance or a node that has no row."""
        for (namespace, node, instance), checks in self._waiting.items():
            placed = self._view.placed(namespace, node, instance)
            if placed is None:
                raise DivergedError(f"check {checks[0].id} on node {node} belongs to instance {instance}, which has no row")
            self._place(placed.instance, [*placed.checks, *checks])
        self._waiting.clear()
        for space in self._view.spaces.values():
            for node, there in space.by_node.items():
                fold.require_node(self._view, node, f"instance {next(iter(there))}")
        for node, checks_there in self._view.node_checks.items():
            fold.require_node(self._view, node, f"check {next(iter(checks_there))}")
        self._view.position = position
        return self._view

    def _check(self, check: Check) -> None:
        view = self._view
        view.space(check.namespace).holders.setdefault(check.node, {})[check.id] = check.instance
        view.aliases.replace(None, check)
        fold.raise_table(view, checks_topic(check.namespace), check.modified)
        if check.instance:
            self._waiting[check.namespace, check.node, check.instance].append(check)
        else:
            view.node_checks.setdefault(check.node, {})[check.id] = check

    def _instance(self, instance: Instance) -> None:
        fold.raise_table(self._view, services_topic(instance.namespace), instance.modified)
        self._place(instance, self._waiting.pop((instance.namespace, instance.node, instance.id), []))

    def _place(self, instance: Instance, checks: list[Check]) -> None:
        if len(checks) > 1:
            checks.sort(key=lambda check: check.id)
        view = self._view
        placed = Placed(instance, tuple(checks))
        space = view.space(instance.namespace)
        space.by_node.setdefault(instance.node, {})[instance.id] = placed
        space.by_service.setdefault(view.shared(instance.service.lower()), {})[instance.node, instance.id] = placed
        if instance.connects:
            space.by_connect.setdefault(view.shared(instance.connects.lower()), {})[instance.node, instance.id] = placed
