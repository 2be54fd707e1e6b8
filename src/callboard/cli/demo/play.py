"""The demo's story: everybody signs in, one is killed, nobody calls it any more, it comes back. Each step is waited for and checked."""

import math
import time
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from callboard.cli.demo.calling import Board, Caller
from callboard.cli.demo.stage import INSTANCES, SERVICE, Stage, StageError
from callboard.client import Client

VICTIM: Final = INSTANCES[1]
_STEP_MAX_S: Final = 30.0
_POLL_S: Final = 0.05
_CALLS_EACH: Final = 5


class Screen(Protocol):
    """Where the story is shown."""

    def say(self, text: str) -> None:
        """One line of it."""
        ...

    def refresh(self, board: Board) -> None:
        """The picture now."""
        ...


class Outcome(NamedTuple):
    """What was seen."""

    gone_s: float
    back_s: float
    calls: int
    failed: int
    retried: int

    def summary(self) -> str:
        """One line."""
        return (
            f"demo ok: {VICTIM} killed, gone after {self.gone_s:.2f} s, back {self.back_s:.2f} s after its restart; "
            f"{self.calls} calls made, {self.failed} failed, {self.retried} went to another instance"
        )


class Play:
    """One performance."""

    def __init__(self, stage: Stage, client: Client, board: Board, screen: Screen, pause_s: float = 0.0) -> None:
        """`pause_s` is how long each picture stands, for somebody who looks on."""
        self._pause_s = pause_s
        self._stage = stage
        self._client = client
        self._board = board
        self._screen = screen

    def wait(self, done: Callable[[], bool], otherwise: str, limit_s: float = _STEP_MAX_S) -> None:
        """Wait until `done`. Raises `StageError` with `otherwise` when it takes too long, and whatever ends the demo before."""
        deadline = time.monotonic() + limit_s
        while True:
            with self._board.changed:
                if done():
                    return
                self._board.changed.wait(_POLL_S)
                if self._board.trouble:
                    raise StageError(f"the caller cannot go on: {self._board.trouble}")
            self._stage.check()
            self._screen.refresh(self._board)
            if time.monotonic() > deadline:
                raise StageError(f"{otherwise} within {limit_s:.0f} s{self._stage.complaint('server')}")

    def look(self, seconds: float) -> None:
        """Let the picture stand for so long."""
        until = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() >= until, "time did not pass", math.inf)

    def perform(self, caller: Caller) -> Outcome:
        """All of it. Raises `StageError` when something is not as it should be."""
        self._sign_in(caller)
        gone_s = self._kill()
        back_s = self._restart()
        board = self._board
        with board.changed:
            outcome = Outcome(gone_s, back_s, board.answered + board.failed, board.failed, board.broken)
        if outcome.failed:
            raise StageError(f"{outcome.failed} of {outcome.calls} calls were answered by nobody")
        return outcome

    def _sign_in(self, caller: Caller) -> None:
        for instance in INSTANCES:
            self._stage.start_service(instance)
        caller.follow()
        self.wait(lambda: len(self._board.targets) == len(INSTANCES), "the three services were not all found")
        found = self._client.resolve(SERVICE)
        if len(found.endpoints) != len(INSTANCES):
            raise StageError(f"the watch tells of {len(INSTANCES)} instances, resolve of {len(found.endpoints)}")
        pids = ", ".join(f"{instance} (pid {self._stage.pid(instance)})" for instance in INSTANCES)
        self._screen.say(f"{pids} signed in as {SERVICE!r} and pass their checks; a client calls them by name, in turn")
        caller.call()
        self._wait_for_calls(INSTANCES)
        self._screen.say(f"each is called: {self._calls()}")
        self.look(self._pause_s)

    def _kill(self) -> float:
        pid = self._stage.pid(VICTIM)
        killed_at = time.monotonic()
        self._stage.kill_service(VICTIM)
        self._screen.say(f"{VICTIM} (pid {pid}) is killed with SIGKILL")
        self.wait(lambda: self._board.gone_at.get(VICTIM, 0.0) > killed_at, f"{VICTIM} was killed but did not vanish")
        gone_s = self._board.gone_at[VICTIM] - killed_at
        self._screen.say(f"{VICTIM} is gone after {gone_s:.2f} s; the others are called on")
        others = [instance for instance in INSTANCES if instance != VICTIM]
        self._wait_for_calls(others[:1])  # a call that had picked it before is over then
        before = self._attempts()
        self._wait_for_calls(others)
        if self._attempts() != before:
            raise StageError(f"{VICTIM} was called after it had vanished")
        self.look(self._pause_s)
        return gone_s

    def _restart(self) -> float:
        restarted_at = time.monotonic()
        self._stage.start_service(VICTIM)
        self._screen.say(f"{VICTIM} is started again (pid {self._stage.pid(VICTIM)})")
        self.wait(lambda: self._board.back_at.get(VICTIM, 0.0) > restarted_at, f"{VICTIM} was started again but did not return")
        back_s = self._board.back_at[VICTIM] - restarted_at
        self._wait_for_calls([VICTIM])
        self._screen.say(f"{VICTIM} is back {back_s:.2f} s after its restart, and is called: {self._calls()}")
        return back_s

    def _wait_for_calls(self, instances: tuple[str, ...] | list[str]) -> None:
        """Until each of them answered some calls more."""
        tallies = self._board.tallies
        goals = {instance: tallies[instance].answered + _CALLS_EACH for instance in instances}
        names = ", ".join(instances)
        self.wait(lambda: all(tallies[instance].answered >= goal for instance, goal in goals.items()), f"{names} did not answer calls")

    def _attempts(self) -> int:
        tally = self._board.tallies[VICTIM]
        return tally.answered + tally.broken

    def _calls(self) -> str:
        return ", ".join(f"{name} {tally.answered}" for name, tally in sorted(self._board.tallies.items()))
