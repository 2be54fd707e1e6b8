"""The workers of a server, seen from the process that holds the engine: started, watched, started again, asked, told, and ended.

It lives from the server's start to its end. A worker that dies takes nothing with it but the connections it had.
"""

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from callboard.model.errors import CallboardError
from callboard.net.channel import Channel, ChannelError, FailedError
from callboard.net.tasks import Tasks, spawn
from callboard.registry.pending import Promise
from callboard.server.settings import Settings
from callboard.server.worker_settings import WorkersSettings, WorkersStats
from callboard.server.workers import words
from callboard.server.workers.figures import Figure, decode_figures, page
from callboard.server.workers.silence import answered
from callboard.store.unix.holding import HeldStore
from callboard.store.unix.serving import BESIDE, Serving

MODULE: Final = "callboard.server.worker"
_KILLED_WAIT_S: Final = 0.5
"""How long a process that was killed may take to be gone."""
_log = logging.getLogger(__name__)


class WorkerError(CallboardError):
    """A worker did not come to serve."""

    code = "worker"


@dataclass(frozen=True, slots=True)
class Aboard:
    """What the crew needs of its server."""

    place: Callable[[int], words.Place]
    """Where a worker of that number stands."""
    hear: Callable[[bytes], Promise[bytes]]
    """A message for the registry. Raises `CallboardError`."""
    leave: Callable[[], None]
    reload: Callable[[], object]
    figures: Callable[[], Iterable[Figure]]
    """Those of this process."""


class _Worker:
    """One worker process, from its start to its end."""

    def __init__(self, number: int, store: HeldStore, aboard: Aboard, pages: Callable[[], Awaitable[bytes]]) -> None:
        self.number = number
        self.serves = asyncio.Event()
        self._aboard = aboard
        self._pages = pages
        self._serving = Serving(store, self._beside)
        self._process: asyncio.subprocess.Process | None = None
        self._channel: Channel | None = None

    async def start(self) -> None:
        """In a session of its own: what a terminal tells all of its processes is for the one that was started. Raises `OSError`."""
        ours, theirs = socket.socketpair()
        with theirs:
            arguments = (str(theirs.fileno()), str(self.number), str(os.getpid()))
            try:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable, "-P", "-m", MODULE, *arguments, pass_fds=(theirs.fileno(),), start_new_session=True,
                    stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
                )  # fmt: skip
            except BaseException:
                ours.close()
                raise
        self._channel = await self._serving.open(ours)

    async def over(self) -> int:
        """Return its exit code when it has ended."""
        assert self._process is not None
        code = await self._process.wait()
        await self._serving.closed()
        return code

    async def ask(self, word: words.Down, timeout_ms: int) -> bytes | None:
        """Its answer, None when there is none in time."""
        try:
            async with asyncio.timeout(timeout_ms / 1_000):
                return await self._ask(word)
        except TimeoutError:
            return None

    async def answers(self, patience_ms: int) -> bool:
        """Whether it still answers at all."""
        return await answered(self._ask(words.Figures()), patience_ms)

    async def _ask(self, word: words.Down) -> bytes | None:
        if self._channel is None:
            return None
        try:
            return await self._channel.ask(BESIDE, words.encode(word))
        except (ChannelError, FailedError) as error:
            _log.debug("worker %d has not answered: %r", self.number, error)
            return None

    @property
    def cut_off(self) -> bool:
        """Whether its channel has ended: it can be asked nothing more, and ends itself, unless it hangs."""
        return self._channel is not None and self._channel.over.done()

    def kill(self) -> None:
        """At once."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _beside(self, body: bytes) -> bytes:
        word = words.decode_up(body)
        if isinstance(word, words.Carry):
            return await self._carry(word.message)
        if isinstance(word, words.Where):
            return words.encode(self._aboard.place(self.number))
        if isinstance(word, words.Page):
            return await self._pages()
        if isinstance(word, words.Serves):
            self.serves.set()
        elif isinstance(word, words.Leave):
            self._aboard.leave()
        else:
            self._aboard.reload()
        return b""

    async def _carry(self, message: bytes) -> bytes:
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def tell(reply: bytes) -> None:
            if not answer.done():
                answer.set_result(reply)

        try:
            self._aboard.hear(message).then(tell)
        except CallboardError as error:
            raise FailedError(str(error).encode()) from error
        return await answer


class Crew:
    """All workers. Make it in a running loop."""

    def __init__(self, count: int, store: HeldStore, settings: WorkersSettings, stats: WorkersStats, aboard: Aboard) -> None:
        self._numbers = range(1, count + 1)
        self._store = store
        self._settings = settings
        self._stats = stats
        self._aboard = aboard
        self._tasks = Tasks()
        self._workers: dict[int, _Worker] = {}
        self._running: list[asyncio.Task[None]] = []
        self._ending = asyncio.Event()
        self._end_max = 0.0
        """Until when, in the loop's time, workers may finish."""

    async def start(self) -> None:
        """Start all, and return when each serves. Raises `WorkerError`."""
        first: list[asyncio.Future[None]] = []
        for number in self._numbers:
            served: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            first.append(served)
            self._running.append(self._tasks.spawn(self._keep(number, served), name=f"worker {number}"))
        await asyncio.gather(*first)

    async def _keep(self, number: int, served: "asyncio.Future[None]") -> None:
        """One worker after the other, as long as the server lives; the first must come to serve."""
        loop, settings = asyncio.get_running_loop(), self._settings
        wait_ms = settings.restart_wait_ms
        while not self._ending.is_set():
            began = loop.time()
            problem = await self._one(number, served)
            if not served.done():
                served.set_exception(WorkerError(f"worker {number} {problem} before it served; its log says why"))
                return
            if self._ending.is_set():
                return
            self._stats.died += 1
            if loop.time() - began > settings.steady_after_ms / 1_000:
                wait_ms = settings.restart_wait_ms
            _log.error("worker %d %s; it is started again in %d ms, the others go on", number, problem, wait_ms)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), wait_ms / 1_000)
            wait_ms = min(2 * wait_ms, settings.restart_wait_max_ms)

    async def _one(self, number: int, served: "asyncio.Future[None]") -> str:
        """One worker from its start to its end, and what became of it in words."""
        worker = self._workers[number] = _Worker(number, self._store, self._aboard, self.page)
        self._stats.started += 1
        try:
            await worker.start()
        except OSError as error:
            return f"could not be started ({error})"
        if self._ending.is_set():
            worker.kill()
        watching = spawn(self._watch(worker, served), name=f"watch worker {number}")
        try:
            return _ended(await worker.over())
        finally:
            watching.cancel()
            await asyncio.wait({watching})
            worker.kill()
            self._stats.serving_now -= worker.serves.is_set()
            self._workers.pop(number, None)

    async def _watch(self, worker: _Worker, served: "asyncio.Future[None]") -> None:
        """From its start on: whether it comes to serve, and whether it goes on answering."""
        settings = self._settings
        try:
            async with asyncio.timeout(settings.start_time_max_ms / 1_000):
                await worker.serves.wait()
        except TimeoutError:
            _log.error("worker %d has not come to serve within %d ms (start_time_max_ms)", worker.number, settings.start_time_max_ms)
            worker.kill()
            return
        self._stats.serving_now += 1
        if served.done():
            _log.warning("worker %d serves again", worker.number)
        else:
            served.set_result(None)
        while True:
            await asyncio.sleep(settings.ping_interval_ms / 1_000)
            if not await worker.answers(settings.silent_max_ms):
                if not worker.cut_off:
                    self._stats.silenced += 1
                    _log.error("worker %d has not answered for %d ms (silent_max_ms); it is killed", worker.number, settings.silent_max_ms)
                worker.kill()
                return

    # -- all of them

    async def page(self) -> bytes:
        """The metrics of every process."""
        wait_ms = self._settings.figures_time_max_ms
        serving = [worker for worker in self._workers.values() if worker.serves.is_set()]
        told = await asyncio.gather(*(worker.ask(words.Figures(), wait_ms) for worker in serving))
        by_worker = {worker.number: decode_figures(data) for worker, data in zip(serving, told, strict=True) if data is not None}
        return page({0: list(self._aboard.figures()), **by_worker})

    def apply(self, settings: Settings) -> None:
        """The settings were read again."""
        word = words.Apply(settings.server, settings.tune)
        for worker in list(self._workers.values()):
            self._tasks.spawn(self._tell(worker, word), name="apply settings")

    async def _tell(self, worker: _Worker, word: words.Down) -> None:
        await worker.ask(word, self._settings.silent_max_ms)

    # -- the end

    def end(self) -> None:
        """Tell all to finish; from now on none is started again."""
        if not self._ending.is_set():
            self._ending.set()
            self._end_max = asyncio.get_running_loop().time() + self._settings.stop_time_max_ms / 1_000
            for worker in list(self._workers.values()):
                if worker.serves.is_set():
                    self._tasks.spawn(self._tell(worker, words.End()), name="end worker")
                else:
                    worker.kill()  # nothing is under way there

    async def gone(self) -> None:
        """Return when all have ended; those that take too long are killed. Call `end` first."""
        running = [task for task in self._running if not task.done()]
        if running:
            await asyncio.wait(running, timeout=max(0.0, self._end_max - asyncio.get_running_loop().time()))
        for worker in list(self._workers.values()):
            _log.error("worker %d does not end in time; it is killed", worker.number)
            worker.kill()
        if running:
            await asyncio.wait(running, timeout=_KILLED_WAIT_S)
        await self._tasks.close()


def _ended(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
