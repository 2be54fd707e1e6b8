"""What the clients of the fault suite did and were told, with times; written while it happens, judged afterwards by `cluster_check`.

Times are seconds of the clock all of them share. A history holds plain values only, so that a test can make a bad one by hand.
"""

import gzip
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

Verdict = Literal["done", "refused", "unknown", "failed"]
"""`refused`: surely nothing was done. `unknown`: it may have been, or may still be. `failed`: the answer is an error of its own (404)."""
Kind = Literal["register", "deregister", "drain", "serve", "turn", "beat"]
Happened = Literal["added", "changed", "removed"]
Key = str
"""`node/id` of an instance; one life only, no id is used again."""


class Op(NamedTuple):
    """One attempt of one operation, at one member. Those of one instance follow each other, except for beats, which go on beside them."""

    kind: Kind
    key: Key
    token: str
    """Of a registration: new with every attempt, and part of what it writes. Of turns and beats: the status they tell."""
    member: int
    begin: float
    end: float
    verdict: Verdict
    revision: int = 0
    status: int = 0


class State(NamedTuple):
    """What a watcher or reader is told of an instance, as far as it is judged."""

    token: str
    status: str
    phase: str
    expired: bool
    """A time limit ran out."""


class Event(NamedTuple):
    """One event of a native watch."""

    watcher: int
    member: int
    at: float
    revision: int
    kind: Happened
    key: Key
    state: State
    resumed: bool
    """It came before the `ready` of its stream: what happened meanwhile, all in one."""


class Mark(NamedTuple):
    """A place from which a watcher can resume, and what it knew there."""

    watcher: int
    member: int
    at: float
    revision: int
    digest: str
    reset: str = ""
    """The watcher was told to forget everything before: why."""
    scope: str = ""
    """What it watches: a service; empty: all of them."""


class Seen(NamedTuple):
    """One answer to a read of a service, with Consul's index."""

    reader: str
    member: int
    mode: Literal["default", "stale", "consistent", "blocking"]
    service: str
    begin: float
    end: float
    revision: int
    """The index it came with."""
    sent: int
    """At a blocking read; else 0."""
    digest: str
    tokens: dict[Key, str] | None = None
    """What it showed; kept of consistent reads."""


class Life(NamedTuple):
    """An instance, from the acknowledgement of its first registration to its end."""

    key: Key
    service: str
    ttl_s: float
    born: float
    ended: float
    """When it died, or began to sign out; infinite when it lives on."""
    how: Literal["lives", "killed", "left"]


class Quiet(NamedTuple):
    """What the members said at a moment at which nobody wrote: one entry per member that runs."""

    at: float
    told: dict[str, dict[str, str]]


class Final(NamedTuple):
    """What a member showed in the end: token by key."""

    member: str
    tokens: dict[Key, str]
    statuses: dict[Key, str]


class Stall(NamedTuple):
    """The load itself did not run for so long: its own signs of life were late."""

    at: float
    seconds: float


class FaultRow(NamedTuple):
    """One fault as it happened."""

    name: str
    begin: float
    healed: float
    recovered: float
    dooms: Literal["", "member", "leader", "engine"]
    """What it does to expiry: nothing, fresh deadlines for some or all, or nobody can expire while it lasts."""
    detail: str = ""


@dataclass
class History:
    """All of a run."""

    ops: list[Op] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    lives: dict[Key, Life] = field(default_factory=dict)
    quiet: list[Quiet] = field(default_factory=list)
    finals: list[Final] = field(default_factory=list)
    stalls: list[Stall] = field(default_factory=list)
    faults: list[FaultRow] = field(default_factory=list)
    writes: list[float] = field(default_factory=list)
    """When a write of the probe was acknowledged."""
    reads: list[float] = field(default_factory=list)
    """When a read of the probe was answered."""
    watched: dict[str, list[tuple[float, bool, float]]] = field(default_factory=dict)
    """By member: when somebody read there, whether it was answered, and how long that took."""

    def save(self, path: Path) -> None:
        """For those who look for the cause of a violation."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(path, "wb", compresslevel=3) as file:
            for name, values in self.__dict__.items():
                rows = values.values() if name == "lives" else values.items() if isinstance(values, dict) else values
                for row in rows:
                    file.write(msgspec.json.encode([name, row]) + b"\n")

    @classmethod
    def load(cls, path: Path) -> "History":
        """One that was saved, to be judged again. Its dead have no end that JSON could tell: `ended` is null there, for never."""
        history = cls()
        with gzip.open(path, "rb") as file:
            for line in file:
                name, row = msgspec.json.decode(line)
                if name == "lives":
                    life = msgspec.convert([math.inf if value is None else value for value in row], Life)
                    history.lives[life.key] = life
                elif name == "watched":
                    history.watched[row[0]] = [tuple(each) for each in row[1]]
                else:
                    getattr(history, name).append(msgspec.convert(row, _ROWS[name]))
        return history


_ROWS: dict[str, Any] = {
    "ops": Op, "events": Event, "marks": Mark, "seen": Seen, "quiet": Quiet, "finals": Final, "stalls": Stall, "faults": FaultRow,
    "writes": float, "reads": float,
}  # fmt: skip


def now() -> float:
    """The clock all share."""
    return time.monotonic()
