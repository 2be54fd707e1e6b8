"""One loop for many simulated processes: virtual time that jumps to the next timer, and gates by which a process is stopped or ended.

Each callback belongs to the process in whose context it was scheduled. While a process is stopped (SIGSTOP), its callbacks wait and
everybody else's time goes on; when it goes on, they run in the order they came due. Those of a process that was killed never run.
"""

import asyncio
import heapq
import math
from collections.abc import Coroutine, Generator
from contextvars import Context, ContextVar
from typing import Any, Final

from callboard.model.time import SECOND, Instant

PROCESS: Final[ContextVar[int]] = ContextVar("process", default=0)
"""Which process runs: 0 is the world itself (engine, wires, clients), which is never stopped."""
_START_NS: Final = 1_000 * SECOND
_RELEASE_NS: Final = 60 * SECOND
_IDLE_STEPS_MAX_COUNT: Final = 20_000
_CANCELLED_MAX_COUNT: Final = 2_000
Work = Generator[Any, None, Any] | Coroutine[Any, Any, Any]


class OutOfTimeError(Exception):
    """The run did not end, or nothing in it would ever happen again."""


class SimulationLoop(asyncio.BaseEventLoop):
    """Without sockets, threads and signals. It lives for one run."""

    def __init__(self, limit_s: float) -> None:
        super().__init__()
        self.now_ns = _START_NS
        self.steps = 0
        """Callbacks run so far."""
        self._limit_ns = _START_NS + round(limit_s * SECOND)
        self._moved_at = 0
        self._stopped: dict[int, list[asyncio.Handle]] = {}
        self._killed: set[int] = set()
        self._dropped: list[asyncio.Handle] = []
        """Of killed processes: only when all is over they run, so that their tasks can end."""
        self._made: list[asyncio.Task[Any]] = []

    # -- time

    def time(self) -> float:
        """Virtual seconds."""
        return self.now_ns / SECOND

    @property
    def now(self) -> Instant:
        """Virtual nanoseconds."""
        return Instant(self.now_ns)

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled  # type: ignore[attr-defined]  # what BaseEventLoop keeps
        if not ready and not self._stopping:  # type: ignore[attr-defined]
            while scheduled and scheduled[0]._cancelled:  # noqa: SLF001  # as BaseEventLoop does
                heapq.heappop(scheduled)._scheduled = False  # noqa: SLF001
            if not scheduled:
                raise OutOfTimeError("every task waits, and no timer is set")
            self._jump(math.ceil(scheduled[0]._when * SECOND))  # noqa: SLF001
        if self.steps > self._moved_at + _IDLE_STEPS_MAX_COUNT:
            self._moved_at = self.steps
            raise OutOfTimeError("something runs for ever without letting time pass")
        end = self.time() + 1e-9
        while scheduled and scheduled[0]._when <= end:  # noqa: SLF001
            handle = heapq.heappop(scheduled)
            handle._scheduled = False  # noqa: SLF001
            ready.append(handle)
        gated = self._stopped or self._killed
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled and not (gated and self._gated(handle)):  # noqa: SLF001
                self.steps += 1
                handle._run()  # noqa: SLF001
        if self._timer_cancelled_count > _CANCELLED_MAX_COUNT:
            self._forget_cancelled(scheduled)

    def _jump(self, to_ns: int) -> None:
        if to_ns > self.now_ns:
            self.now_ns, self._moved_at = to_ns, self.steps
        if self.now_ns > self._limit_ns:
            raise OutOfTimeError("the run did not end in time")

    def _forget_cancelled(self, scheduled: list[Any]) -> None:
        scheduled[:] = [handle for handle in scheduled if not handle._cancelled]  # noqa: SLF001
        heapq.heapify(scheduled)
        self._timer_cancelled_count = 0

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""

    # -- processes

    def _gated(self, handle: asyncio.Handle) -> bool:
        process = handle._context.get(PROCESS, 0)  # type: ignore[attr-defined]  # noqa: SLF001  # the context it runs in
        if process in self._killed:
            self._dropped.append(handle)
            return True
        waiting = self._stopped.get(process)
        if waiting is None:
            return False
        waiting.append(handle)
        return True

    def stop_process(self, process: int) -> None:
        """SIGSTOP."""
        if process not in self._killed:
            self._stopped.setdefault(process, [])

    def continue_process(self, process: int) -> None:
        """SIGCONT."""
        self._ready.extend(self._stopped.pop(process, ()))  # type: ignore[attr-defined]

    def kill_process(self, process: int) -> None:
        """SIGKILL: nothing of it runs any more, not even what would clean up."""
        self._dropped.extend(self._stopped.pop(process, ()))
        self._killed.add(process)

    def stopped(self, process: int) -> bool:
        """Whether it is stopped at the moment."""
        return process in self._stopped

    # -- tasks

    def create_task(self, work: Work, *, name: object = None, context: Context | None = None, **_: object) -> asyncio.Task[Any]:  # type: ignore[override]
        """As always. Tasks are held: one of a killed process must not be collected, or its clean-up would run."""
        task: asyncio.Task[Any] = asyncio.Task(work, loop=self, name=name if name is None else str(name), context=context)
        self._made.append(task)
        if len(self._made) > 1_000:
            self._made = [made for made in self._made if not made.done()]
        return task

    def release(self) -> None:
        """Open all gates and let everything that is left end, so that nothing outlives the run."""
        for process in list(self._stopped):
            self.continue_process(process)
        self._killed.clear()
        self._ready.extend(self._dropped)  # type: ignore[attr-defined]
        self._limit_ns = self.now_ns + _RELEASE_NS
        while left := [task for task in self._made if not task.done()]:
            for task in left:
                task.cancel()  # one that is about to end another task may take this for that one's end, and needs it again
            self.run_until_complete(asyncio.wait(left, timeout=1))
        self.run_until_complete(self.shutdown_asyncgens())
        self._made.clear()


def run_simulated(main: Coroutine[Any, Any, None], loop: SimulationLoop) -> None:
    """Run `main` to its end. Raises what it raises, and `OutOfTimeError`."""
    try:
        loop.run_until_complete(main)
    finally:
        loop.release()
        loop.close()
