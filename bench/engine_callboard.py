"""Callboard, as `bench.engines` asks it: a registration with a TTL check, a health read, a blocked query."""

import contextlib
import time
from collections.abc import Iterator

from bench.engine import IN_FLIGHT, READERS, Watched
from bench.lab import Process, durable_server
from bench.load import HttpLoad, numbered, repeat, request
from bench.requests import HEALTH, PASSING, fill, index_of, register, until_metric
from bench.watches import PARKED, crowd


class Callboard:
    """One server over SQLite."""

    name = "Callboard"
    register_way = "one registration with a TTL check; synced by SQLite"
    read_way = "one health read: instances with their nodes and checks"
    watch_way = "a blocked query on a connection each; its answer is the new list"

    def __init__(self, process: Process) -> None:
        self._process = process

    def cpu_s(self) -> float:
        return self._process.cpu_s()

    def register(self, first: int, count: int) -> None:
        with contextlib.closing(HttpLoad(self._process.http, IN_FLIGHT)) as load:
            load.run(numbered(lambda number: register(number, f"s{number % 100}", PASSING), first), count=count)

    def read(self, count: int) -> None:
        with contextlib.closing(HttpLoad(self._process.http, READERS)) as load:
            load.run(repeat(request("GET", HEALTH)), count=count)

    def watch(self, count: int, number: int) -> Watched:
        with crowd(self._process.http, count) as waiting:
            waiting.ask(request("GET", f"{HEALTH}&index={index_of(self._process, HEALTH)}&wait=5m"))
            until_metric(self._process, PARKED, count)
            begin = time.perf_counter()
            with contextlib.closing(HttpLoad(self._process.http, 1)) as load:
                load.run(repeat(register(1_000 + number, "web", PASSING)), count=1)
                _, last = waiting.gather(begin)
        return Watched(last, last)


@contextlib.contextmanager
def callboard_engine(instances: int) -> Iterator[Callboard]:
    """A server with a service of so many instances."""
    with durable_server() as process:
        fill(process, instances)
        yield Callboard(process)
