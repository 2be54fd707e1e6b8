"""Those who watch, in both protocols, and come back to another member with the place they had. What they are told goes into the history."""

import asyncio
import functools
import hashlib
import random
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from callboard.wire.native import InstanceEvent, InstanceState, MarkEvent
from tests.soak.cluster_history import Event, Happened, Key, Mark, Seen, State, now
from tests.soak.cluster_http import CallError, Choice
from tests.soak.cluster_owner import Shared

CONNECT_MAX_S = 5.0
SILENCE_MAX_S = 6.0
"""Three times what members are told to be silent at most."""
WAIT_S = 10
WAIT_LATE_S = 3.0
EXPIRED = "TTL expired"


class _Heard(NamedTuple):
    key: Key
    state: State
    digest: int
    revision: int


@functools.lru_cache(maxsize=16_384)
def heard(data: bytes) -> _Heard:
    """An event's data, judged once for all watchers."""
    event = msgspec.json.decode(data, type=InstanceEvent)
    instance = event.instance
    return _Heard(f"{instance.node}/{instance.id}", state_of(instance), _digest(instance), event.revision)


def state_of(instance: InstanceState) -> State:
    """What is judged of it."""
    expired = any(check.output.startswith(EXPIRED) for check in instance.checks)
    return State(instance.meta.get("token", ""), instance.status.value, instance.phase.value, expired)


def _digest(instance: InstanceState) -> int:
    ordered = replace(instance, checks=tuple(sorted(instance.checks, key=lambda check: check.id)))
    return int.from_bytes(hashlib.blake2b(msgspec.json.encode(ordered), digest_size=8).digest())


class Watcher:
    """One native watch of a service (empty: of all), over all its streams."""

    def __init__(self, shared: Shared, number: int, seed: int, service: str = "") -> None:
        self._service = service
        self._target = f"/api/v1/watch?service={service}" if service else "/api/v1/watch"
        self._shared = shared
        self._number = number
        self._chance = random.Random(seed)
        self._choice = Choice(shared.ports, self._chance)
        self._last_id = ""
        self._picture: dict[Key, int] = {}
        self._sum = 0
        self._reset = "began"
        self._resuming = True

    async def watch(self) -> None:
        """For ever; a stream that ends, or says nothing for too long, is taken up elsewhere."""
        while True:
            headers = [f"Last-Event-ID: {self._last_id}"] if self._last_id else []
            if not self._last_id:
                self._forget("began")
            self._resuming = True
            try:
                async with self._shared.http.stream(self._choice.port, self._target, headers, timeout_s=CONNECT_MAX_S) as lines:
                    await self._read(lines)
            except (CallError, TimeoutError, EOFError, OSError):
                pass
            await self._choice.another()

    async def _read(self, lines: asyncio.StreamReader) -> None:
        kind, identity, data = "", "", b""
        while True:
            async with asyncio.timeout(SILENCE_MAX_S):
                line = await lines.readline()
            if not line:
                raise EOFError
            name, _, value = line.rstrip(b"\n").partition(b": ")
            if name == b"event":
                kind = value.decode()
            elif name == b"id":
                identity = value.decode()
            elif name == b"data":
                data = value
            elif not line.strip() and kind:
                self._take(kind, data)
                if identity:
                    self._mark(identity)
                    self._resuming = self._resuming and kind != "ready"
                    self._choice.answered()
                kind, identity, data = "", "", b""

    def _take(self, kind: str, data: bytes) -> None:
        if kind == "resync":
            self._forget(msgspec.json.decode(data, type=MarkEvent).reason)
        elif kind != "ready":
            told = heard(data)
            happened: Happened = "added" if kind == "added" else "removed" if kind == "removed" else "changed"
            self._sum ^= self._picture.pop(told.key, 0)
            if happened != "removed":
                self._picture[told.key] = told.digest
                self._sum ^= told.digest
            event = Event(self._number, self._choice.place, now(), told.revision, happened, told.key, told.state, self._resuming)
            self._shared.history.events.append(event)

    def _mark(self, identity: str) -> None:
        self._last_id = identity
        revision = int(identity.partition(".")[0])
        digest = f"{len(self._picture)}:{self._sum:016x}"
        mark = Mark(self._number, self._choice.place, now(), revision, digest, self._reset, self._service)
        self._shared.history.marks.append(mark)
        self._reset = ""

    def _forget(self, why: str) -> None:
        self._picture.clear()
        self._sum = 0
        self._reset = why


class _Service(msgspec.Struct, rename="pascal"):
    ID: str = msgspec.field(name="ID")
    meta: dict[str, str] = {}


class _Node(msgspec.Struct, rename="pascal"):
    node: str


class _Check(msgspec.Struct, rename="pascal"):
    CheckID: str = msgspec.field(name="CheckID")
    status: str
    output: str


class _Entry(msgspec.Struct, rename="pascal"):
    node: _Node
    service: _Service
    checks: tuple[_Check, ...]


class Shown(NamedTuple):
    """What an answer of Consul's health API shows."""

    digest: str
    tokens: dict[Key, str]


@functools.lru_cache(maxsize=4_096)
def shown(body: bytes) -> Shown:
    """Judged once for all who get the same."""
    entries = msgspec.json.decode(body, type=tuple[_Entry, ...])
    tokens = {f"{entry.node.node}/{entry.service.ID}": entry.service.meta.get("token", "") for entry in entries}
    lines = sorted(
        f"{entry.node.node}/{entry.service.ID} {entry.service.meta} {sorted((c.CheckID, c.status, c.output) for c in entry.checks)}"
        for entry in entries
    )
    return Shown(hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest(), tokens)


class Blocked:
    """A Consul client that blocks on one service, and goes on with its index wherever it comes to."""

    def __init__(self, shared: Shared, name: str, service: str, seed: int) -> None:
        self._shared = shared
        self._name = name
        self._service = service
        self._choice = Choice(shared.ports, random.Random(seed))
        self._index = 0

    async def watch(self) -> None:
        """For ever."""
        while True:
            target = f"/v1/health/service/{self._service}?index={self._index}&wait={WAIT_S}s"
            begin, place = now(), self._choice.place
            try:
                answer = await self._shared.http.call(self._choice.port, "GET", target, timeout_s=WAIT_S * 17 / 16 + WAIT_LATE_S)
            except CallError:
                await self._choice.another()
                continue
            if answer.status != 200:
                await self._choice.another()
                continue
            self._choice.answered()
            index = int(answer.headers["x-consul-index"])
            digest = shown(answer.body).digest
            seen = Seen(self._name, place, "blocking", self._service, begin, now(), index, self._index, digest)
            self._shared.history.seen.append(seen)
            self._index = index
