"""From the view to Prometheus' target groups. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from callboard.core.catalog import queries
from callboard.core.catalog.queries import Found
from callboard.core.catalog.view import Place, View
from callboard.model import names
from callboard.model.check import Status
from callboard.model.instance import Phase
from callboard.wire import prometheus
from callboard.wire.prometheus import TargetGroup


class Wanted(NamedTuple):
    """What a scrape configuration asks for. Without services it is all of the namespace, but for the servers' own entry."""

    namespace: str
    services: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    passing_only: bool = False


def target_groups(view: View, wanted: Wanted, own: Place) -> list[TargetGroup]:
    """One group for each instance that has a port, by service, node and id."""
    return [_group(found) for found in _instances(view, wanted, own) if found.instance.port and _wants(wanted, found)]


def _instances(view: View, wanted: Wanted, own: Place) -> Iterable[Found]:
    if wanted.services:
        for service in wanted.services:
            yield from queries.instances_of(view, wanted.namespace, service)
        return
    space = view.spaces.get(wanted.namespace)
    for service in sorted(space.by_service) if space is not None else ():
        for found in queries.instances_of(view, wanted.namespace, service):
            if wanted.namespace != names.PUBLIC or (found.instance.node, found.instance.id) != own:
                yield found


def _wants(wanted: Wanted, found: Found) -> bool:
    if not all(tag in found.instance.tags for tag in wanted.tags):
        return False
    return not wanted.passing_only or (found.status is Status.PASSING and found.instance.phase is Phase.SERVING)


def _group(found: Found) -> TargetGroup:
    instance = found.instance
    values = {
        "service": instance.service, "id": instance.id, "node": found.node.name, "namespace": instance.namespace,
        "status": found.status.value, "phase": instance.phase.value, "tags": prometheus.joined(instance.tags),
    }  # fmt: skip
    return TargetGroup((prometheus.target(found.address, instance.port),), prometheus.labels(values, instance.meta))
