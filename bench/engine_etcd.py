"""etcd, as `bench.engines` asks it, over gRPC: a lease and a put under it, a range over a prefix, a watch of a prefix.

The client is ours: the thin one of the store over etcd has the messages, and gRPC does the rest. Many watchers share a connection, some on
each, as clients in one process do; on a connection each, etcd would have more to do.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc.aio

from bench.engine import IN_FLIGHT, READERS, VALUE, Watched, on_server_core
from bench.lab import cpu_of
from callboard.store.etcd import requests
from callboard.store.etcd.channels import WATCH, bind, bind_unary
from callboard.store.etcd.messages import MESSAGES
from callboard.testing.etcd import Etcd

SERVICE = b"/services/web/"
OTHERS = b"/services/other/"
CONNECTIONS = 8
WATCHERS_EACH = 50
LEASE_S = 3_600


class EtcdEngine:
    """One node, with its own settings: it syncs before it acknowledges."""

    name = "etcd"
    register_way = "a lease of its own, then a put under it; synced by its log"
    read_way = "one range over the prefix of the service"
    watch_way = f"a watch of the prefix, {WATCHERS_EACH} of them on a connection; then a range"

    def __init__(self, etcd: Etcd) -> None:
        self._etcd = etcd
        self._runner = asyncio.Runner()
        self._channels = self._runner.run(self._open(CONNECTIONS))

    def cpu_s(self) -> float:
        return cpu_of(self._etcd.nodes[0].pid)

    def close(self) -> None:
        """End every connection."""
        for channel in self._channels:
            self._runner.run(channel.close())
        self._runner.close()

    async def _open(self, count: int) -> list[grpc.aio.Channel]:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
        channels = [grpc.aio.insecure_channel(self._etcd.endpoints[0], options=options) for _ in range(count)]
        for channel in channels:
            await channel.channel_ready()
        return channels

    def register(self, first: int, count: int) -> None:
        self.put(OTHERS, first, count)

    def put(self, prefix: bytes, first: int, count: int) -> None:
        """Instances below a prefix."""
        numbers = iter(range(first, first + count))

        async def owner(channel: grpc.aio.Channel) -> None:
            grant, write = bind_unary(channel, "LeaseGrant"), bind_unary(channel, "Txn")
            for number in numbers:
                lease = await grant(MESSAGES["LeaseGrantRequest"](TTL=LEASE_S))
                await write(requests.transaction((), [requests.put(prefix + b"%d" % number, VALUE, lease.ID)]))

        self._runner.run(_together([owner(self._channels[place % CONNECTIONS]) for place in range(IN_FLIGHT)]))

    def read(self, count: int) -> None:
        numbers = iter(range(count))
        asked = requests.range_request(SERVICE, requests.prefix_end(SERVICE))

        async def reader(channel: grpc.aio.Channel) -> None:
            read = bind_unary(channel, "Range")
            for _ in numbers:
                await read(asked)

        self._runner.run(_together([reader(self._channels[place % CONNECTIONS]) for place in range(READERS)]))

    def watch(self, count: int, number: int) -> Watched:
        return self._runner.run(self._watch(count, number))

    async def _watch(self, count: int, number: int) -> Watched:
        channels = await self._open(max(1, count // WATCHERS_EACH))
        calls = [bind(channels[place % len(channels)].stream_stream, WATCH[0], "Watch", *WATCH[1:])() for place in range(count)]
        for call in calls:
            await call.write(requests.watch_request(SERVICE, requests.prefix_end(SERVICE), 0))
        for call in calls:
            await call.read()  # it was made
        asked = requests.range_request(SERVICE, requests.prefix_end(SERVICE))
        reads = [bind_unary(channel, "Range") for channel in channels]
        told: list[float] = []

        async def watcher(place: int, call: Any) -> None:  # noqa: ANN401  # gRPC has no types
            while not (await call.read()).events:
                pass
            told.append(time.perf_counter())
            await reads[place % len(channels)](asked)

        waiting = asyncio.gather(*(watcher(place, call) for place, call in enumerate(calls)))
        begin = time.perf_counter()
        write = bind_unary(self._channels[0], "Txn")
        await write(requests.transaction((), [requests.put(SERVICE + b"%d" % (1_000 + number), VALUE)]))
        await waiting
        watched = Watched(max(told) - begin, time.perf_counter() - begin)
        for call in calls:
            call.cancel()
        for channel in channels:
            await channel.close()
        return watched


async def _together(work: list[Any]) -> None:
    await asyncio.gather(*work)


@contextlib.contextmanager
def etcd_engine(folder: Path, instances: int) -> Iterator[EtcdEngine]:
    """A node with a service of so many instances."""
    with contextlib.ExitStack() as stack:
        with on_server_core():
            etcd = stack.enter_context(Etcd.running(folder, nodes=1))
        engine = EtcdEngine(etcd)
        stack.callback(engine.close)
        engine.put(SERVICE, 0, instances)
        yield engine
