"""What a keeper shows of itself: its state for whoever waits, a line in the log for people, an event for observers. Each turn once.

It lives as long as its keeper. One thread shows; any may wait. No signal handler comes near it: it would wait for itself.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Literal

from callboard.client.events import LoopBlocked, Observers, Registering
from callboard.client.listeners import Listeners

_log: Final = logging.getLogger("callboard.client")
CLOSE_MAX_S: Final = 4.0
"""A close waits so long: for what is being said, and the goodbye after it."""
EXIT_MAX_S: Final = 2.0
"""The same at the end of the process, for those that nobody closed."""
State = Literal["starting", "registered", "waiting", "lost", "draining", "ended", "refused"]


class Shown:
    """State, reason, and who wants to know."""

    def __init__(self, service: str, observers: Observers) -> None:
        self.state: State = "starting"
        self.error: Exception | None = None
        """Why it is not as it should be; None: it is."""
        self.service = service
        self.instance = ""
        """The instance's id, once it is known."""
        self._observers = observers
        self._turned = threading.Condition()
        self._followers = Listeners()
        self._complained = ""

    @property
    def name(self) -> str:
        """How it is called in logs."""
        return self.instance or self.service

    def turn(self, state: State, error: Exception | None = None) -> None:
        """Show `state` from now on; tell observers when it is another one."""
        turned = state != self.state
        self.error = error
        with self._turned:
            self.state = state
            self._turned.notify_all()
        self._followers.tell()
        if turned:
            self.tell(state)

    def tell(self, state: State | Literal["renewed"]) -> None:
        """Tell observers."""
        self._observers.tell(Registering(self.service, self.instance, state, str(self.error or "")))

    def blocked(self, *, blocked: bool) -> None:
        """The loop that it watches stopped turning, or turns again."""
        if blocked:
            _log.warning("the event loop of %s does not turn: it is shown with a warning", self.name)
        else:
            _log.warning("the event loop of %s turns again", self.name)
        self._observers.tell(LoopBlocked(self.service, self.instance, blocked))

    def complain(self, level: int, text: str) -> None:
        """Say a trouble once, however often it comes; `settled` ends it."""
        if text != self._complained:
            self._complained = text
            _log.log(level, "%s", text)

    @property
    def troubled(self) -> bool:
        """Whether something was complained about that is not settled."""
        return bool(self._complained)

    def settled(self, text: str) -> None:
        """The trouble is over: say so if there was one."""
        if self._complained:
            self._complained = ""
            _log.warning("%s", text)

    def follow(self, follower: Callable[[], None]) -> Callable[[], None]:
        """Call it after each turn, in the keeper's thread; call the answer to stop. It must not wait."""
        return self._followers.add(follower)

    def until(self, condition: Callable[[], bool], timeout_s: float | None) -> bool:
        """Wait for a turn that makes `condition` true; whether it came."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        with self._turned:
            return self._turned.wait_for(condition, None if end is None else max(0.0, end - time.monotonic()))
