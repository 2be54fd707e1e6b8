"""Questions to the view. Pure reads: within one turn of the loop an answer is a snapshot, for values are replaced and never mutated."""

from collections.abc import Iterable
from typing import NamedTuple

from callboard.core.catalog.view import Place, View
from callboard.model.check import Check, Status, worst
from callboard.model.instance import Instance, Node, Phase, Placed
from callboard.model.names import PUBLIC


class Found(NamedTuple):
    """An instance with all that its health is derived from."""

    node: Node
    instance: Instance
    checks: tuple[Check, ...]
    """Of the node first, then its own; each part ordered by id."""

    @property
    def status(self) -> Status:
        """The worst of its checks and its node's."""
        if len(self.checks) == 1:  # as most have
            return self.checks[0].status
        return worst([check.status for check in self.checks])

    @property
    def passing(self) -> bool:
        """Whether it takes traffic without reserve: it serves, and every check passes."""
        return self.instance.phase is Phase.SERVING and all(check.status is Status.PASSING for check in self.checks)

    @property
    def address(self) -> str:
        """Where it is called: its own address, else its node's."""
        return self.instance.address or self.node.address

    @property
    def draining(self) -> bool:
        """Hidden from new picks."""
        return self.instance.phase is Phase.DRAINING


def find(view: View, placed: Placed) -> Found:
    """An instance with its node and every check that counts for it."""
    node = placed.instance.node
    of_node = checks_of_node(view, node)
    return Found(view.nodes[node], placed.instance, (*of_node, *placed.checks) if of_node else placed.checks)


def place_of(placed: Placed) -> Place:
    """Where it is: what members of a service are ordered by."""
    return placed.instance.node, placed.instance.id


def status_of(view: View, placed: Placed) -> Status:
    """The worst of the checks that count for an instance: the same as of what is found, for those who count many."""
    checks = placed.checks
    if placed.instance.node in view.node_checks:
        return find(view, placed).status
    return checks[0].status if len(checks) == 1 else worst([check.status for check in checks])


def checks_of_node(view: View, node: str) -> list[Check]:
    """The checks of the node itself, by id; `node` in lower case."""
    checks = view.checks_of_node(node)
    return [checks[check] for check in sorted(checks)] if checks else []


def instances_of(view: View, namespace: str, service: str) -> list[Found]:
    """Every instance of a service, by node and id."""
    members = view.of_service(namespace, service)
    return [find(view, members[place]) for place in sorted(members)]


def instances_on(view: View, namespace: str, node: str) -> list[Placed]:
    """Every instance of a namespace on a node (lower case), by id."""
    there = view.on_node(namespace, node)
    return [there[instance] for instance in sorted(there)]


def all_checks_on(view: View, namespace: str, node: str) -> list[Check]:
    """The node's own checks, then those of its instances, by id."""
    return [*checks_of_node(view, node), *(check for placed in instances_on(view, namespace, node) for check in placed.checks)]


def all_checks(view: View, namespace: str) -> list[Check]:
    """Every check that lives in a namespace, by node and id: first those of nodes (all in the public one), then those of instances."""
    out = [check for node in sorted(view.node_checks) for check in checks_of_node(view, node)] if namespace == PUBLIC else []
    space = view.spaces.get(namespace)
    if space is not None:
        for node in sorted(space.by_node):
            out.extend(check for placed in instances_on(view, namespace, node) for check in placed.checks)
    return out


def services(view: View, namespace: str) -> dict[str, list[str]]:
    """Names of services, as they are spelled, and the union of their instances' tags; both ordered."""
    return tags_by_name(placed_in(view, namespace))


def tags_by_name(members: Iterable[Placed]) -> dict[str, list[str]]:
    """The names of the services of these instances, and all their tags; both ordered."""
    tags: dict[str, set[str]] = {}
    for placed in members:
        instance = placed.instance
        there = tags.get(instance.service)
        if there is None:
            tags[instance.service] = set(instance.tags)
        else:
            there.update(instance.tags)
    return {name: sorted(tags[name]) for name in sorted(tags)}


def placed_in(view: View, namespace: str) -> Iterable[Placed]:
    """Every instance of a namespace, in no order."""
    space = view.spaces.get(namespace)
    if space is not None:
        for there in space.by_node.values():
            yield from there.values()
