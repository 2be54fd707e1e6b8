import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.client import deadline


def test_without_one_there_is_no_limit() -> None:
    assert deadline.remaining_s() is None
    with deadline.within(None):
        assert deadline.remaining_s() is None


def test_an_inner_one_shortens_and_never_extends() -> None:
    with deadline.within(1_000):
        with deadline.within(10_000):
            left = deadline.remaining_s()
            assert left is not None
            assert 900 < left <= 1_000
        with deadline.within(1):
            left = deadline.remaining_s()
            assert left is not None
            assert left <= 1
        with deadline.within(None):
            left = deadline.remaining_s()
            assert left is not None
            assert 900 < left <= 1_000
    assert deadline.remaining_s() is None


def test_one_that_has_passed_leaves_nothing() -> None:
    with deadline.within(-1):
        assert deadline.remaining_s() == 0


def test_it_is_the_threads_own_and_goes_along_into_tasks() -> None:
    seen: list[float | None] = []

    async def work() -> None:
        with deadline.within(5):
            left = await asyncio.create_task(asyncio.sleep(0, deadline.remaining_s()))
            seen.append(left)
        seen.append(deadline.remaining_s())

    with deadline.within(1):
        thread = threading.Thread(target=lambda: seen.append(deadline.remaining_s()))
        thread.start()
        thread.join()
        asyncio.run(work())
    assert seen[0] is None
    assert all(left is not None and left <= 1 for left in seen[1:])


@pytest.mark.parametrize(("text", "seconds"), [("1500", 1.5), (" 0 ", 0.0), ("", None), ("-5", None), ("1.5", None), ("١٢", None)])
def test_the_header_is_a_whole_number_of_milliseconds(text: str, seconds: float | None) -> None:
    assert deadline.from_header(text) == seconds


@given(st.text(max_size=80) | st.integers(0).map(str))
def test_no_header_breaks_it(text: str) -> None:
    seconds = deadline.from_header(text)
    assert seconds is None or 0 <= seconds <= 1e9
