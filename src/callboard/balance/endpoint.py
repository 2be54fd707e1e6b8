"""What a balancer sees of an instance.

Endpoints are made anew with every change of the catalog and live as long as the picker they are in.
"""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct

from callboard.model.check import Status
from callboard.model.instance import Phase


class Locality(NamedTuple):
    """Where an endpoint runs; a part that is not known is empty."""

    region: str = ""
    zone: str = ""
    sub_zone: str = ""


class Endpoint(Struct, frozen=True, kw_only=True, gc=False):
    """One instance as a caller sees it. `key` is its identity within the service: load and ejections are kept by it."""

    key: str
    """`node/id`."""
    id: str
    node: str
    address: str
    port: int
    weight: int = 1
    """Share of the traffic relative to the others, in its present status. 0: picked only when nobody else is there."""
    status: Status = Status.PASSING
    phase: Phase = Phase.SERVING
    tags: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}
    """Its meta. Well known: `version`, `region`, `zone`, `sub_zone`."""

    @property
    def version(self) -> str:
        """What it says about its version, as it says it; empty when it says nothing."""
        return self.labels.get("version", "")

    @property
    def locality(self) -> Locality:
        """Where it says it runs."""
        labels = self.labels
        return Locality(labels.get("region", ""), labels.get("zone", ""), labels.get("sub_zone", ""))
