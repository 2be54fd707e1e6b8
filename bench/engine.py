"""What `bench.engines` asks of each server that it compares: the same three things, each in the way of that server's own clients."""

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from bench.lab import LOAD_CORE, SERVER_CORE

IN_FLIGHT = 64
READ_INSTANCES = 10
READERS = 32
VALUE_BYTES = 250
"""What an instance is said with: its name, address, port, tags and meta, as JSON, have about this length."""

VALUE = b'{"Address":"10.0.0.1","Port":8080,"Tags":["v1","primary"],"Meta":{"version":"1.4.2","region":"eu-1"}}'.ljust(VALUE_BYTES)


class Watched(NamedTuple):
    """One change to many watchers: seconds until each had the change, and until each had the whole list again as it then was."""

    told_s: float
    read_s: float


class Engine(Protocol):
    """A server at work, with clients of it in this process."""

    name: str
    register_way: str
    read_way: str
    watch_way: str

    def cpu_s(self) -> float:
        """What the server has used so far."""
        ...

    def register(self, first: int, count: int) -> None:
        """New instances, `IN_FLIGHT` at a time, acknowledged when they are durable. They go when their owner goes."""
        ...

    def read(self, count: int) -> None:
        """All of a service of `READ_INSTANCES` instances, so many times, by `READERS` clients."""
        ...

    def watch(self, count: int, number: int) -> Watched:
        """One more instance of that service, seen by so many watchers."""
        ...


@contextlib.contextmanager
def on_server_core() -> Iterator[None]:
    """What is started inside runs where servers do, with all its threads."""
    os.sched_setaffinity(0, {SERVER_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, {LOAD_CORE})
