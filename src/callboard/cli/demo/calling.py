"""The demo's client: it follows the service by name and calls its instances in turn. Two threads, from `start` to `close`."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Final, NamedTuple

from callboard.cli.demo.stage import INSTANCES, SERVICE
from callboard.cli.layouts import health
from callboard.client import Client, ClientError, Watch
from callboard.model.check import Status
from callboard.model.instance import Phase
from callboard.net import threads
from callboard.wire.native import InstanceState

_CALL_MAX_S: Final = 5.0
_NEVER_SEEN: Final = "not signed in yet"


class Target(NamedTuple):
    """Where to call an instance."""

    id: str
    host: str
    port: int


@dataclass(slots=True)
class Tally:
    """What the caller knows of one instance."""

    address: str = "-"
    health: str = _NEVER_SEEN
    answered: int = 0
    broken: int = 0
    """Calls that got no answer here, and went to the next instance."""
    called_at: float = 0.0


class Board:
    """What the caller has seen, for whoever shows or judges it. Guarded by `changed`, which is told of everything new."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.tallies = {instance: Tally() for instance in INSTANCES}
        self.targets: tuple[Target, ...] = ()
        self.gone_at: dict[str, float] = {}
        self.back_at: dict[str, float] = {}
        self.failed = 0
        """Calls that nobody answered."""
        self.trouble = ""
        """Why the caller cannot go on."""
        self._turn = 0

    def learn(self, known: Iterable[InstanceState]) -> None:
        """The instances as they are now."""
        there = {instance.id: instance for instance in known}
        now = time.monotonic()
        with self.changed:
            before = {target.id for target in self.targets}
            self.targets = tuple(Target(instance.id, instance.address, instance.port) for instance in there.values() if callable_(instance))
            after = {target.id for target in self.targets}
            self.gone_at.update(dict.fromkeys(before - after, now))
            self.back_at.update(dict.fromkeys(after - before, now))
            for name, tally in self.tallies.items():
                instance = there.get(name)
                if instance is not None:
                    tally.health, tally.address = health(instance), f"{instance.address}:{instance.port}"
                elif tally.health != _NEVER_SEEN:
                    tally.health, tally.address = "gone", "-"
            self.changed.notify_all()

    def pick(self) -> tuple[Target, ...]:
        """Whom to call, in the order to try: round robin."""
        with self.changed:
            if not self.targets:
                return ()
            self._turn = (self._turn + 1) % len(self.targets)
            return self.targets[self._turn :] + self.targets[: self._turn]

    def count(self, target: Target, *, answered: bool) -> None:
        """One call came back, or did not."""
        with self.changed:
            tally = self.tallies.setdefault(target.id, Tally())
            if answered:
                tally.answered += 1
                tally.called_at = time.monotonic()
            else:
                tally.broken += 1
            self.changed.notify_all()

    def fail(self) -> None:
        """Nobody answered a call."""
        with self.changed:
            self.failed += 1
            self.changed.notify_all()

    def give_up(self, why: str) -> None:
        """The caller cannot go on."""
        with self.changed:
            self.trouble = why
            self.changed.notify_all()

    @property
    def answered(self) -> int:
        """Calls that were answered, by anyone."""
        return sum(tally.answered for tally in self.tallies.values())

    @property
    def broken(self) -> int:
        """Calls that needed another instance."""
        return sum(tally.broken for tally in self.tallies.values())


def callable_(instance: InstanceState) -> bool:
    """Whether a caller should pick it."""
    return instance.phase is Phase.SERVING and instance.status in {Status.PASSING, Status.WARNING}


class Caller:
    """A client of the service, as an application would write it."""

    def __init__(self, client: Client, board: Board, pause_s: float) -> None:
        """`pause_s` passes between two calls."""
        self._board = board
        self._pause_s = pause_s
        self._ended = threading.Event()
        self._changes: Watch = client.watch(SERVICE)
        self._threads: list[threading.Thread] = []

    def follow(self) -> None:
        """Begin to follow the service."""
        self._threads.append(threads.start(self._guarded(self._follow), name="demo-watch"))

    def call(self) -> None:
        """Begin to call it."""
        self._threads.append(threads.start(self._guarded(self._call_on), name="demo-calls"))

    def close(self) -> None:
        """End both."""
        self._ended.set()
        self._changes.close()
        for thread in self._threads:
            thread.join(2 * _CALL_MAX_S)

    def _guarded(self, work: Callable[[], None]) -> Callable[[], None]:
        def guarded() -> None:
            try:
                work()
            except ClientError as error:
                self._board.give_up(str(error))

        return guarded

    def _follow(self) -> None:
        for _change in self._changes:
            self._board.learn(self._changes.known.values())

    def _call_on(self) -> None:
        while not self._ended.wait(self._pause_s):
            if not any(self._called(target) for target in self._board.pick()):
                self._board.fail()

    def _called(self, target: Target) -> bool:
        """Whether it answered, with its own name."""
        connection = HTTPConnection(target.host, target.port, timeout=_CALL_MAX_S)
        try:
            connection.request("GET", "/")
            answered = connection.getresponse().read() == target.id.encode()
        except (OSError, HTTPException):
            answered = False
        finally:
            connection.close()
        self._board.count(target, answered=answered)
        return answered
