"""Instances for tests, and a registry that is told what to say: a backend whose feed the test fills."""

import queue
from collections.abc import Callable, Iterator
from typing import Final

from callboard.client.board_settings import BoardSettings
from callboard.client.engine import Engine
from callboard.client.errors import ClientError, UnreachableError
from callboard.client.machine.picture import Change
from callboard.client.settings import ClientSettings
from callboard.model.check import Status
from callboard.model.instance import Phase
from callboard.wire.native import Beat, Digest, InstanceState, Registration, ServiceInstances, ServiceList, Weights, Written

DOWN: Final = UnreachableError({"http://127.0.0.1:1": "connection refused"})


def state(
    name: str, port: int = 80, *, service: str = "web", status: Status = Status.PASSING, phase: Phase = Phase.SERVING, **meta: str
) -> InstanceState:
    return InstanceState(
        id=name, service=service, namespace="public", node="n", address="127.0.0.1", port=port, tags=(), meta=meta, weights=Weights(),
        phase=phase, status=status, checks=(), created=1, modified=1,
    )  # fmt: skip


class FakeFeed:
    """What the test puts into `events` is told: a change, or a failure for `lost`, or for the one who iterates."""

    def __init__(self, services: tuple[str, ...], lost: Callable[[ClientError], None]) -> None:
        self.services = list(services)
        self.restarts = 0
        self.lost = lost
        self.revision = 0
        self.events: queue.SimpleQueue[Change | ClientError | BaseException | None] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[Change]:
        while (event := self.events.get()) is not None:
            if isinstance(event, Change):
                yield event
            elif isinstance(event, UnreachableError):
                self.lost(event)
            else:
                raise event

    def include(self, service: str) -> None:
        self.services.append(service)

    def restart(self) -> None:
        self.restarts += 1

    def close(self) -> None:
        self.events.put(None)

    # -- what a registry may say

    def tell(self, *states: InstanceState, kind: str = "added", inferred: bool = False, ready: bool = True) -> None:
        self.revision += 1
        for each in states:
            change = Change(kind=kind, revision=self.revision, instance=each, inferred=inferred, more=ready)  # type: ignore[arg-type]
            self.events.put(change)
        if ready:
            self.events.put(Change(kind="ready", revision=self.revision, services=tuple(self.services)))

    def remove(self, *states: InstanceState, inferred: bool = False) -> None:
        self.tell(*states, kind="removed", inferred=inferred, ready=inferred)

    def fail(self, error: ClientError = DOWN) -> None:
        self.events.put(error)


class FakeBackend:
    """Only following and digests are asked of it."""

    remote = False

    def __init__(self) -> None:
        self.feeds: list[FakeFeed] = []
        self.digests: Digest | None = None

    @property
    def feed(self) -> FakeFeed:
        return self.feeds[-1]

    def follow(self, namespace: str, services: tuple[str, ...], lost: Callable[[ClientError], None]) -> FakeFeed:
        self.feeds.append(FakeFeed(services, lost))
        return self.feed

    def digest(self, namespace: str, services: tuple[str, ...]) -> Digest | None:
        return self.digests

    def register(self, registration: Registration) -> Written:
        raise DOWN

    def heartbeat(self, held: Written, beat: Beat, timeout_ms: int) -> None:
        raise DOWN

    def drain(self, held: Written, *, on: bool) -> None:
        raise DOWN

    def deregister(self, held: Written, timeout_ms: int) -> None:
        raise DOWN

    def services(self, namespace: str) -> ServiceList:
        raise DOWN

    def instances(self, service: str, namespace: str) -> ServiceInstances:
        raise DOWN

    def local_address(self) -> str:
        raise DOWN

    def forked(self) -> None:
        """Nothing to forget."""

    def close(self) -> None:
        """Nothing to close."""


def fake_engine(settings: BoardSettings | None = None) -> tuple[Engine, FakeBackend]:
    """An engine that follows what the test says."""
    engine, backend = Engine(settings if settings is not None else BoardSettings(snapshots="off")), FakeBackend()
    engine.backend = backend
    return engine, backend


def at(url: str, **changes: object) -> BoardSettings:
    """Settings of a board on the server at `url`, without a disk."""
    return BoardSettings(client=ClientSettings(urls=(url,)), **{"snapshots": "off", **changes})  # type: ignore[arg-type]
