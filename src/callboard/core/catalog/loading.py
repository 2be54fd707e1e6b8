"""A new view from all rows of a snapshot, in whatever order the engine gives them. A `Loader` lives for one load.

Checks that come before their instance wait for it. A million instances are two million rows: what is done for each is done here in place,
and indexes of lists are raised once at the end.
"""

from collections.abc import Iterable

from msgspec.structs import force_setattr

from callboard.core.catalog import codec, fold, sharing
from callboard.core.catalog.view import Space, View
from callboard.model.check import AliasCheck, Check
from callboard.model.errors import DivergedError
from callboard.model.instance import Instance, Placed
from callboard.model.rows import ZERO, Position, Revision, Row
from callboard.model.topics import NODES, checks_topic, services_topic


class Loader:
    """Add rows in batches, then `finish`."""

    def __init__(self) -> None:
        self._view = View()
        self._waiting: dict[tuple[str, str, str], tuple[Check, ...]] = {}
        """Checks by the instance that has not come yet."""
        self._newest_instance: dict[str, Revision] = {}
        """By namespace."""
        self._newest_check: dict[str, Revision] = {}

    def add(self, rows: Iterable[Row]) -> None:
        """Take some rows. Raises `UnreadableRowError`."""
        view, shared = self._view, self._view.shared
        for row in rows:
            table = row[0][:2]
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
        view = self._view
        for (_, node, instance), checks in self._waiting.items():
            raise DivergedError(f"check {checks[0].id} on node {node} belongs to instance {instance}, which has no row")
        for space in view.spaces.values():
            for node, there in space.by_node.items():
                fold.require_node(view, node, f"instance {next(iter(there))}")
        for node, checks_there in view.node_checks.items():
            fold.require_node(view, node, f"check {next(iter(checks_there))}")
        view.instances_count = sum(len(there) for space in view.spaces.values() for there in space.by_node.values())
        view.checks_count = sum(len(holders) for space in view.spaces.values() for holders in space.holders.values())
        for namespace, revision in self._newest_instance.items():
            fold.raise_table(view, services_topic(namespace), revision)
        for namespace, revision in self._newest_check.items():
            fold.raise_table(view, checks_topic(namespace), revision)
        view.position = position
        return view

    def _check(self, check: Check) -> None:
        view, namespace, node = self._view, check.namespace, check.node
        space = view.space(namespace)
        if check.modified > self._newest_check.get(namespace, ZERO):
            self._newest_check[namespace] = check.modified
        if isinstance(check.definition, AliasCheck):
            view.aliases.replace(None, check)
        if check.instance:
            self._attach(space, check)
        else:
            view.node_checks.setdefault(node, {})[check.id] = check
        holders = space.holders.get(node)
        if holders is None:
            holders = space.holders[node] = {}
        holders[check.id] = check.instance

    def _attach(self, space: Space, check: Check) -> None:
        """To its instance, if that is there; nobody else has seen it yet, so it may still be changed."""
        there = space.by_node.get(check.node)
        placed = there.get(check.instance) if there is not None else None
        if placed is None:
            place = check.namespace, check.node, check.instance
            self._waiting[place] = (*self._waiting.get(place, ()), check)
        else:
            sharing.with_instance(check, placed.instance)
            force_setattr(placed, "checks", _in_order((*placed.checks, check)))

    def _instance(self, instance: Instance) -> None:
        view, namespace, node = self._view, instance.namespace, instance.node
        if instance.modified > self._newest_instance.get(namespace, ZERO):
            self._newest_instance[namespace] = instance.modified
        checks = self._waiting.pop((namespace, node, instance.id), ()) if self._waiting else ()
        space = view.space(namespace)
        holders = space.holders.get(node) if checks else None
        for check in checks:
            sharing.with_instance(check, instance)
            if holders is not None:
                holders[check.id] = instance.id
        placed = Placed(instance, _in_order(checks))
        there = space.by_node.get(node)
        if there is None:
            there = space.by_node[node] = {}
        there[instance.id] = placed
        service = instance.service.lower()
        members = space.by_service.get(service)
        if members is None:
            members = space.by_service[view.shared(service)] = {}
        members[node, instance.id] = placed
        if instance.connects:
            space.by_connect.setdefault(view.shared(instance.connects.lower()), {})[node, instance.id] = placed


def _in_order(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    return tuple(sorted(checks, key=lambda check: check.id)) if len(checks) > 1 else checks
