"""A server of two processes, in one loop: who leads, who counts as a server, and what comes of heartbeats that enter at the worker."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from callboard.core.catalog import commands as cmd
from callboard.model.check import CheckSpec, Status, TcpCheck, TtlCheck
from callboard.model.instance import InstanceSpec, NodeSpec
from callboard.model.members import Card
from callboard.model.rows import Revision
from callboard.model.time import seconds
from callboard.registry.clock import SystemClock, SystemEntropy
from callboard.registry.handing_over import NOBODY
from callboard.registry.peers import UnreachableError
from callboard.registry.registry import Registry
from callboard.registry.settings import RegistrySettings
from callboard.registry.submission import Submission
from callboard.server.workers import words
from callboard.server.workers.courier import ChannelCourier
from callboard.store.memory.engine import MemoryEngine
from callboard.store.memory.store import MemoryStore
from callboard.store.unix.holding import HeldStore
from callboard.store.unix.serving import Serving
from callboard.store.unix.settings import UnixSettings
from callboard.store.unix.store import UnixStore
from tests.support import PATIENCE_S, run


class Server(NamedTuple):
    """Both processes of one server, as far as their registries go."""

    engine: MemoryEngine
    first: Registry
    worker: Registry
    channel: UnixStore


class Nobody:
    """The courier of a server without others."""

    async def exchange(self, to: Card, message: bytes, timeout_s: float) -> bytes:
        raise UnreachableError(f"{to.name} is not there", sent=False)

    async def close(self) -> None:
        """There is nothing."""


@contextlib.asynccontextmanager
async def server() -> AsyncIterator[Server]:
    """One that leads and one worker, open."""
    engine = MemoryEngine()
    held = HeldStore(MemoryStore(engine), UnixSettings())
    first = Registry(held, RegistrySettings(member="m"), SystemClock(), SystemEntropy())
    first.connect(Nobody(), "http://127.0.0.1:1", "")

    async def beside(body: bytes) -> bytes:
        word = words.decode_up(body)
        assert isinstance(word, words.Carry)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        first.hear(word.message).then(answer.set_result)
        return await answer

    ours, theirs = socket.socketpair()
    serving = Serving(held, beside)
    await first.open()
    await serving.open(theirs)
    store = UnixStore(ours, UnixSettings())
    worker = Registry(store, RegistrySettings(member="m", worker=1), SystemClock(), SystemEntropy())
    worker.connect(ChannelCourier(store), "", "")
    try:
        async with asyncio.timeout(PATIENCE_S):
            await worker.open()
            yield Server(engine, first, worker, store)
    finally:
        await worker.close()
        await serving.closed()
        await first.close()


async def done(submission: Submission) -> None:
    """Until it is settled, and well."""
    settled = asyncio.Event()
    submission.then(lambda _: settled.set())
    await settled.wait()
    assert submission.outcome is not None
    assert submission.outcome.refusal is None, submission.outcome


def register(check: CheckSpec) -> cmd.Register:
    """An instance with a check."""
    node = NodeSpec(name="n1", address="10.0.0.1", implicit=True)
    return cmd.Register(nonce="x", node=node, instance=InstanceSpec(service="web", id="web-1"), checks=(cmd.Attached("web-1", check),))


async def shown(registry: Registry, revision: Revision) -> None:
    """Until the view of `registry` has come so far."""
    reached: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    registry.reached(revision).then(reached.set_result)
    assert await reached


def test_what_enters_at_the_worker_is_planned_by_the_first_and_read_where_it_entered() -> None:
    async def test() -> None:
        async with server() as both:
            await done(both.worker.submit(register(CheckSpec(id="c", name="c", definition=TtlCheck(seconds(600)), status=Status.PASSING))))
            assert both.worker.view.check("public", "n1", "c") is not None
            assert both.worker.revision == both.first.revision
            beats = both.first.stats.beats
            beat = both.worker.beat("public", "n1", "c", Status.PASSING, "")
            assert isinstance(beat, Submission)
            await done(beat)
            assert both.first.stats.beats == beats + 1

    run(test())


def test_the_worker_is_no_server_leads_nothing_and_probes_nothing() -> None:
    async def test() -> None:
        async with server() as both:
            probed = CheckSpec(id="p", name="p", definition=TcpCheck(host="127.0.0.1", port=1, interval=seconds(3600)))
            await done(both.first.submit(register(probed)))
            await shown(both.worker, both.first.revision)
            for registry in both[1:3]:
                assert isinstance(registry, Registry)
                assert [card.name for card in registry.members] == ["m"]
                assert registry.contact().leader == "m"
                assert registry.leading
                handed: list[str] = []
                registry.handing_over.begin().then(handed.append)
                assert handed == [NOBODY]
            assert both.first.probing_count == 1
            assert both.worker.probing_count == 0
            assert both.first.stats.terms == 1
            assert both.worker.stats.terms == 0

    run(test())


def test_a_read_at_the_worker_that_must_be_consistent_is() -> None:
    async def test() -> None:
        async with server() as both:
            await done(both.first.submit(register(CheckSpec(id="c", name="c", definition=TtlCheck(seconds(600))))))
            fresh: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            both.worker.fresh().then(fresh.set_result)
            assert await fresh is None
            assert both.worker.revision == both.first.revision

    run(test())


def test_a_server_whose_first_process_has_lost_the_lead_starts_anew(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with server() as both:
            both.engine.depose()
            assert "lead lost" in await both.first.failed()

    run(test())
    assert "must start anew" in caplog.text


def test_a_worker_whose_first_process_has_gone_knows_it(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with server() as both:
            await both.channel.abort()
            await both.channel.over
            async with asyncio.timeout(PATIENCE_S):
                while both.worker.health().reachable:  # noqa: ASYNC110  # a question, and no bell
                    await asyncio.sleep(0)
            submission = both.worker.submit(cmd.DeregisterInstance(cmd.Target("n1", "web-1")))
            assert submission.outcome is not None
            assert submission.outcome.refusal is not None
            assert submission.outcome.refusal.reason == "unavailable"

    run(test())
    assert "error in the program" not in caplog.text
