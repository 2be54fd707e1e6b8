"""Whether another process still answers: silence is counted in time that this process has lived through."""

import asyncio

import pytest

from callboard.model.time import SECOND
from callboard.server.workers.silence import answered
from callboard.testing.clock import VirtualClock
from callboard.testing.loop import run_virtual

PATIENCE_MS = 15_000


async def answer(after_s: float, what: bytes | None = b"here") -> bytes | None:
    await asyncio.sleep(after_s)
    return what


@pytest.mark.parametrize(
    ("after_s", "what", "there"), [(0, b"", True), (14.5, b"", True), (15.5, b"", False), (1e9, b"", False), (0, None, False)]
)
def test_an_answer_in_time_is_one(after_s: float, what: bytes | None, there: bool) -> None:
    clock = VirtualClock()
    begin = clock.now()
    assert run_virtual(answered(answer(after_s, what), PATIENCE_MS), clock) is there
    assert clock.now() - begin <= 15.1 * SECOND, "nobody waits longer than that"


def test_a_pause_of_this_process_is_no_silence_of_the_other() -> None:
    """The answer lies in a socket meanwhile: it is read after all timers whose time is over."""
    clock = VirtualClock()

    async def play() -> bool:
        came: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def asking() -> bytes:
            return await came

        def pause() -> None:
            clock.advance(3_600 * SECOND)
            asyncio.get_running_loop().call_later(0.1, came.set_result, b"here")

        asyncio.get_running_loop().call_later(0.1, pause)
        return await answered(asking(), PATIENCE_MS)

    assert run_virtual(play(), clock)
