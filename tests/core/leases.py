"""A leader's liveness under test, in virtual time: checks, and a driver that looks when it is told to and lets expiries land."""

from collections.abc import Callable, Iterable

from callboard.core.catalog.changes import CheckChange
from callboard.core.doors import UNKNOWN
from callboard.core.liveness import CheckKey, Liveness, LivenessSettings
from callboard.model.check import Check, Definition, Status, TtlCheck
from callboard.model.time import SECOND, Instant, Timestamp, seconds

LOOKS_MAX_COUNT = 2_000
"""So often the driver may look within one step; more is spinning."""
UNPRESERVED = LivenessSettings(preservation_share=1.0)


def lease(name: str, definition: Definition, status: Status = Status.PASSING, nonce: str = "r1", turned: int = 0) -> Check:
    """A check of an instance."""
    return Check(
        namespace="public", node="n1", id=name, definition=definition, status=status, nonce=nonce, instance="a", turned=Timestamp(turned)
    )


def key(name: str) -> CheckKey:
    """Its key."""
    return "public", "n1", name


class Leases:
    """Liveness and its driver. `expired` and `reaped` say what was told, and after how many seconds."""

    def __init__(self, settings: LivenessSettings = UNPRESERVED, *, limit: int = 1_000) -> None:
        self.liveness = Liveness(settings)
        self.start = self.now = Instant(1_000 * SECOND)
        self.limit = limit
        self.covered: Callable[[], Instant] = lambda: self.now
        self.lands = True
        self.looks = 0
        self.checks: dict[CheckKey, Check] = {}
        self.expired: list[tuple[float, str]] = []
        self.reaped: list[tuple[float, str]] = []

    @property
    def elapsed_s(self) -> float:
        """Since the start, without the tick by which deadlines are noticed late."""
        return round((self.now - self.start) / SECOND, 1)

    @property
    def names(self) -> list[str]:
        """What expired, in order."""
        return [name for _, name in self.expired]

    # -- what happens

    def put(self, *checks: Check) -> None:
        """Checks are new or changed."""
        for check in checks:
            place = check.namespace, check.node, check.id
            self.liveness.take([CheckChange(self.checks.get(place), check)], self.now)
            self.checks[place] = check

    def register(self, names: Iterable[str], ttl_s: float = 10, reap_s: float = 0) -> None:
        """Passing TTL checks."""
        self.put(*(lease(name, TtlCheck(seconds(ttl_s), deregister_after=seconds(reap_s))) for name in names))

    def turn(self, name: str, status: Status) -> None:
        """A check turns."""
        before = self.checks[key(name)]
        self.put(lease(name, before.definition, status, before.nonce, before.turned + 1))

    def remove(self, *names: str) -> None:
        """Checks go."""
        for name in names:
            self.liveness.take([CheckChange(self.checks.pop(key(name)), None)], self.now)

    def beat(self, *names: str, door: int = UNKNOWN, age_s: float = 0) -> bool:
        """Signs of life; whether all were heard."""
        heard = [self.liveness.beat(key(name), Instant(self.now - seconds(age_s)), door) for name in names]
        return all(heard)

    # -- time

    def wait(self, span_s: float) -> None:
        """Let time pass; the driver looks when the liveness asks for it."""
        end = Instant(self.now + seconds(span_s))
        looks = self.looks
        while (deadline := self.liveness.deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.look()
            assert self.looks - looks <= LOOKS_MAX_COUNT, "the driver spins"
        self.now = end

    def look(self) -> None:
        """One turn of the driver."""
        self.looks += 1
        due = self.liveness.due(self.now, self.covered(), self.limit)
        for place in due.expired:
            self.expired.append((self.elapsed_s, place[2]))
            command = self.liveness.expiry(self.checks[place], self.now)
            assert (command.target.id, command.nonce) == (place[2], self.checks[place].nonce)
            if self.lands:
                self.turn(place[2], Status.CRITICAL)
        for place in due.reaped:
            self.reaped.append((self.elapsed_s, place[2]))
            assert self.liveness.reap(self.checks[place], self.now).turned == self.checks[place].turned
            if self.lands:
                self.remove(place[2])

    def keep(self, names: Iterable[str], span_s: int, every_s: int = 1) -> None:
        """Let time pass while some send signs of life."""
        alive = list(names)
        for _ in range(span_s // every_s):
            self.beat(*alive)
            self.wait(every_s)
