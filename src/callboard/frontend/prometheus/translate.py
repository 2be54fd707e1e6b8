"""From the view to Prometheus' target groups. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Raw

from callboard.core.catalog.fragments import Fragment, Fragments
from callboard.core.catalog.queries import Found
from callboard.core.catalog.view import Place, View
from callboard.model import names
from callboard.wire import prometheus
from callboard.wire.prometheus import TargetGroup


class Wanted(NamedTuple):
    """What a scrape configuration asks for. Without services it is all of the namespace, but for the servers' own entry."""

    namespace: str
    services: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    passing_only: bool = False


def target_groups(view: View, fragments: Fragments, wanted: Wanted, own: Place) -> list[Raw]:
    """One group for each instance that has a port, by service, node and id."""
    return [one.entry for one in _instances(view, fragments, wanted, own) if one.placed.instance.port and _wants(wanted, one)]


def _instances(view: View, fragments: Fragments, wanted: Wanted, own: Place) -> Iterable[Fragment]:
    if wanted.services:
        for service in wanted.services:
            yield from fragments.of_service(view, wanted.namespace, service)
        return
    space = view.spaces.get(wanted.namespace)
    for service in sorted(space.by_service) if space is not None else ():
        for one in fragments.of_service(view, wanted.namespace, service):
            if wanted.namespace != names.PUBLIC or (one.placed.instance.node, one.placed.instance.id) != own:
                yield one


def _wants(wanted: Wanted, one: Fragment) -> bool:
    if wanted.tags and not all(tag in one.placed.instance.tags for tag in wanted.tags):
        return False
    return one.passing or not wanted.passing_only


def target_group(found: Found) -> TargetGroup:
    """An instance as a target with its labels."""
    instance = found.instance
    values = {
        "service": instance.service, "id": instance.id, "node": found.node.name, "namespace": instance.namespace,
        "status": found.status.value, "phase": instance.phase.value, "tags": prometheus.joined(instance.tags),
    }  # fmt: skip
    return TargetGroup((prometheus.target(found.address, instance.port),), prometheus.labels(values, instance.meta))
