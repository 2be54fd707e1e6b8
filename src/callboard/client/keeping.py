"""Keeping one instance signed in: in a thread of its own, so that neither a busy application nor a blocked event loop costs the lease.

A keeper is what others hold of that thread (`callboard.client.attending`): they ask how it stands, wait, and put messages into its mail.
It lives from `start` to the end of the thread; in a forked child it does nothing, for the registration is the parent's. Who made it closes
it, also at the end of the process.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final

from callboard.client import forks
from callboard.client.attending import Attendant, Plan, Times
from callboard.client.errors import ClientError
from callboard.client.events import Observers
from callboard.client.showing import CLOSE_MAX_S, Shown, State
from callboard.client.speaking import Desk
from callboard.net import threads
from callboard.wire.native import Registration, Reported, Written

_log: Final = logging.getLogger("callboard.client")
_UNSETTLED: Final[frozenset[State]] = frozenset({"starting", "lost"})


class Keeper:
    """One instance, kept signed in by one thread."""

    def __init__(self, desk: Desk, plan: Plan, times: Times, observers: Observers, *, insist: bool = True) -> None:
        """`insist`: go on after a first failure; without, the keeper ends with it."""
        self.shown = Shown(plan.service, observers)
        self.times = times
        self._attendant = Attendant(desk, plan, times, self.shown, insist=insist)
        self._pid = os.getpid()
        self._thread = 0
        self._given_up = False

    @property
    def mine(self) -> bool:
        """Whether this process keeps it; a forked child does not."""
        return self._pid == os.getpid()

    @property
    def state(self) -> State:
        """In one word."""
        return self.shown.state if self.mine else "ended"

    @property
    def ended(self) -> bool:
        """Whether nothing will be said any more."""
        return self.state == "ended"

    @property
    def registration(self) -> Registration | None:
        """As it was made; None before the address is known."""
        return self._attendant.registration

    @property
    def written(self) -> Written | None:
        """What the last sign-in was answered with."""
        return self._attendant.written

    @property
    def finished(self) -> bool:
        """Whether it left when all work had ended, or goes on elsewhere."""
        return self._attendant.finished

    @property
    def in_flight(self) -> int:
        """How much work is under way."""
        return len(self._attendant.work)

    def start(self) -> None:
        """Begin."""
        forks.prepare()
        try:
            threads.start(self._run, name=f"callboard-keeper-{self.shown.service}")
        except RuntimeError as error:  # there is no thread to be had: the process ends, or has too many
            self.shown.turn("ended", error)
            raise

    def begin_work(self) -> None:
        """One more is under way."""
        self._attendant.work.append(None)

    def end_work(self) -> None:
        """One less."""
        self._attendant.work.pop()
        if self._attendant.draining and not self._attendant.work:
            self._attendant.wake()

    def tell(self, status: Reported, output: str) -> None:
        """How the application is."""
        self._post(lambda: self._attendant.tell(status, output))

    def watch_loop(self, post: Callable[[Callable[[], None]], None], closed: Callable[[], bool]) -> None:
        """Watch an event loop; `post` hands it a call from another thread, `closed` says that there will be no more."""
        self._post(lambda: self._attendant.watch_loop(post, closed))

    def drain(self) -> None:
        """Begin to leave: hidden at once, signed out when callers know and the work has ended. May be called by a signal handler."""
        asked = time.monotonic_ns()
        self._post(lambda: self._attendant.begin_drain(asked))

    def hide(self, timeout_s: float) -> None:
        """Hide it and stay; returns when that was confirmed. Raises `ClientError`."""
        answers: SimpleQueue[Exception | None] = SimpleQueue()
        self._post(lambda: answers.put(self._attendant.hide()))
        try:
            error = answers.get(timeout=timeout_s)
        except Empty:
            raise ClientError(f"{self.shown.name} could not be hidden within {timeout_s:g} s") from None
        if error is not None:
            raise error

    def leave(self) -> None:
        """Sign out now, whatever is under way. Does not wait. May be called by a signal handler."""
        self._post(self._attendant.leave)

    def close(self, timeout_s: float = CLOSE_MAX_S) -> None:
        """Sign out now, and wait for it; from inside of an observer it comes after that."""
        if self.ended or self._given_up:
            return
        self.leave()
        if self._thread != threading.get_ident() and not self.join(timeout_s):
            self.gave_up_waiting()

    def gave_up_waiting(self) -> None:
        """Say that whoever closed it did not wait for its end. Nobody else will."""
        self._given_up = True
        _log.warning("%s could not be signed out in time: no answer from its registry; its checks will tell", self.shown.name)

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for the end; whether it came."""
        return not self.mine or self.shown.until(lambda: self.shown.state == "ended", timeout_s)

    def wait(self, timeout_s: float | None = None) -> None:
        """Until it is signed in, here or by another process of this host. Raises as `judge` does."""
        if self.mine:
            self.shown.until(lambda: self.settled, timeout_s)
        self.judge()

    @property
    def settled(self) -> bool:
        """Whether it is clear how it stands: signed in, refused, or ended."""
        return self.state not in _UNSETTLED

    def judge(self) -> None:
        """Raises what it was refused with, `TimeoutError` when it is not signed in yet, and `ClientError` when it ended."""
        state, error, name = self.state, self.shown.error, self.shown.name
        if not self.mine:
            raise ClientError(f"{name} is kept by process {self._pid}, which this one was forked from; register here anew")
        if state in {"refused", "ended"}:
            raise error if error is not None else ClientError(f"{name} was signed out")
        if state in _UNSETTLED:
            raise TimeoutError(f"{name} is not signed in yet ({state}): {error or 'nothing was heard so far'}")

    def _run(self) -> None:
        self._thread = threading.get_ident()
        self._attendant.run()

    def _post(self, message: Callable[[], None]) -> None:
        if self.mine:
            self._attendant.mail.put(message)
