"""SIGTERM as the beginning of a drain: hidden at once, and handed on to whoever handled it before when callers have had time to hear of it.

A server that stops at SIGTERM stops accepting at once, while its callers still believe in it. So the handler that was there is not
replaced but called later; a second SIGTERM reaches it at once. Without one, the process ends as SIGTERM ends it, when the drain is over.
An event loop that handles the signal itself (`loop.add_signal_handler`) hears of it in its own way, at once. As every handler in Python,
this one runs when the main thread does: a signal that comes just as that begins a long blocking call is heard at the end of the call.

A termination serves all registrations of a process that want it, and lives from the first of them to the end of the last. Only the main
thread may make one; a forked child hands every signal on.
"""

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Final, Literal, Protocol

from callboard.net import threads

_log: Final = logging.getLogger("callboard.client")
_EXIT_CODE: Final = 128 + signal.SIGTERM
DRAIN_MAX_S: Final = 60.0
"""A drain that has not come to its end is not waited for any longer."""
_HAND_ON_STEP_S: Final = 0.02
"""A signal is heard between two steps."""
_HAND_ON_MAX_STEPS: Final = 250
_LOOPS: Final = ("asyncio.", "uvloop.")
_Told = Literal["signal", "restored"]
Stop = Callable[[], None]


class Drains(Protocol):
    """What is drained: a keeper."""

    def drain(self) -> None:
        """Begin; may be called by a signal handler."""
        ...

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for the end."""
        ...


def drain_on_sigterm(keeper: Drains, notice_ms: int) -> Stop | None:
    """Drain it at SIGTERM from now on; call the answer to stop. None: nothing could be done, and the log says why."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_kill"):
        _log.warning("SIGTERM is left as it is: only the main thread can change that, and not on Windows")
        return None
    before = signal.getsignal(signal.SIGTERM)
    there = getattr(before, "__self__", None)
    if isinstance(there, Termination) and there.listens:
        there.add(keeper)
        return lambda: there.remove(keeper)
    if before is None or before is signal.SIG_IGN:
        _log.warning("SIGTERM is left as it is: the program ignores it, or handles it outside Python")
        return None
    made = Termination(before if callable(before) else None, notice_ms)
    made.add(keeper)
    made.install()
    return lambda: made.remove(keeper)


class Termination:
    """The handler in front of the one that was there (`before`; None: the system's, which ends the process)."""

    def __init__(self, before: Callable[[int, FrameType | None], object] | None, notice_ms: int) -> None:
        self._before = before
        self._notice_s = notice_ms / 1000
        self._drained: tuple[Drains, ...] = ()
        self._pid = os.getpid()
        self._asked = False
        self._handed_on = False
        self._told: SimpleQueue[_Told] = SimpleQueue()
        self._done = threading.Event()

    @property
    def listens(self) -> bool:
        """Whether a signal still begins a drain here: a forked child only inherits it, and once handed on it stays so."""
        return self._pid == os.getpid() and not self._handed_on

    def add(self, keeper: Drains) -> None:
        """Drain this one too."""
        self._drained = (*self._drained, keeper)

    def remove(self, keeper: Drains) -> None:
        """Not this one any more; the last one puts the former handler back, if nobody came after, or hands on at once what came meanwhile.

        Outside the main thread it cannot be put back: then the handler stays, and hands everything on.
        """
        if self._pid != os.getpid():
            return
        self._drained = tuple(other for other in self._drained if other is not keeper)
        if self._drained:
            return
        under_way = self._asked and not self._handed_on
        if not under_way:
            self._handed_on = True
        self._told.put("restored")
        in_main = threading.current_thread() is threading.main_thread()
        if under_way:
            if in_main:
                self._wait_for_the_end()
            return
        if in_main and signal.getsignal(signal.SIGTERM) == self.handle:
            signal.signal(signal.SIGTERM, self._before or signal.SIG_DFL)

    def install(self) -> None:
        """From now on."""
        signal.signal(signal.SIGTERM, self.handle)
        threads.start(self._hand_on, name="callboard-sigterm")

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The signal came. This runs in the main thread, between two steps of anything: so it only posts."""
        first = not self._asked and self.listens
        self._asked = True
        if first:
            for one in self._drained:
                one.drain()
            self._told.put("signal")
            return
        self._handed_on = True
        if self._before is not None:
            self._before(number, frame)
            return
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        raise SystemExit(_EXIT_CODE)  # the first process of a container does not end by a signal that it does not handle

    def _hand_on(self) -> None:
        """In a thread of its own: wait, then raise the signal once more."""
        if self._told.get() == "restored":
            return
        if _of_loop(self._before):
            self._handed_on = True
            return
        if self._before is not None:
            with contextlib.suppress(Empty):  # closed meanwhile: there is nothing to wait for
                self._told.get(timeout=self._notice_s)
        else:
            for one in self._drained:
                one.join(DRAIN_MAX_S)
        main = threading.main_thread().ident
        if self.listens and main is not None:
            signal.pthread_kill(main, signal.SIGTERM)
        self._done.set()

    def _wait_for_the_end(self) -> None:
        """In the main thread: the program must not go on, and perhaps register again what was to end, before the signal is handed on."""
        for _ in range(_HAND_ON_MAX_STEPS):
            if self._done.wait(_HAND_ON_STEP_S) or self._handed_on:
                return


def _of_loop(handler: object) -> bool:
    """Whether it only stands there for an event loop, which has heard the signal through its own pipe already."""
    return str(getattr(handler, "__module__", "")).startswith(_LOOPS)
