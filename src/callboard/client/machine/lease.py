"""When a registration says what to its registry: one command at a time, decided from time alone.

Whoever keeps the registration asks `due`, does what it says, and tells how it ended; between two commands it may sleep until `deadline`.
A lease lives as long as its registration, over all failures of the registry.

Guarantees, each with a test of its name: **FullAfterGap** (after a beat that failed, or a silence of a whole lease, the next contact is a
full registration), **ForgottenAtOnce**, **NeverSilent** (while it is answered, no pause between two contacts is as long as the lease),
**TurnsAtOnce** (a new status does not wait for the next beat), **DrainingStays** (also over a new registration), **LeavingWins** (nothing
is said after the end, and nothing before it but the goodbye), **RefusedIsSlow** (what was refused is asked again, but rarely).
"""

from enum import Enum
from typing import Final, Literal

from callboard.client.machine.pacing import Pace
from callboard.model.time import MILLISECOND, Instant
from callboard.wire.native import Beat, Reported

State = Literal["registering", "registered", "lost", "draining", "refused", "ended"]

REFUSED_RETRY_MS: Final = 30_000
"""What was refused once is refused again, until somebody changes something: a token, a rule, a limit."""
TURNS_APART_MS: Final = 100
"""Turns of status that follow each other faster travel together."""


class Command(Enum):
    """What is to be said now."""

    REGISTER = "register"
    BEAT = "beat"
    DRAIN = "drain"
    DEREGISTER = "deregister"


class Lease:
    """One registration's dealings with its registry. Without a time limit (`lease_ms` 0) it is only registered, and never renewed."""

    def __init__(self, now: int, lease_ms: int) -> None:
        self.error: Exception | None = None
        """Why the last contact failed; None after one that did not."""
        self.failures = 0
        """In a row."""
        self.renewals = 0
        """How often it was registered again."""
        self.draining = False
        self.lease_ms = lease_ms
        self._lease_ns = lease_ms * MILLISECOND
        self._pace = Pace(lease_ms or REFUSED_RETRY_MS)
        self._next: int | None = now
        self._heard: int | None = None
        self._known = False
        self._sure = False
        self._perhaps = False
        """A registration was sent that nobody answered."""
        self._hidden = False
        self._refused = False
        self._leaving = False
        self._ended = False
        self._beat = Beat(output="")
        self._told: Beat | None = None
        self._told_at = now

    # -- what is so

    @property
    def state(self) -> State:
        """In one word; the first that holds."""
        if self._ended:
            return "ended"
        if self._refused:
            return "refused"
        if self.draining:
            return "draining"
        if self._heard is None:
            return "registering"
        return "registered" if self._known else "lost"

    @property
    def registered_once(self) -> bool:
        """Whether the registry was heard to know of it."""
        return self._heard is not None

    @property
    def hidden(self) -> bool:
        """Whether the registry has confirmed that it is draining."""
        return self._hidden

    @property
    def beat(self) -> Beat:
        """The status that the next contact carries. An empty output is told once, and understood from then on."""
        heard = self._told == self._beat and not self._beat.output
        return Beat(status=self._beat.status) if heard else self._beat

    def deadline(self) -> Instant | None:
        """When `due` will next have something to say; None: not before something happens."""
        if self._ended or self._next is None:
            return None
        return Instant(self._next)

    def due(self, now: int) -> Command | None:
        """What is to be said now. Say it, then call `answered`, `forgotten`, `failed` or `refused`."""
        if self._ended:
            return None
        if self._leaving:
            return Command.DEREGISTER if self.registered_once else Command.REGISTER
        if self._next is None or now < self._next:
            return None
        if not self._known or self._lapsed(now):
            return Command.REGISTER
        if self.draining and not self._hidden:
            return Command.DRAIN
        return Command.BEAT if self._lease_ns else None

    # -- how it went

    def answered(self, command: Command, sent: int, chance: float) -> None:
        """It was heard; `sent` is when it was sent. A registration is followed by a beat, for a check that was there keeps its status."""
        self.error, self.failures, self._refused = None, 0, False
        if command is Command.DEREGISTER:
            self._end()
            return
        self._heard = sent
        if command is Command.REGISTER:
            self.renewals += self._sure
            self._known = self._sure = True
            self._hidden = self.draining
            self._told = None
        elif command is Command.DRAIN:
            self._hidden = True
        else:
            self._told, self._told_at = self._beat, sent
        self._next = self._following(sent, chance)

    def forgotten(self, now: int, chance: float, error: Exception) -> None:
        """The registry does not know it, or not as it was registered: at once again, unless it never knew it."""
        if self._told is None or self._leaving:
            self.failed(now, chance, error)
            return
        self._known = False
        self._told = None
        self._next = now

    def failed(self, now: int, chance: float, error: Exception, retry_after_ms: int = 0, *, perhaps: bool = False) -> None:
        """No answer, or one that says: later. `perhaps`: it was perhaps done all the same."""
        self.error, self.failures, self._known = error, self.failures + 1, False
        self._perhaps = self._perhaps or perhaps
        if self._leaving:
            self._end()
            return
        wait_ms = max(self._pace.failed(chance), min(retry_after_ms, self._pace.interval_ms))
        self._next = now + wait_ms * MILLISECOND

    def refused(self, now: int, error: Exception) -> None:
        """It was understood, and is not wanted like this."""
        self.error, self.failures, self._known, self._refused = error, self.failures + 1, False, True
        if self._leaving:
            self._end()
            return
        self._next = now + REFUSED_RETRY_MS * MILLISECOND

    # -- what is wanted

    def tell(self, now: int, status: Reported, output: str) -> None:
        """How the instance is from now on."""
        if (status, output) == (self._beat.status, self._beat.output):
            return
        self._beat = Beat(status=status, output=output)
        if self._known and self._lease_ns:
            turn = max(now, self._told_at + TURNS_APART_MS * MILLISECOND)
            self._next = turn if self._next is None else min(turn, self._next)

    def drain(self, now: int) -> None:
        """Hide it from new picks, from now on."""
        if not self.draining:
            self.draining, self._hidden = True, False
            self._next = now

    def leave(self) -> None:
        """Sign it out; nothing else counts any more. One that is perhaps known is registered first, hidden: only then it is clear where."""
        if not self.registered_once:
            self.draining = True
            if not self._perhaps:
                self._end()
        self._leaving = True

    def hand_over(self) -> None:
        """It ends here and goes on elsewhere: nothing is signed out."""
        self._end()

    # -- inside

    def _following(self, sent: int, chance: float) -> int | None:
        if self.draining and not self._hidden:
            return sent
        if not self._lease_ns:
            return None
        if self._told != self._beat:
            return sent
        return sent + self._pace.succeeded(chance) * MILLISECOND

    def _lapsed(self, now: int) -> bool:
        return bool(self._lease_ns) and self._heard is not None and now - self._heard >= self._lease_ns

    def _end(self) -> None:
        self._ended = True
