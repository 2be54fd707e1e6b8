"""The balanced channel of grpc.aio, against real gRPC servers signed in at a real registry."""

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest

from callboard import aio
from callboard.client import deadline
from callboard.client.errors import NoInstanceError
from callboard.client.events import AttemptEnded
from callboard.integrations.grpc import BalancedChannel
from tests.integrations.orders import Service, black_hole, orders, registry, settings, until
from tests.support import Stopwatch, repeated_if_stopped, run

__all__ = ["orders", "registry"]

GET, PLACE, LIST, SUM, CHAT = (f"/shop.Orders/{name}" for name in ("Get", "Place", "List", "Sum", "Chat"))


class Shop:
    """One gRPC server. Its answers begin with its id."""

    def __init__(self, id: str) -> None:  # noqa: A002
        self.id = id.encode()
        self.asked: list[tuple[bytes, dict[str, Any]]] = []
        self.code: grpc.StatusCode | None = None
        self.hang = False
        self.ended: list[str] = []
        self.server = grpc.aio.server()
        handlers = {
            "Get": grpc.unary_unary_rpc_method_handler(self.one),
            "Place": grpc.unary_unary_rpc_method_handler(self.one),
            "List": grpc.unary_stream_rpc_method_handler(self.many),
            "Sum": grpc.stream_unary_rpc_method_handler(self.sum),
            "Chat": grpc.stream_stream_rpc_method_handler(self.chat),
        }
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Orders", handlers),))
        self.port = self.server.add_insecure_port("127.0.0.1:0")

    async def one(self, request: bytes, context: Any) -> bytes:
        self.asked.append((request, {"remaining": context.time_remaining(), **dict(context.invocation_metadata())}))
        if self.hang:
            await asyncio.sleep(100)
        if self.code is not None:
            await context.abort(self.code, "as told")
        await context.send_initial_metadata((("from", self.id.decode()),))
        return self.id + b":" + request

    async def many(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        self.asked.append((request, {}))
        for number in range(3):
            yield b"%s:%d" % (self.id, number)
            if self.hang:
                try:
                    await asyncio.sleep(100)
                except asyncio.CancelledError:
                    self.ended.append("cancelled")
                    raise
        if self.code is not None:
            await context.abort(self.code, "as told")

    async def sum(self, requests: AsyncIterator[bytes], _context: Any) -> bytes:
        got = [request async for request in requests]
        self.asked.append((b"".join(got), {}))
        return b"%s:%d" % (self.id, sum(map(int, got)))

    async def chat(self, requests: AsyncIterator[bytes], _context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            self.asked.append((request, {}))
            yield self.id + b":" + request


Work = Callable[[BalancedChannel, list[Shop], aio.Board], Awaitable[None]]


def calling(orders: Service, count: int, work: Work, *, idempotent: Any = (GET,), **options: Any) -> None:
    """Run `work` with a channel to `count` servers."""

    async def all_of_it() -> None:
        shops = [Shop(f"{orders.name}-{number}") for number in range(count)]
        loop = asyncio.get_running_loop()
        for shop in shops:
            await shop.server.start()
            await loop.run_in_executor(None, orders.sign_in, shop.id.decode(), shop.port)
        try:
            async with (
                aio.connect(orders.registry, settings=settings(retry_floor_per_s=100.0)) as board,
                BalancedChannel(board, orders.name, idempotent=idempotent, **options) as channel,
            ):
                await known(board, orders, count)
                await work(channel, shops, board)
        finally:
            for shop in shops:
                await shop.server.stop(0)
                with contextlib.suppress(Exception):
                    await loop.run_in_executor(None, orders.sign_out, shop.id.decode())

    run(all_of_it())


async def known(board: aio.Board, orders: Service, count: int) -> None:
    async for snapshot in board.service(orders.name).watch():
        if len(snapshot.instances) == count:
            return


def test_each_call_goes_to_another_of_three_instances(orders: Service) -> None:
    async def work(channel: BalancedChannel, shops: list[Shop], _board: aio.Board) -> None:
        get = channel.unary_unary(GET)
        assert channel.addresses == frozenset()
        answers = [answer for _ in range(10) for answer in await asyncio.gather(*(get(b"7") for _ in range(6)))]
        assert len(answers) == 60
        assert {answer.partition(b":")[2] for answer in answers} == {b"7"}
        assert min(len(shop.asked) for shop in shops) > 3
        assert channel.addresses == {("127.0.0.1", shop.port) for shop in shops}
        assert shops[0].asked[0][1].get(":authority", orders.name) == orders.name

    calling(orders, 3, work)


def test_no_idempotent_call_fails_when_one_of_three_is_killed_midway(orders: Service) -> None:
    async def work(channel: BalancedChannel, shops: list[Shop], _board: aio.Board) -> None:
        get, answers = channel.unary_unary(GET), 0

        async def caller() -> None:
            nonlocal answers
            for _ in range(40):
                await get(b"7")
                answers += 1

        callers = [asyncio.create_task(caller()) for _ in range(4)]
        await until(lambda: answers > 40)
        await shops[0].server.stop(0)
        await asyncio.gather(*callers)
        assert answers == 160

    calling(orders, 3, work)


def test_a_call_that_reached_nobody_goes_to_another_instance_whatever_it_does(orders: Service) -> None:
    async def work(channel: BalancedChannel, shops: list[Shop], _board: aio.Board) -> None:
        await shops[0].server.stop(0)
        place, listed = channel.unary_unary(PLACE), channel.unary_stream(LIST)
        for _ in range(4):
            assert (await place(b"x")).startswith(shops[1].id)
            assert len([message async for message in listed(b"x")]) == 3

    calling(orders, 2, work)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED])
def test_a_call_that_was_sent_is_repeated_only_if_it_is_idempotent(orders: Service, code: grpc.StatusCode) -> None:
    async def work(channel: BalancedChannel, shops: list[Shop], _board: aio.Board) -> None:
        for shop in shops:
            shop.code = code
        for method, tries in ((PLACE, 1), (GET, 2)):
            before = sum(len(shop.asked) for shop in shops)
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await channel.unary_unary(method)(b"x")
            assert (raised.value.code(), raised.value.details()) == (code, "as told")
            assert sum(len(shop.asked) for shop in shops) == before + tries
        for shop in shops:
            shop.code = grpc.StatusCode.NOT_FOUND
        before = sum(len(shop.asked) for shop in shops)
        call = channel.unary_unary(GET)(b"x")
        assert await call.code() is grpc.StatusCode.NOT_FOUND
        assert await call.details() == "as told"
        assert sum(len(shop.asked) for shop in shops) == before + 1

    calling(orders, 2, work)


def test_the_deadline_spans_all_attempts_and_reaches_the_server(orders: Service) -> None:
    async def work(channel: BalancedChannel, shops: list[Shop], _board: aio.Board) -> None:
        get = channel.unary_unary(GET)
        with deadline.within(60.0):
            await get(b"x", timeout=100.0)
        assert 15 < max(shop.asked[0][1]["remaining"] for shop in shops if shop.asked) <= 60
        for shop in shops:
            shop.hang = True
        begun = time.monotonic()
        with Stopwatch() as watch, pytest.raises(grpc.aio.AioRpcError) as raised:
            await get(b"x", timeout=0.4)
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert time.monotonic() - begun > 0.3
        assert watch.seconds < 1.5
        with deadline.within(0.0):
            assert await get(b"x").code() is grpc.StatusCode.DEADLINE_EXCEEDED

    calling(orders, 2, work)


def test_a_hanging_instance_costs_an_idempotent_call_only_its_share(orders: Service) -> None:
    async def work(channel: BalancedChannel, shops: list[Shop], _board: aio.Board) -> None:
        shops[0].hang = True
        get = channel.unary_unary(GET)
        for _ in range(4):
            assert (await get(b"x", timeout=0.6)).startswith(shops[1].id)

    repeated_if_stopped(lambda: calling(orders, 2, work))


def test_all_four_forms_of_a_call(orders: Service) -> None:
    async def work(channel: BalancedChannel, shops: list[Shop], _board: aio.Board) -> None:
        me = shops[0].id
        call = channel.unary_unary(GET, lambda text: text.encode(), lambda data: data.decode())("7", metadata=(("who", "me"),))
        assert await call == f"{me.decode()}:7"
        assert (await call.initial_metadata())["from"] == me.decode()
        assert (await call.code(), await call.trailing_metadata() is None) == (grpc.StatusCode.OK, False)
        assert shops[0].asked[0][1]["who"] == "me"
        assert (call.done(), call.cancelled(), call.cancel()) == (True, False, False)

        listed = channel.unary_stream(LIST)
        assert [message async for message in listed(b"x")] == [me + b":0", me + b":1", me + b":2"]
        reading = listed(b"x")
        assert await reading.read() == me + b":0"

        async def numbers() -> AsyncIterator[bytes]:
            for number in range(4):
                yield b"%d" % number

        assert await channel.stream_unary(SUM)(numbers()) == me + b":6"
        writing = channel.stream_unary(SUM)()
        await writing.write(b"20")
        await writing.write(b"22")
        await writing.done_writing()
        assert await writing == me + b":42"

        chat = channel.stream_stream(CHAT)()
        for word in (b"one", b"two"):
            await chat.write(word)
            assert await chat.read() == me + b":" + word
        await chat.done_writing()
        assert await chat.read() is grpc.aio.EOF
        assert [answer async for answer in channel.stream_stream(CHAT)(numbers())] == [me + b":%d" % number for number in range(4)]

    calling(orders, 1, work)


def test_a_stream_occupies_its_instance_until_it_ends(orders: Service) -> None:
    async def work(channel: BalancedChannel, shops: list[Shop], _board: aio.Board) -> None:
        for shop in shops:
            shop.hang = True
        stream = channel.unary_stream(LIST)(b"x")
        await stream.read()
        busy, other = shops if shops[0].asked else shops[::-1]
        for shop in shops:
            shop.hang = False
        get = channel.unary_unary(GET)
        for _ in range(6):
            assert (await get(b"x")).startswith(other.id)
        stream.cancel()
        await until(lambda: busy.ended == ["cancelled"])
        for _ in range(10):
            await get(b"x")
        assert len(busy.asked) > 1

    calling(orders, 2, work, policy="p2c")


def test_a_cancelled_call_ends_at_the_server_and_says_nothing_against_it(orders: Service) -> None:
    async def work(channel: BalancedChannel, shops: list[Shop], board: aio.Board) -> None:
        outcomes: list[str] = []
        board.observe(lambda event: outcomes.append(event.outcome) if isinstance(event, AttemptEnded) else None)
        shops[0].hang = True
        waiting = asyncio.create_task(asyncio.wait_for(channel.unary_unary(GET)(b"x"), 100))
        await until(lambda: shops[0].asked)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        call = channel.unary_unary(GET)(b"x")
        await until(lambda: len(shops[0].asked) == 2)
        told: list[object] = []
        call.add_done_callback(told.append)
        assert (call.done(), call.cancel()) == (False, True)
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (call.done(), call.cancelled(), await call.code()) == (True, True, grpc.StatusCode.CANCELLED)
        await until(lambda: told == [call])
        stream = channel.unary_stream(LIST)(b"x")
        assert await stream.read()
        stream.cancel()
        await until(lambda: shops[0].ended == ["cancelled"])
        await until(lambda: len(outcomes) == 3)
        assert set(outcomes) <= {"cancelled", "200"}

    calling(orders, 1, work)


def test_a_stream_that_the_program_drops_is_cancelled(orders: Service) -> None:
    async def work(channel: BalancedChannel, shops: list[Shop], _board: aio.Board) -> None:
        shops[0].hang = True

        async def first() -> bytes:
            async for message in channel.unary_stream(LIST)(b"x"):
                return bytes(message)
            return b""

        assert await first() == shops[0].id + b":0"
        gc.collect()
        await until(lambda: shops[0].ended == ["cancelled"])

    calling(orders, 1, work)


def test_nobody_to_call_is_unavailable_and_says_why(orders: Service) -> None:
    async def work(channel: BalancedChannel, _shops: list[Shop], _board: aio.Board) -> None:
        call = channel.unary_unary(GET)(b"x")
        with pytest.raises(grpc.aio.AioRpcError, match="nobody is registered") as raised:
            await call
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        assert isinstance(raised.value.__cause__, NoInstanceError)
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
        assert (call.done(), call.cancelled()) == (True, False)

    calling(orders, 0, work)


def test_a_channel_is_closed_when_its_instance_is_gone_and_its_calls_ended(orders: Service) -> None:
    async def work(channel: BalancedChannel, shops: list[Shop], _board: aio.Board) -> None:
        shops[0].hang = True
        stream = channel.unary_stream(LIST)(b"x")
        await stream.read()
        await asyncio.get_running_loop().run_in_executor(None, orders.sign_out, shops[0].id.decode())
        await asyncio.sleep(0.3)
        assert channel.addresses == {("127.0.0.1", shops[0].port)}
        stream.cancel()
        await until(lambda: not channel.addresses)

    calling(orders, 1, work)


def test_an_instance_that_does_not_even_connect_costs_only_its_share(orders: Service) -> None:
    async def work(channel: BalancedChannel, shops: list[Shop], board: aio.Board) -> None:
        with black_hole() as port:
            await asyncio.get_running_loop().run_in_executor(None, orders.sign_in, "hole", port)
            await known(board, orders, 2)
            for _ in range(3):
                assert (await channel.unary_unary(PLACE)(b"x", timeout=0.6)).startswith(shops[0].id)
            await asyncio.get_running_loop().run_in_executor(None, orders.sign_out, "hole")

    repeated_if_stopped(lambda: calling(orders, 1, work))


def test_the_channel_behaves_as_one(orders: Service) -> None:
    async def work(channel: BalancedChannel, _shops: list[Shop], _board: aio.Board) -> None:
        assert isinstance(channel, grpc.aio.Channel)
        await channel.channel_ready()
        assert channel.get_state() is grpc.ChannelConnectivity.IDLE
        waiting = asyncio.create_task(channel.wait_for_state_change(grpc.ChannelConnectivity.IDLE))
        get = channel.unary_unary(GET, _registered_method=True)
        await get(b"x")
        await channel.close()
        await waiting
        await channel.close()
        assert channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN
        with pytest.raises(grpc.aio.UsageError):
            get(b"x")

    calling(orders, 1, work)
