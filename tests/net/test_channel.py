"""What two processes of one server say to each other: over real sockets, in one loop."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from callboard.net.channel import Channel, ChannelError, FailedError, Limits
from callboard.net.sharing import Sharing, bind
from callboard.net.tasks import spawn
from tests.support import run

LIMITS = Limits(frame_max_bytes=10_000, calls_max_count=8, window_bytes=1_000, unread_max_bytes=100_000)


class Echo:
    """Answers with what it was asked; counts what it has streamed."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, bytes]] = []
        self.streamed_count = 0
        self.held = asyncio.Event()
        self.holds = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.is_over = False

    async def asked(self, kind: str, body: bytes) -> bytes:
        if kind == "fail":
            raise FailedError(body)
        if kind == "bug":
            raise ZeroDivisionError
        if kind == "hold":
            try:
                self.holds.set()
                await self.held.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        return body

    async def streamed(self, kind: str, body: bytes) -> AsyncIterator[bytes]:
        for number in range(int(body)):
            self.streamed_count += 1
            yield b"%d" % number if kind == "count" else b"x" * 100
        if kind == "broken":
            raise FailedError(b"why")

    def told(self, kind: str, body: bytes) -> None:
        self.notes.append((kind, body))

    def ended(self) -> None:
        self.is_over = True


def paired(test: Callable[[Channel, Channel, Echo], Awaitable[None]], limits: Limits = LIMITS) -> None:
    """Run a test with both ends of a channel; the second has the echo."""

    async def both() -> None:
        ours, theirs = socket.socketpair()
        echo = Echo()
        one, other = await Channel.open(ours, limits, Echo()), await Channel.open(theirs, limits, echo)
        try:
            async with asyncio.timeout(30):
                await test(one, other, echo)
        finally:
            await one.close()
            await other.close()

    run(both())


def test_questions_are_answered_each_with_its_own() -> None:
    async def test(one: Channel, _other: Channel, _echo: Echo) -> None:
        answers = await asyncio.gather(*(one.ask("echo", b"%d" % number * 900) for number in range(8)))
        assert answers == [b"%d" % number * 900 for number in range(8)]

    paired(test)


def test_what_went_wrong_is_told_and_a_bug_is_called_one(caplog: pytest.LogCaptureFixture) -> None:
    async def test(one: Channel, _other: Channel, _echo: Echo) -> None:
        with pytest.raises(FailedError) as failed:
            await one.ask("fail", b"like so")
        assert failed.value.told == b"like so"
        with pytest.raises(ChannelError, match="failed"):
            await one.ask("bug")
        assert await one.ask("echo", b"on it goes") == b"on it goes"

    paired(test)
    assert "channel bug failed" in caplog.text


def test_a_stream_comes_in_order_and_ends_as_it_was_meant() -> None:
    async def test(one: Channel, _other: Channel, _echo: Echo) -> None:
        assert [part async for part in one.stream("count", b"500")] == [b"%d" % number for number in range(500)]
        with pytest.raises(FailedError):
            [part async for part in one.stream("broken", b"3")]

    paired(test)


def test_a_stream_that_is_not_read_waits() -> None:
    async def test(one: Channel, _other: Channel, echo: Echo) -> None:
        parts = one.stream("x", b"1000")
        await anext(parts)
        for _ in range(50):
            assert await one.ask("echo", b"others go on") == b"others go on"
        assert echo.streamed_count <= 12
        assert len([part async for part in parts]) == 999

    paired(test)


def test_who_reads_no_further_stops_the_stream() -> None:
    async def test(one: Channel, _other: Channel, echo: Echo) -> None:
        parts = one.stream("x", b"1000")
        await anext(parts)
        await parts.aclose()
        for _ in range(20):
            await one.ask("echo")
        assert echo.streamed_count <= 12

    paired(test)


def test_who_gives_up_a_question_cancels_it() -> None:
    async def test(one: Channel, _other: Channel, echo: Echo) -> None:
        asking = spawn(one.ask("hold"), name="asking")
        await echo.holds.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await echo.cancelled.wait()

    paired(test)


def test_who_waits_is_told_when_the_other_side_goes() -> None:
    async def test(one: Channel, other: Channel, _echo: Echo) -> None:
        waiting = spawn(one.ask("hold"), name="waiting")
        await one.ask("echo")
        other.abort()
        with pytest.raises(ChannelError) as error:
            await waiting
        assert error.value.sent
        await one.over
        with pytest.raises(ChannelError) as late:
            await one.ask("echo")
        assert not late.value.sent
        with pytest.raises(ChannelError):
            one.tell("note")

    paired(test)


def test_limits_hold(caplog: pytest.LogCaptureFixture) -> None:
    async def test(one: Channel, _other: Channel, echo: Echo) -> None:
        with pytest.raises(ChannelError, match="frame_max_bytes") as large:
            await one.ask("echo", b"x" * 10_001)
        assert not large.value.sent
        holding = [spawn(one.ask("hold"), name="holding") for _ in range(8)]
        await asyncio.sleep(0)
        with pytest.raises(ChannelError, match="calls_max_count"):
            await one.ask("echo")
        echo.held.set()
        await asyncio.gather(*holding)

    paired(test)
    assert "cut" not in caplog.text


def _tell_often(channel: Channel) -> None:
    for _ in range(1_000):
        channel.tell("note", b"x" * 9_000)


def test_an_answer_that_is_too_large_is_told_as_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    class Talkative(Echo):
        async def asked(self, kind: str, body: bytes) -> bytes:
            return body * 100

        async def streamed(self, kind: str, body: bytes) -> AsyncIterator[bytes]:
            yield body
            yield body * 100

    async def test() -> None:
        ours, theirs = socket.socketpair()
        one, other = await Channel.open(ours, LIMITS, Echo()), await Channel.open(theirs, LIMITS, Talkative())
        try:
            async with asyncio.timeout(30):
                with pytest.raises(ChannelError, match="the other side failed"):
                    await one.ask("much", b"x" * 1_000)
                with pytest.raises(ChannelError, match="the other side failed"):
                    [part async for part in one.stream("much", b"x" * 1_000)]
                assert await one.ask("less", b"x") == b"x" * 100
        finally:
            await one.close()
            await other.close()

    run(test())
    assert "frame_max_bytes" in caplog.text


def test_a_side_that_does_not_read_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        ours, theirs = socket.socketpair()
        echo = Echo()
        channel = await Channel.open(ours, LIMITS, echo)
        with theirs, pytest.raises(ChannelError):
            _tell_often(channel)
        await channel.over
        assert echo.is_over
        await channel.close()

    with caplog.at_level(logging.ERROR):
        run(test())
    assert "does not read" in caplog.text


@pytest.mark.parametrize("noise", [b"\xff\xff\xff\xff", b"\0\0\0\3abc", b"\0\0\0\0"])
def test_noise_ends_the_channel(noise: bytes) -> None:
    async def test() -> None:
        ours, theirs = socket.socketpair()
        channel = await Channel.open(ours, LIMITS, Echo())
        with theirs:
            theirs.sendall(noise)
            async with asyncio.timeout(30):
                await channel.over
        await channel.close()

    run(test())


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_is_shared_with_those_that_come_after_the_first_and_with_nobody_before(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as first, socket.socket(socket.AF_INET, kind) as following:
        bind(first, ("127.0.0.1", 0), Sharing.FIRST)
        bind(following, first.getsockname(), Sharing.NEXT)
        for sharing in (Sharing.FIRST, Sharing.ALONE):
            with socket.socket(socket.AF_INET, kind) as foreign, pytest.raises(OSError, match="in use"):
                bind(foreign, first.getsockname(), sharing)
