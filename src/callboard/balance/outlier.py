"""Leaving endpoints out for a while because calls to them fail (the rules of gRPC's A50 and of Envoy).

Two rules: failures in a row put an endpoint out at once; and every ten seconds, among at least five endpoints with a hundred calls each,
one whose success rate lies 1.9 standard deviations below the mean. Each time lasts longer than the one before; sweeps without trouble make
it shorter again. Never more than a tenth of the endpoints are out (but one may always be), and never the last one.

It lives as long as the caller's handle on a service; `forget` tells it who is there. `report` may be called by several threads.
"""

from collections.abc import Collection
from math import sqrt
from typing import Final

from msgspec import Struct

from callboard.model.time import SECOND, Duration, Instant


class OutlierSettings(Struct, frozen=True, kw_only=True):
    """When an endpoint is put out, and for how long."""

    consecutive_failures: int = 5
    deviations: float = 1.9
    """How many standard deviations below the mean a success rate must lie."""
    hosts_min_count: int = 5
    calls_min_count: int = 100
    sweep_s: float = 10.0
    base_s: float = 30.0
    cap_s: float = 300.0
    out_max_share: float = 0.1


DEFAULT_SETTINGS: Final = OutlierSettings()


class _Record:
    """What is known of one endpoint. `since` is None while it is in."""

    __slots__ = ("calls", "failures", "row", "since", "times")

    def __init__(self) -> None:
        self.calls = 0
        self.failures = 0
        self.row = 0
        self.times = 0
        self.since: int | None = None


class Outliers:
    """Judges endpoints by the calls made to them."""

    def __init__(self, settings: OutlierSettings = DEFAULT_SETTINGS) -> None:
        self._settings = settings
        self._sweep = round(settings.sweep_s * SECOND)
        self._records: dict[str, _Record] = {}
        self._due: int | None = None
        self.ejected: frozenset[str] = frozenset()

    def forget(self, known: Collection[str]) -> None:
        """Only these are there now: others are forgotten, new ones begin without a past."""
        old = self._records
        self._records = {key: old.get(key) or _Record() for key in known}
        out = sorted((record.since, key) for key, record in self._records.items() if record.since is not None)
        for _, key in out[: max(0, len(out) - self._limit())]:  # fewer may be out of fewer: who was longest comes back
            self._records[key].since = None
        self._show()

    def report(self, key: str, now: int, *, ok: bool) -> bool:
        """A call to an endpoint ended. True when this puts it out at once. Unknown endpoints (gone meanwhile) are not judged."""
        record = self._records.get(key)
        if record is None:
            return False
        if self._due is None:
            self._due = now + self._sweep
        record.calls += 1
        if ok:
            record.row = 0
            return False
        record.failures += 1
        record.row += 1
        if record.row < self._settings.consecutive_failures or record.since is not None:
            return False
        return self._put_out(record, now)

    def sweep(self, now: int) -> bool:
        """Let back in whose time is over, and judge success rates. True when `ejected` changed. Call it at `deadline()` or later."""
        if self._due is None or now < self._due:
            return False
        before = self.ejected
        for record in self._low_rates():
            self._put_out(record, now)
        for record in list(self._records.values()):
            record.calls = record.failures = 0
            self._ease(record, now)
        self._show()
        busy = any(record.times for record in list(self._records.values()))
        self._due = now + self._sweep if busy else None
        return self.ejected != before

    def deadline(self) -> Instant | None:
        """When `sweep` next has something to do; None: not before the next report."""
        return None if self._due is None else Instant(self._due)

    def _low_rates(self) -> list[_Record]:
        """Those far below the mean, worst first."""
        settings = self._settings
        judged = [
            ((record.calls - record.failures) / record.calls, record)
            for record in list(self._records.values())
            if record.since is None and record.calls >= settings.calls_min_count
        ]
        if len(judged) < settings.hosts_min_count:
            return []
        mean = sum(rate for rate, _ in judged) / len(judged)
        deviation = sqrt(sum((rate - mean) ** 2 for rate, _ in judged) / len(judged))
        limit = mean - settings.deviations * deviation
        return [record for rate, record in sorted(judged, key=lambda pair: pair[0]) if rate < limit]

    def _put_out(self, record: _Record, now: int) -> bool:
        limit = self._limit()
        if len(self.ejected) >= limit:
            return False
        record.since = now
        self._show()
        if len(self.ejected) > limit:  # another thread put one out at the same moment
            record.since = None
            self._show()
            return False
        record.times += 1
        record.row = 0
        return True

    def _limit(self) -> int:
        count = len(self._records)
        return max(0, min(max(1, int(count * self._settings.out_max_share)), count - 1))

    def _ease(self, record: _Record, now: int) -> None:
        if record.since is None:
            record.times = max(0, record.times - 1)
        elif now >= record.since + self._span(record.times):
            record.since = None
            record.row = 0

    def _span(self, times: int) -> Duration:
        settings = self._settings
        return Duration(round(min(settings.base_s * times, max(settings.base_s, settings.cap_s)) * SECOND))

    def _show(self) -> None:
        self.ejected = frozenset(key for key, record in list(self._records.items()) if record.since is not None)
