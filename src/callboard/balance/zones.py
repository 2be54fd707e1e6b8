"""Staying in the caller's zone while that zone carries its part of the load.

Callers are taken to be spread evenly over the zones: a zone whose endpoints have less than their even share of all weights cannot serve
its callers alone, and hands the rest on to the other zones.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from callboard.balance.endpoint import Endpoint

ENDPOINTS_MIN_COUNT: Final = 3
"""With fewer in its zone, a caller takes those of all zones alike."""
SHARE_MIN: Final = 0.7
"""Of an even share of all weights: with more, a zone serves its callers alone."""
_FINENESS: Final = 1_000
"""Weights are multiplied by it before a part of them is taken."""


class Zoned(NamedTuple):
    """Where calls go. `local`: only to the zone of the caller."""

    endpoints: tuple[Endpoint, ...]
    local: bool


def in_zone(endpoint: Endpoint, zone: str) -> bool:
    """Whether an endpoint is in a zone: `zone`, `region/zone` or `region/zone/sub_zone`."""
    locality = endpoint.locality
    if zone == locality.zone:
        return True
    parts = zone.split("/")
    return len(parts) > 1 and parts == list(locality[: len(parts)])


def zone_aware(endpoints: Sequence[Endpoint], zone: str) -> Zoned:
    """The endpoints of the caller's zone when there are enough; else those of all zones, the zone's own with what it can carry."""
    everyone = Zoned(tuple(endpoints), local=False)
    mine = tuple(endpoint for endpoint in endpoints if zone and in_zone(endpoint, zone))
    if len(mine) < ENDPOINTS_MIN_COUNT or len(mine) == len(endpoints):
        return everyone
    zones = {endpoint.locality[:2] for endpoint in endpoints}
    held, total = _weight(mine), _weight(endpoints)
    share = total / len(zones)
    if held >= SHARE_MIN * share:
        return Zoned(mine, local=True)
    # Of `share` that its callers bring, the zone serves `held`; the others get the rest in proportion to their weights.
    handed_on = (share - held) / (total - held)
    return Zoned(tuple(_scaled(endpoint, 1.0 if in_zone(endpoint, zone) else handed_on) for endpoint in endpoints), local=False)


def _scaled(endpoint: Endpoint, part: float) -> Endpoint:
    return replace(endpoint, weight=max(1, round(endpoint.weight * _FINENESS * part)) if endpoint.weight else 0)


def _weight(endpoints: Sequence[Endpoint]) -> int:
    return sum(endpoint.weight for endpoint in endpoints)
