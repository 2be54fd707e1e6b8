"""The processes of the fault table: providers, a caller and the registry between them. They are started here, and ended here."""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from callboard.client.board_settings import BoardSettings
from callboard.testing.server import Server
from tests.support import poll_until

ROOT = Path(__file__).resolve().parents[2]
SERVICE = "echo"
UP = "passing/serving"
STARTED_MAX_S = 60.0
LEFT_MAX_S = 40.0

T = TypeVar("T")


@dataclass
class Provider:
    """One instance."""

    popen: subprocess.Popen[str]
    id: str = ""
    port: int = 0

    def ready(self) -> "Provider":
        """When it is signed in."""
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        assert line, f"a provider ended with {self.popen.wait(10)} before it was signed in"
        told = json.loads(line)
        self.id, self.port = told["id"], told["port"]
        return self

    def gone(self) -> None:
        """When it has left by itself, after a SIGTERM."""
        code = self.popen.wait(LEFT_MAX_S)
        assert code == 0, f"{self.id} left with {code}"
        self.close()

    def close(self) -> None:
        """Kill what is left."""
        self.popen.kill()
        self.popen.wait()
        if self.popen.stdout is not None:
            self.popen.stdout.close()


@dataclass
class Call:
    """One call of a user."""

    begin: float
    seconds: float
    failed: str


@dataclass
class Told:
    """All the caller told so far; written by one thread, read by another."""

    calls: list[Call] = field(default_factory=list)
    retries: list[float] = field(default_factory=list)
    ages: list[tuple[float, float, bool]] = field(default_factory=list)
    """When, how old what it knows is, and whether it says that it is stale."""
    known: list[tuple[float, int, dict[str, str]]] = field(default_factory=list)
    """When it knew something else: how many instances it held against the registry's word, and how each was."""

    def take(self, line: str) -> None:
        """One line of the caller."""
        told: dict[str, Any] = json.loads(line)
        at = float(told["at"])
        match told["kind"]:
            case "call":
                self.calls.append(Call(told["begin"], told["seconds"], told["failed"]))
            case "retry":
                self.retries.append(at)
            case "age":
                self.ages.append((at, told["age_s"], told["stale"]))
            case "known":
                self.known.append((at, told["held"], told["instances"]))

    def instances(self) -> dict[str, str]:
        """What the caller knows now."""
        return self.known[-1][2] if self.known else {}


class Fleet:
    """A registry, its providers and a caller."""

    def __init__(self, server: Server, settings: BoardSettings, folder: Path, seed: int) -> None:
        self.server = server
        self.settings = replace(settings, client=replace(settings.client, urls=server.urls))
        self.told = Told()
        self.providers: list[Provider] = []
        self._folder = folder
        self._seed = seed
        self._caller: subprocess.Popen[str] | None = None

    def start(self, count: int) -> list[Provider]:
        """So many more providers, at the same time; answers when they are signed in."""
        fresh = [Provider(self._run("provider", SERVICE, str(self._seed + len(self.providers) + number))) for number in range(count)]
        self.providers += fresh
        return [provider.ready() for provider in fresh]

    def call(self, rate: float) -> None:
        """Begin to call."""
        self._caller = self._run("caller", SERVICE, str(rate))
        threading.Thread(target=self._listen, args=(self._caller,), daemon=True).start()

    def until(self, condition: Callable[[], T | None], within_s: float) -> T:
        """Wait for something the caller tells."""
        assert self._caller is not None
        assert self._caller.poll() is None, f"the caller ended with {self._caller.poll()}"
        return poll_until(condition, within_s, every_s=0.02)

    def until_up(self, providers: Sequence[Provider], within_s: float) -> None:
        """Wait until the caller knows these, and that they are well."""
        self.until(lambda: all(self.told.instances().get(one.id) == UP for one in providers), within_s)

    def until_not_up(self, provider: Provider, within_s: float) -> None:
        """Wait until the caller knows that this one is not well, or gone."""
        self.until(lambda: self.told.instances().get(provider.id) != UP, within_s)

    def until_all_up(self, within_s: float = STARTED_MAX_S) -> None:
        """Wait until the caller knows exactly the present providers, all well, and its picture is fresh."""
        wanted = {provider.id: UP for provider in self.providers}
        try:
            self.until(lambda: self.told.instances() == wanted and not self.told.ages[-1][2], within_s)
        except AssertionError:
            raise AssertionError(f"wanted {wanted}; the caller knows {self.told.instances()}, {self.told.ages[-1]}") from None

    def close(self) -> None:
        """End everything."""
        if self._caller is not None:
            self._caller.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._caller.wait(LEFT_MAX_S)
            self._caller.kill()
            self._caller.wait()
        for provider in self.providers:
            provider.popen.terminate()
        for provider in self.providers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                provider.popen.wait(5)
            provider.close()

    def _run(self, program: str, *words: str) -> subprocess.Popen[str]:
        settings = replace(self.settings, snapshots=str(self._folder / "snapshots"))
        told = msgspec.json.encode(settings).decode()
        return subprocess.Popen(
            [sys.executable, "-m", f"tests.soak.{program}", told, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True, process_group=0
        )

    def _listen(self, caller: subprocess.Popen[str]) -> None:
        assert caller.stdout is not None
        with caller.stdout:
            for line in caller.stdout:
                self.told.take(line)


@contextlib.contextmanager
def fleet(folder: Path, settings: BoardSettings, *, seed: int, server_settings: dict[str, str]) -> Iterator[Fleet]:
    """A registry and an empty fleet; all is ended at the end."""
    with Server.running(folder / "registry", server_settings) as server:
        made = Fleet(server, settings, folder, seed)
        try:
            yield made
        finally:
            made.close()


def now() -> float:
    """The clock that all processes of this machine share."""
    return time.monotonic()
