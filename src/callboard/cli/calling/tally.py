"""What became of calls: counted by instance while they run, as figures at the end. Knows no clock."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec import Struct

_NS_PER_MS: Final = 1_000_000


class Tried(NamedTuple):
    """One attempt at one instance. `status` 0: no answer, and `reason` says why."""

    instance: str
    """`node/id`."""
    address: str
    status: int
    elapsed_ns: int
    reason: str = ""


class Called(NamedTuple):
    """One call with its attempts; none when nobody was there to be asked."""

    tries: tuple[Tried, ...]
    elapsed_ns: int
    reason: str = ""
    """Why it failed; empty when it did not."""


class Figures(Struct, frozen=True, kw_only=True):
    """Of one instance, or of all calls. Latencies in milliseconds, of what was answered and of what was not."""

    instance: str
    address: str = ""
    calls: int
    failed: int
    p50_ms: float
    p99_ms: float
    max_ms: float


class Report(Struct, frozen=True, kw_only=True):
    """All of a run. An instance's `calls` are attempts: more than the total when some were tried again elsewhere."""

    service: str
    method: str
    path: str
    total: Figures
    retried: int
    instances: tuple[Figures, ...]
    reasons: dict[str, int]
    """Why calls failed, and how many each."""


def report(service: str, method: str, path: str, calls: Sequence[Called]) -> Report:
    """The figures of these calls."""
    by_instance: dict[str, list[Tried]] = defaultdict(list)
    reasons: dict[str, int] = defaultdict(int)
    for call in calls:
        for tried in call.tries:
            by_instance[tried.instance].append(tried)
        if call.reason:
            reasons[call.reason] += 1
    return Report(
        service=service,
        method=method,
        path=path,
        total=_figures("total", "", [call.elapsed_ns for call in calls], sum(bool(call.reason) for call in calls)),
        retried=sum(len(call.tries) > 1 for call in calls),
        instances=tuple(_of_instance(instance, by_instance[instance]) for instance in sorted(by_instance)),
        reasons=dict(sorted(reasons.items(), key=lambda counted: -counted[1])),
    )


def failed(status: int) -> bool:
    """Whether an answer is none that a caller wants; 0 is no answer."""
    return status == 0 or status >= 400


def _of_instance(instance: str, tries: Sequence[Tried]) -> Figures:
    return _figures(instance, tries[-1].address, [tried.elapsed_ns for tried in tries], sum(failed(tried.status) for tried in tries))


def _figures(instance: str, address: str, elapsed_ns: list[int], count_failed: int) -> Figures:
    elapsed_ns.sort()
    return Figures(
        instance=instance, address=address, calls=len(elapsed_ns), failed=count_failed, p50_ms=_quantile_ms(elapsed_ns, 0.5),
        p99_ms=_quantile_ms(elapsed_ns, 0.99), max_ms=_quantile_ms(elapsed_ns, 1.0),
    )  # fmt: skip


def _quantile_ms(ordered: Sequence[int], share: float) -> float:
    """The nearest rank: the smallest value that at least `share` of all do not exceed."""
    if not ordered:
        return 0.0
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)] / _NS_PER_MS, 3)
