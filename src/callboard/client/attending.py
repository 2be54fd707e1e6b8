"""What a keeper's thread does: it passes the gate, takes the seat, says what the lease wants said, and leaves.

Everything about one registration is decided here, in one thread and in order. Others put messages into the mail, which even a signal
handler may do. It lives as long as its thread.
"""

import logging
import math
import random
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final, Protocol

from msgspec import Struct

from callboard.client.errors import ClientError
from callboard.client.looking import Gate, LoopWatch, NotReadyError
from callboard.client.machine.drain import Drain
from callboard.client.machine.lease import REFUSED_RETRY_MS, Lease
from callboard.client.machine.pacing import Pace
from callboard.client.seat import Note, Seat
from callboard.client.showing import Shown
from callboard.client.speaking import Desk, Speaker
from callboard.model.errors import InvalidError
from callboard.model.time import MILLISECOND, SECOND
from callboard.wire.native import Registration, Reported, Written

_log: Final = logging.getLogger("callboard.client")
GATE_FIRST_MS: Final = 100
GATE_EVERY_MS: Final = 1_000
"""A gate that stays closed is tried less and less often, down to this: each try is a line in the log of who is asked."""
_GATE_SLOWER: Final = 1.2
TOUCH_EVERY_S: Final = 600
SILENT_SHARE: Final = 0.8
"""Of a lease: an owner that did nothing for so long has stopped. More than a beat and its time limit take."""
LOOP_BLOCKED: Final = "event loop blocked"
_HIDE_MAX_COUNT: Final = 3
"""Hide; if it is not known any more, sign in hidden."""
_MESSAGES_MAX_COUNT: Final = 1_000
"""As many are taken from the mail before something is said again."""


class Plan(Protocol):
    """What is kept. Each is asked in the keeper's thread."""

    service: str
    lease_ms: int
    """0: nothing needs renewing."""

    def registration(self) -> Registration:
        """Raises `InvalidError`, and `ClientError` when it cannot be known now."""
        ...

    def gate(self, registration: Registration) -> Gate | None:
        """What must be passed first."""
        ...

    def seat(self, registration: Registration) -> Seat | None:
        """The place at an instance that processes share."""
        ...


class Times(Struct, frozen=True, kw_only=True):
    """A keeper's limits; `callboard.client.board_settings` explains them."""

    timeout_ms: int = 10_000
    port_wait_ms: int = 60_000
    blocked_after_ms: int = 5_000
    takeover_ms: int = 500
    drain_notice_ms: int = 2_000
    drain_finish_ms: int = 25_000


class _LeavingError(Exception):
    """Told to leave before anything was said. Never leaves this module."""


class Attendant:
    """One registration's thread."""

    def __init__(self, desk: Desk, plan: Plan, times: Times, shown: Shown, *, insist: bool = True) -> None:
        """`insist`: go on after a first failure; without, it ends with it."""
        self.registration: Registration | None = None
        """As it was made; None before the address is known."""
        self.finished = False
        """It left when all work had ended, or goes on elsewhere."""
        self.mail: SimpleQueue[Callable[[], None]] = SimpleQueue()
        """What others want done here."""
        self.work: list[None] = []
        """What is under way: appending and popping is all that other threads do with it."""
        self._desk = desk
        self._plan = plan
        self._times = times
        self._shown = shown
        self._insist = insist
        self._lease = Lease(time.monotonic_ns(), plan.lease_ms)
        self._speaker: Speaker | None = None
        self._seat: Seat | None = None
        self._drain: Drain | None = None
        self._watch: LoopWatch | None = None
        self._leaving = False
        self._stands_in = False
        self._said: tuple[Reported, str] = ("passing", "")
        self._touched = 0

    @property
    def written(self) -> Written | None:
        """What the last sign-in was answered with."""
        return self._speaker.written if self._speaker is not None else None

    @property
    def draining(self) -> bool:
        """Whether it waits for work to end."""
        return self._drain is not None

    # -- before the first word

    def run(self) -> None:
        """To the end."""
        try:
            registration = self._prepare()
            self._pass_gate(registration)
            self._take_seat(registration)
            self._keep()
        except _LeavingError:
            self._sign_out()
        except Exception as error:  # noqa: BLE001  # it is logged and shown: nobody else would see a thread end
            _log.exception("%s is not kept signed in any more", self._shown.name)
            self._shown.error = error
        finally:
            if self._seat is not None:
                self._seat.give_up()
            self._shown.turn("ended", self._shown.error)

    def _prepare(self) -> Registration:
        """The registration, when its address can be known."""
        self._shown.tell("starting")
        pace = Pace(self._plan.lease_ms or REFUSED_RETRY_MS)
        while True:
            try:
                registration = self._plan.registration()
            except ClientError as error:
                self._shown.turn("starting", error)
                if not self._shown.troubled:
                    self._shown.complain(logging.WARNING, f"{self._shown.name} cannot be signed in yet: {error}")
                wait_ms = pace.failed(random.random())
            except InvalidError as error:
                self._shown.turn("refused", error)
                self._shown.complain(logging.ERROR, f"{self._shown.name} cannot be signed in: {error}")
                wait_ms = REFUSED_RETRY_MS
            else:
                self.registration, self._shown.instance = registration, registration.id
                self._shown.turn("starting")
                return registration
            self._pause(wait_ms)

    def _pass_gate(self, registration: Registration) -> None:
        gate = self._plan.gate(registration)
        if gate is None:
            return
        patience_s = self._times.port_wait_ms / 1000
        loud = time.monotonic() + patience_s
        wait_ms: float = GATE_FIRST_MS
        while problem := gate.closed():
            self._shown.turn("starting", NotReadyError(problem))
            if time.monotonic() >= loud:
                loud = math.inf
                self._shown.complain(logging.ERROR, f"{self._shown.name} is still not signed in after {patience_s:g} s: {problem}")
            self._pause(round(wait_ms))
            wait_ms = min(wait_ms * _GATE_SLOWER, GATE_EVERY_MS)
        self._shown.turn("starting")
        if gate.loopback_only:
            _log.warning("%s accepts on loopback, but not at %s, which others are told", self._shown.name, registration.address)

    def _take_seat(self, registration: Registration) -> None:
        self._speaker = Speaker(self._desk, self._lease, registration, self._times.timeout_ms)
        seat = self._seat = self._plan.seat(registration)
        if seat is None:
            return
        while not seat.take():
            self._shown.turn("waiting")
            self._stand_in(self._speaker, seat)
            self._pause(self._times.takeover_ms)
        if not seat.fresh:
            self._speaker.taken_over(hidden_by_leaving=seat.left is not None and seat.left.draining)

    def _stand_in(self, speaker: Speaker, seat: Seat) -> None:
        """An owner that was stopped holds its place and says nothing: say it meanwhile. That both say it does no harm."""
        silent = seat.silent_s() * 1000 > SILENT_SHARE * self._plan.lease_ms
        if silent != self._stands_in:
            self._stands_in = silent
            _log.warning("the process that keeps %s %s", self._shown.name, "does nothing: this one stands in" if silent else "is back")
        if silent and (command := self._lease.due(time.monotonic_ns())) is not None:
            speaker.taken_over(hidden_by_leaving=False)
            speaker.say(command)

    # -- while it is signed in

    def _keep(self) -> None:
        lease, speaker = self._lease, self._speaker
        assert speaker is not None
        self._judge()
        while self._goes_on():
            now = time.monotonic_ns()
            self._look(now)
            if (command := lease.due(now)) is not None:
                before, renewals = lease.state, lease.renewals
                self._show_alive()
                speaker.say(command)
                self._show_alive()
                self._follow(before, renewed=lease.renewals > renewals)
            elif self._drain is not None and self._drain.over(now, len(self.work)):
                self.finished = not self.work
                break
            else:
                self._receive(self._deadline(now))
        self._sign_out()

    def _show_alive(self) -> None:
        if self._seat is not None:
            self._seat.alive()

    def _goes_on(self) -> bool:
        """The mail comes before everything that could be said."""
        self._receive(time.monotonic_ns())
        return not self._leaving

    def _follow(self, before: str, *, renewed: bool) -> None:
        """Show how it went."""
        lease, shown = self._lease, self._shown
        if lease.error is not None and not self._insist and not lease.registered_once:
            shown.error = lease.error
            lease.hand_over()  # whoever asked is told that it was perhaps made
            raise _LeavingError
        if lease.hidden and self._drain is not None:
            self._drain.hidden(time.monotonic_ns())
        state = lease.state
        shown.turn("starting" if state == "registering" else state if state != "ended" else shown.state, lease.error)
        if lease.error is None:
            self._went_well(before, renewed=renewed)
        elif state == "refused":
            shown.complain(logging.ERROR, f"{shown.name} was refused: {lease.error}")
        elif lease.failures == 1:
            what = f"heartbeats of {shown.name} are not heard" if lease.registered_once else f"{shown.name} cannot be signed in yet"
            shown.complain(logging.WARNING, f"{what}: {lease.error}")

    def _went_well(self, before: str, *, renewed: bool) -> None:
        shown, written, registration = self._shown, self.written, self.registration
        if self._seat is not None and written is not None:
            self._seat.note(Note(written, draining=self._drain is not None))
            self._touch(self._seat)
        if shown.troubled:
            shown.settled(f"heartbeats of {shown.name} are heard again" if renewed else f"{shown.name} is signed in now")
        elif renewed:
            _log.warning("%s was not known any more and has signed in again", shown.name)
        elif before == "registering" and registration is not None:
            _log.info("%s is signed in as %s, port %d", shown.name, registration.address, registration.port)
        if renewed:
            shown.tell("renewed")

    def _touch(self, seat: Seat) -> None:
        now = time.monotonic_ns()
        if now - self._touched >= TOUCH_EVERY_S * SECOND:
            self._touched = now
            seat.touch()

    def _look(self, now: int) -> None:
        if self._watch is None:
            return
        was = self._watch.blocked
        self._watch.look(now)
        if self._watch.blocked != was:
            self._shown.blocked(blocked=self._watch.blocked)
            self._judge()

    def _judge(self) -> None:
        """Application and loop together: the worse of the two."""
        status, output = self._said
        if self._watch is not None and self._watch.blocked:
            output = f"{output}; {LOOP_BLOCKED}" if output else LOOP_BLOCKED
            status = "warning" if status == "passing" else status
        self._lease.tell(time.monotonic_ns(), status, output)

    # -- the end

    def begin_drain(self, asked: int) -> None:
        """A message: leave without losing a call, as of the moment `asked`."""
        if self._drain is not None or self._leaving:
            return
        seat = self._seat
        elsewhere = seat is not None and not seat.alone()
        known = self._lease.registered_once or (seat is not None and seat.left is not None)
        if elsewhere or not known:
            self._leaving = self.finished = True
            return
        self._drain = Drain(asked, self._times.drain_notice_ms, self._times.drain_finish_ms)
        self._lease.drain(time.monotonic_ns())
        self._shown.turn("draining")

    def leave(self) -> None:
        """A message: sign out now."""
        self._leaving = True

    def _sign_out(self) -> None:
        """The last words; with a seat, only if nobody goes on."""
        if self._seat is None:
            self._goodbye()
        elif not self._seat.leave(self._goodbye, self._show_again):
            self._lease.hand_over()
            self.finished = True

    def _goodbye(self) -> None:
        lease, speaker, seat = self._lease, self._speaker, self._seat
        lease.leave()
        if speaker is None:
            return
        if (command := lease.due(time.monotonic_ns())) is not None:
            while command is not None:
                speaker.say(command)
                command = lease.due(time.monotonic_ns())
            if lease.error is not None:
                _log.warning("%s could not be signed out: %s", self._shown.name, lease.error)
        elif seat is not None and seat.left is not None:
            speaker.goodbye(seat.left.written)

    def _show_again(self) -> None:
        if self._drain is not None and self._speaker is not None:
            self._speaker.show_again()

    # -- mail

    def wake(self) -> None:
        """From any thread: look again."""
        self.mail.put(_nothing)

    def _receive(self, until: int | None) -> None:
        """Do what the mail says, or wait for it; None: as long as it takes."""
        wait_s = None if until is None else max(0.0, (until - time.monotonic_ns()) / SECOND)
        try:
            self.mail.get(timeout=wait_s)()
            for _ in range(_MESSAGES_MAX_COUNT):
                self.mail.get_nowait()()
        except Empty:
            pass

    def _pause(self, wait_ms: int) -> None:
        """Before it is signed in: wait, unless it is told to leave, or has come to own the seat."""
        end = time.monotonic_ns() + wait_ms * MILLISECOND
        while not self._leaving and self._drain is None and time.monotonic_ns() < end:
            self._receive(end)
        if self._leaving:
            raise _LeavingError

    def _deadline(self, now: int) -> int | None:
        wanted = (
            self._lease.deadline(),
            self._drain.deadline(now) if self._drain is not None else None,
            self._watch.deadline() if self._watch is not None else None,
        )
        return min((one for one in wanted if one is not None), default=None)

    def tell(self, status: Reported, output: str) -> None:
        """A message: how the application is."""
        self._said = (status, output)
        self._judge()

    def watch_loop(self, post: Callable[[Callable[[], None]], None], closed: Callable[[], bool]) -> None:
        """A message: watch this loop, which takes the place of the one before."""
        was = self._watch is not None and self._watch.blocked
        self._watch = LoopWatch(time.monotonic_ns(), post, closed, self._times.blocked_after_ms, self.wake)
        if was:
            self._shown.blocked(blocked=False)
            self._judge()

    def hide(self) -> Exception | None:
        """A message: hide it and stay. Answers why that could not be done."""
        lease, speaker = self._lease, self._speaker
        if speaker is None or not lease.registered_once:
            return ClientError(f"{self._shown.name} is not signed in yet")
        lease.drain(time.monotonic_ns())
        for _ in range(_HIDE_MAX_COUNT):
            command = lease.due(time.monotonic_ns())
            if lease.hidden or command is None:
                break
            speaker.say(command)
        self._shown.turn("draining", lease.error)
        return None if lease.hidden else lease.error or ClientError(f"{self._shown.name} could not be hidden")


def _nothing() -> None:
    """The message that only wakes."""
