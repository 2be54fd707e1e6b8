"""The test's end of the network (`callboard.testing.cluster_links`): who listens where, which links are cut, slow or frozen.

Lives as long as the cluster. Every method may be called by any thread, and has taken effect when it returns.
"""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

import callboard
from callboard.testing.cluster_links import Order, Told

_LEFT_MAX_S: Final = 10.0


class NetworkError(Exception):
    """The network's process does not answer."""


class Network:
    """Links between named parties. One that was never spoken of is open.

    `direct`: there are no links, everybody reaches everybody past it; for figures, which would else be those of the network's process.
    """

    def __init__(self, *, direct: bool = False) -> None:
        self._direct = direct
        self._lock = threading.Lock()
        self._rules: set[tuple[str, str]] = set()
        self._frozen: set[tuple[str, str]] = set()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "callboard.testing.cluster_links"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": str(Path(callboard.__file__).parents[1])},
            process_group=0,
        )

    def listen(self, dest: str, port: int, *, source: str = "") -> int:
        """A port at which `dest`, really at `port`, is reached; by `source`, or by whichever known process dials."""
        return port if self._direct else self._order(Order(do="listen", source=source, dest=dest, port=port)).port

    def know(self, source: str, pid: int) -> None:
        """Connections of this process are those of `source`."""
        self._order(Order(do="know", source=source, pid=pid))

    def mind(self, pid: int) -> None:
        """End this process when the test has gone without doing so."""
        self._order(Order(do="mind", pid=pid))

    def rule(self, source: str, dest: str, *, forward: bool = True, back: bool = True, delay_ms: int = 0) -> None:
        """How this link is from now on."""
        self._rules.add((source, dest))
        self._order(Order(do="rule", source=source, dest=dest, forward=forward, back=back, delay_ms=delay_ms))

    def cut(self, sources: Iterable[str], dests: Iterable[str]) -> None:
        """No byte passes between these, in either direction, whoever dialled; connections stay half open."""
        sides = list(sources), list(dests)
        for one in sides[0]:
            for other in sides[1]:
                for source, dest in ((one, other), (other, one)):
                    self.rule(source, dest, forward=False, back=False)

    def cut_one_way(self, sender: str, receiver: str) -> None:
        """Nothing that `sender` says reaches `receiver`; the other way is open."""
        self.rule(sender, receiver, forward=False)
        self.rule(receiver, sender, back=False)

    def slow(self, sources: Iterable[str], dests: Iterable[str], delay_ms: int) -> None:
        """Everything between these takes so much longer, each way."""
        sides = list(sources), list(dests)
        for one in sides[0]:
            for other in sides[1]:
                self.rule(one, other, delay_ms=delay_ms)
                self.rule(other, one, delay_ms=delay_ms)

    def freeze(self, source: str, dest: str) -> int:
        """On the connections that `source` has with `dest` nothing comes back any more; new ones work. Answers how many there are."""
        self._frozen.add((source, dest))
        return self._order(Order(do="freeze", source=source, dest=dest)).count

    def open_files(self) -> int:
        """How many files the network's process holds: two for each connection, and some."""
        return sum(1 for _ in Path(f"/proc/{self._process.pid}/fd").iterdir())

    def heal(self) -> None:
        """Every link is open again, every frozen connection goes on."""
        for source, dest in self._rules:
            self._order(Order(do="rule", source=source, dest=dest))
        for source, dest in self._frozen:
            self._order(Order(do="thaw", source=source, dest=dest))
        self._rules.clear()
        self._frozen.clear()

    @contextlib.contextmanager
    def healed(self) -> Iterator[None]:
        """Heal at the end, whatever happened."""
        try:
            yield
        finally:
            self.heal()

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_LEFT_MAX_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _order(self, order: Order) -> Told:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            try:
                self._process.stdin.write(msgspec.json.encode(order) + b"\n")
                self._process.stdin.flush()
            except BrokenPipeError:
                raise NetworkError("the network's process has gone") from None
            line = self._process.stdout.readline()
        if not line:
            raise NetworkError(f"the network's process ended with {self._process.wait(_LEFT_MAX_S)} at {order}")
        return msgspec.json.decode(line, type=Told)
