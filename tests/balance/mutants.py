"""Pickers with one fault each, made by wrapping a sound one. The suite must name the guarantee that the fault breaks."""

from collections.abc import Callable, Collection, Sequence

from msgspec.structs import replace

from callboard.balance.endpoint import Endpoint
from callboard.balance.p2c import P2c
from callboard.balance.peak_ewma import PeakEwma
from callboard.balance.picker import Picked, Picker
from callboard.balance.weighted_random import WeightedRandom
from callboard.testing.picker_suite_kit import Make


class Passing:
    """No fault: everything goes to the picker behind."""

    behind: Callable[[Sequence[Endpoint]], Picker] = P2c

    def __init__(self, endpoints: Sequence[Endpoint], picker: Picker | None = None) -> None:
        self.picker = picker if picker is not None else self.behind(endpoints)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return self.picker.endpoints

    def pick(self, now: int, chance: float, avoid: Collection[str] = ()) -> Picked | None:
        return self.picker.pick(now, chance, avoid)

    def successor(self, endpoints: Sequence[Endpoint]) -> Picker:
        return type(self)(endpoints, self.picker.successor(endpoints))

    def in_flight(self, key: str) -> int:
        return self.picker.in_flight(key)


class CopiesEndpoints(Passing):
    def pick(self, now: int, chance: float, avoid: Collection[str] = ()) -> Picked | None:
        picked = self.picker.pick(now, chance, avoid)
        return picked and Picked(replace(picked.endpoint))


class NeverTheLast(Passing):
    def pick(self, now: int, chance: float, avoid: Collection[str] = ()) -> Picked | None:
        given = self.endpoints
        return self.picker.pick(now, chance, {*avoid, given[-1].key} if len(given) > 1 else avoid)


class FailsOfNone(Passing):
    def pick(self, now: int, chance: float, avoid: Collection[str] = ()) -> Picked | None:
        if not self.endpoints:
            raise LookupError("no endpoints")
        return self.picker.pick(now, chance, avoid)


class AlwaysTheFirst(Passing):
    def pick(self, now: int, chance: float, avoid: Collection[str] = ()) -> Picked | None:
        return self.picker.pick(now, 0.0, avoid)


class AvoidsNobody(Passing):
    def pick(self, now: int, chance: float, avoid: Collection[str] = ()) -> Picked | None:
        return self.picker.pick(now, chance)


class AvoidsOnlyWhileOthersAreLeft(Passing):
    def pick(self, now: int, chance: float, avoid: Collection[str] = ()) -> Picked | None:
        return self.picker.pick(now, chance, avoid) or self.picker.pick(now, chance)


class TheNextOneInstead(Passing):
    """Who is avoided leaves its share to its neighbour."""

    def pick(self, now: int, chance: float, avoid: Collection[str] = ()) -> Picked | None:
        left = [place for place, endpoint in enumerate(self.endpoints) if endpoint.key not in avoid]
        if not avoid or not left:
            return self.picker.pick(now, chance, avoid)
        place = int(chance * len(self.endpoints))
        following = next((other for other in left if other >= place), left[0])
        return self.picker.pick(now, chance, {endpoint.key for endpoint in self.endpoints} - {self.endpoints[following].key})


class EverybodyAlike(Passing):
    def __init__(self, endpoints: Sequence[Endpoint], picker: Picker | None = None) -> None:
        super().__init__([replace(endpoint, weight=1) for endpoint in endpoints], picker)
        self.given = tuple(endpoints)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return self.given


class BySquares(Passing):
    behind = WeightedRandom

    def __init__(self, endpoints: Sequence[Endpoint], picker: Picker | None = None) -> None:
        super().__init__([replace(endpoint, weight=endpoint.weight**2) for endpoint in endpoints], picker)


class ZeroIsOut(Passing):
    def pick(self, now: int, chance: float, avoid: Collection[str] = ()) -> Picked | None:
        return self.picker.pick(now, chance, {*avoid, *(endpoint.key for endpoint in self.endpoints if not endpoint.weight)})


class KeepsTheList(Passing):
    def __init__(self, endpoints: Sequence[Endpoint], picker: Picker | None = None) -> None:
        super().__init__(endpoints, picker)
        self.list = endpoints

    def pick(self, now: int, chance: float, avoid: Collection[str] = ()) -> Picked | None:
        return P2c(self.list).pick(now, chance, avoid)


class OnePickerForEver(Passing):
    """The successor takes its predecessor along."""

    def successor(self, endpoints: Sequence[Endpoint]) -> Picker:
        self.picker = self.picker.successor(endpoints)
        return self


class Tally(Picked, eq=False):
    counts: dict[str, int]

    def done(self, now: int, *, ok: bool = True) -> None:
        self.counts[self.endpoint.key] -= 1


class Once(Tally, eq=False):
    closed: bool = False

    def done(self, now: int, *, ok: bool = True) -> None:
        if not self.closed:
            self.closed = True
            before = self.counts[self.endpoint.key]
            self.counts[self.endpoint.key] = _between(before) - 1


class OnlyIfWell(Once, eq=False):
    def done(self, now: int, *, ok: bool = True) -> None:
        if ok:
            super().done(now)


def _between(number: int) -> int:
    """A while in which another thread may come."""
    for _ in range(30):
        pass
    return number


class Counting(Passing):
    """Counts with numbers."""

    handed_out: type[Tally] = Once

    def __init__(self, endpoints: Sequence[Endpoint], picker: Picker | None = None, counts: dict[str, int] | None = None) -> None:
        super().__init__(endpoints, picker)
        self.counts = counts if counts is not None else {}

    def pick(self, now: int, chance: float, avoid: Collection[str] = ()) -> Picked | None:
        picked = self.picker.pick(now, chance, avoid)
        if picked is None:
            return None
        before = self.counts.get(picked.endpoint.key, 0)
        self.counts[picked.endpoint.key] = _between(before) + 1
        return self.handed_out(picked.endpoint, self.counts)

    def successor(self, endpoints: Sequence[Endpoint]) -> Picker:
        return type(self)(endpoints, self.picker.successor(endpoints), self.counts)

    def in_flight(self, key: str) -> int:
        return self.counts.get(key, 0)


class DoneTwiceCountsTwice(Counting):
    handed_out = Tally


class FailuresStayOpen(Counting):
    handed_out = OnlyIfWell


class NothingUnderWay(Passing):
    def in_flight(self, key: str) -> int:
        return 0


class SuccessorOfTheOldOnes(Passing):
    def successor(self, endpoints: Sequence[Endpoint]) -> Picker:
        return type(self)(self.endpoints, self.picker.successor(self.endpoints))


class BeginsAnew(Passing):
    def successor(self, endpoints: Sequence[Endpoint]) -> Picker:
        return type(self)(endpoints)


class LooksAway(Passing):
    """A failed call is as good as another."""

    behind = PeakEwma

    def pick(self, now: int, chance: float, avoid: Collection[str] = ()) -> Picked | None:
        picked = self.picker.pick(now, chance, avoid)
        return picked and AllWell(picked.endpoint, picked)


class AllWell(Picked, eq=False):
    picked: Picked

    def done(self, now: int, *, ok: bool = True) -> None:
        self.picked.done(now)


MUTANTS: dict[str, tuple[str, Make]] = {
    "picks a copy": ("Given", CopiesEndpoints),
    "never picks the last": ("Given", NeverTheLast),
    "fails when there is nobody": ("Given", FailsOfNone),
    "does not use its chance": ("Given", AlwaysTheFirst),
    "avoids nobody": ("Avoided", AvoidsNobody),
    "comes back to who is avoided": ("Avoided", AvoidsOnlyWhileOthersAreLeft),
    "gives the share of who is avoided to its neighbour": ("Avoided", TheNextOneInstead),
    "does not look at weights": ("Weights", EverybodyAlike),
    "weights twice": ("Weights", BySquares),
    "weight 0 is never picked": ("Weights", ZeroIsOut),
    "keeps the caller's list": ("Fixed", KeepsTheList),
    "changes with its successor": ("Fixed", OnePickerForEver),
    "done twice counts twice": ("Closed", DoneTwiceCountsTwice),
    "failed calls stay open": ("Closed", FailuresStayOpen),
    "counts nothing": ("Closed", NothingUnderWay),
    "the successor has the old endpoints": ("Successor", SuccessorOfTheOldOnes),
    "the successor begins anew": ("Successor", BeginsAnew),
    "who is gone is remembered": ("Successor", Counting),
    "loses count between threads": ("Threads", Counting),
    "a failure looks fast": ("Sinkhole", LooksAway),
}
