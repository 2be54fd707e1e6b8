"""From a service's instances to where a caller should go: the catalog's answer, judged by `callboard.balance`. Pure."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from callboard.balance.endpoint import Endpoint
from callboard.balance.selector import Judged, Selector, select
from callboard.core.catalog import queries
from callboard.core.catalog.queries import Found
from callboard.core.catalog.view import View
from callboard.model.check import Status
from callboard.model.rows import Revision
from callboard.wire import native

_CRITICAL: Final = Status.CRITICAL.value
_PLACES: Final = ("region", "zone", "sub_zone")
"""What an instance that does not say it itself takes over from its node's meta."""


class Wanted(NamedTuple):
    """What a caller asks of the endpoints of a service. `limit` 0 is none."""

    selector: Selector
    limit: int = 0


def resolution(view: View, namespace: str, service: str, wanted: Wanted, revision: Revision) -> native.Resolution:
    """Where to call, and why there: each instance is judged by tags, labels, version, phase, status, zone, then limit."""
    found = queries.instances_of(view, namespace, service)
    selection = select(wanted.selector, [_endpoint(each) for each in found])
    weights = {endpoint.key: endpoint.weight for endpoint in selection.kept}
    endpoints: list[native.Endpoint] = []
    considered: list[native.Considered] = []
    for each, judged in zip(found, selection.considered, strict=True):
        kept, reason = judged.kept, _reason(each, judged)
        if kept and wanted.limit and len(endpoints) == wanted.limit:
            kept, reason = False, f"beyond the limit of {wanted.limit}"
        if kept:
            endpoints.append(_shown(judged.endpoint, weights[judged.endpoint.key]))
        considered.append(native.Considered(id=each.instance.id, node=each.node.name, kept=kept, reason=reason))
    return native.Resolution(
        service=service, namespace=namespace, revision=revision, endpoints=tuple(endpoints), considered=tuple(considered),
        fell_back=selection.fell_back,
    )  # fmt: skip


def _reason(found: Found, judged: Judged) -> str:
    """A balancer does not know which check it is."""
    if judged.reason != _CRITICAL:
        return judged.reason
    return "critical: check " + next(check.id for check in found.checks if check.status is Status.CRITICAL)


def _endpoint(found: Found) -> Endpoint:
    instance, status = found.instance, found.status
    return Endpoint(
        key=f"{instance.node}/{instance.id}", id=instance.id, node=found.node.name, address=found.address, port=instance.port,
        weight=instance.weights.passing if status is Status.PASSING else instance.weights.warning,
        status=status, phase=instance.phase, tags=instance.tags, labels=_labels(instance.meta, found.node.meta),
    )  # fmt: skip


def _labels(meta: Mapping[str, str], of_node: Mapping[str, str]) -> Mapping[str, str]:
    places = {place: of_node[place] for place in _PLACES if place in of_node and place not in meta}
    return {**meta, **places} if places else meta


def _shown(endpoint: Endpoint, weight: int) -> native.Endpoint:
    return native.Endpoint(
        id=endpoint.id, node=endpoint.node, address=endpoint.address, port=endpoint.port, tags=endpoint.tags, weight=weight,
        status=endpoint.status, version=endpoint.version, zone=endpoint.locality.zone,
    )  # fmt: skip
