"""Which endpoints are fit to be called, and what is done when too few are."""

from collections.abc import Sequence
from typing import NamedTuple

from callboard.balance.endpoint import Endpoint
from callboard.model.check import Status
from callboard.model.instance import Phase


class Fit(NamedTuple):
    """The endpoints that are left, and whether that took a panic: health was overlooked in part or as a whole."""

    endpoints: tuple[Endpoint, ...]
    panic: bool = False


def serves(endpoint: Endpoint) -> bool:
    """It takes calls, well or not: neither starting, nor draining, nor in maintenance."""
    return endpoint.phase is Phase.SERVING and endpoint.status is not Status.MAINTENANCE


def healthy(endpoints: Sequence[Endpoint], *, passing_only: bool = False) -> tuple[Endpoint, ...]:
    """Those that serve and pass; with warnings too, unless `passing_only`."""
    return tuple(endpoint for endpoint in endpoints if unfit(endpoint, passing_only=passing_only) == "")


def healthy_or_panic(endpoints: Sequence[Endpoint], panic_share: float, *, passing_only: bool = False) -> Fit:
    """Those that pass; when they are less than `panic_share` of all that serve, with warnings too (not when
    `passing_only`); when still less, all that serve.

    So many checks that fail at once tell more about the checks than about the endpoints, and calls to the few left would end these too.
    """
    serving = tuple(endpoint for endpoint in endpoints if serves(endpoint))
    enough = len(serving) * panic_share
    passing = healthy(serving, passing_only=True)
    if passing and len(passing) >= enough:
        return Fit(passing)
    warning = () if passing_only else healthy(serving)
    if warning and len(warning) >= enough:
        return Fit(warning)
    return Fit(serving, panic=bool(serving))


def unfit(endpoint: Endpoint, *, passing_only: bool = False) -> str:
    """Why an endpoint should not be called, in one word; empty when it may be."""
    if endpoint.phase is not Phase.SERVING:
        return endpoint.phase.value
    if endpoint.status is Status.PASSING or (endpoint.status is Status.WARNING and not passing_only):
        return ""
    return endpoint.status.value
