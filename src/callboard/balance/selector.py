"""Which endpoints of a service a caller wants, with the reason for each. The server's `resolve` and the SDK ask the same function.

The order: tags and labels, version, then health, then zone. What a range of versions leaves may not be fit to be called; then the
fallback takes its place, if the caller named one. A preference for the latest or oldest version is judged among what is fit, so that a new
version whose first instance is still starting takes no calls away from the others.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from callboard.balance import health, subset, zones
from callboard.balance.endpoint import Endpoint
from callboard.balance.health import Fit

PANIC_SHARE: Final = 0.5
"""With less than this share of the serving endpoints passing, health is no longer believed."""

Judge = Callable[[Sequence[Endpoint]], Fit]


class Selector(Struct, frozen=True, kw_only=True):
    """What a caller wants."""

    tags: tuple[str, ...] = ()
    """All of them."""
    labels: Mapping[str, str] = {}
    """All of them, with exactly these values."""
    version: str = ""
    """A range: `^2.1`, `>=2,<3`."""
    prefer: Literal["any", "latest", "oldest"] = "any"
    fallback: str = "none"
    """When nothing of `version` is fit to be called: `none`, `any` version, or another range."""
    passing_only: bool = False
    zone: str = ""
    """Where the caller is: `zone` or `region/zone`. Empty: every zone is as good."""


class Judged(NamedTuple):
    """What became of one endpoint; the reason is for people."""

    endpoint: Endpoint
    kept: bool
    reason: str


class Selection(NamedTuple):
    """The endpoints to call, in the order given; their weights may be changed by the zone's part. `considered` has everyone."""

    kept: tuple[Endpoint, ...]
    considered: tuple[Judged, ...]
    fell_back: bool
    panic: bool


def select(selector: Selector, endpoints: Sequence[Endpoint]) -> Selection:
    """Those that are wanted and fit to be called; none when there is none. Raises `InvalidError` for a range that is none."""
    return _select(selector, endpoints, lambda pool: Fit(health.healthy(pool, passing_only=selector.passing_only)))


def select_or_panic(selector: Selector, endpoints: Sequence[Endpoint], panic_share: float = PANIC_SHARE) -> Selection:
    """The same for a caller who must call somebody: see `health.healthy_or_panic`. Never whom it would disturb: draining, starting."""
    return _select(selector, endpoints, lambda pool: health.healthy_or_panic(pool, panic_share, passing_only=selector.passing_only))


def _select(selector: Selector, endpoints: Sequence[Endpoint], judge: Judge) -> Selection:
    dropped: dict[str, str] = {}
    there = _sieve(endpoints, dropped, lambda endpoint: subset.lacks(endpoint, selector.tags, selector.labels))
    pool, fell_back = _of_version(selector, there, dropped)
    pool = _preferred(selector, pool, dropped)
    fit = judge(pool)
    kept = {endpoint.key for endpoint in fit.endpoints}
    _sieve(pool, dropped, lambda endpoint: "" if endpoint.key in kept else health.unfit(endpoint, passing_only=True))
    zoned = zones.zone_aware(fit.endpoints, selector.zone)
    if zoned.local:
        _sieve(fit.endpoints, dropped, lambda endpoint: _far(endpoint, selector.zone))
    considered = tuple(
        Judged(endpoint, endpoint.key not in dropped, dropped.get(endpoint.key) or endpoint.status.value) for endpoint in endpoints
    )
    return Selection(zoned.endpoints, considered, fell_back, fit.panic)


def _of_version(selector: Selector, there: tuple[Endpoint, ...], dropped: dict[str, str]) -> tuple[tuple[Endpoint, ...], bool]:
    """The endpoints of the range, or those of the fallback when some of these are fit to be called and none of the former."""
    if not selector.version:
        return there, False
    wanted = subset.in_range(there, selector.version)
    instead = _fallback(selector, there)
    fell_back = not _any_fit(selector, there, wanted) and _any_fit(selector, there, instead)
    pool = instead if fell_back else wanted
    asked = f"{selector.version} or {selector.fallback}" if fell_back else selector.version

    def why(endpoint: Endpoint) -> str:
        if endpoint.version in pool:
            return ""
        if endpoint.version in wanted:
            return health.unfit(endpoint, passing_only=selector.passing_only)
        return f"version {endpoint.version} is not {asked}" if endpoint.version else f"has no version, {asked} is wanted"

    return _sieve(there, dropped, why), fell_back


def _fallback(selector: Selector, there: Sequence[Endpoint]) -> frozenset[str]:
    """The versions that are taken instead."""
    if selector.fallback == "none":
        return frozenset()
    if selector.fallback == "any":
        return frozenset(endpoint.version for endpoint in there)
    return subset.in_range(there, selector.fallback, "fallback")


def _any_fit(selector: Selector, there: Sequence[Endpoint], versions: frozenset[str]) -> bool:
    return any(endpoint.version in versions and not health.unfit(endpoint, passing_only=selector.passing_only) for endpoint in there)


def _preferred(selector: Selector, pool: tuple[Endpoint, ...], dropped: dict[str, str]) -> tuple[Endpoint, ...]:
    """The endpoints of the latest or oldest version that has some which are fit to be called, or at least serve."""
    if selector.prefer == "any" or not pool:
        return pool
    fit = health.healthy(pool, passing_only=selector.passing_only) or tuple(filter(health.serves, pool)) or pool
    versions = subset.foremost(fit, latest=selector.prefer == "latest")
    return _sieve(pool, dropped, lambda endpoint: "" if endpoint.version in versions else _beside(endpoint, selector, versions))


def _beside(endpoint: Endpoint, selector: Selector, versions: frozenset[str]) -> str:
    unfit = health.unfit(endpoint, passing_only=selector.passing_only)
    return unfit or f"version {endpoint.version or '(none)'} is not the {selector.prefer}, {min(versions)}"


def _far(endpoint: Endpoint, zone: str) -> str:
    return "" if zones.in_zone(endpoint, zone) else f"zone {endpoint.locality.zone or '(none)'}: {zone} has enough"


def _sieve(endpoints: Sequence[Endpoint], dropped: dict[str, str], why: Callable[[Endpoint], str]) -> tuple[Endpoint, ...]:
    """Those that stay; of the others, note why they do not."""
    kept = []
    for endpoint in endpoints:
        reason = why(endpoint)
        if reason:
            dropped[endpoint.key] = reason
        else:
            kept.append(endpoint)
    return tuple(kept)
