"""Long work in steps: once for all who wait for it, with turns for others, and an end whatever happens."""

import asyncio

import pytest

from callboard.net.gradual import Gradually


class Work:
    """So many steps; notes each, and what others did between."""

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.log: list[str] = []

    def step(self, name: str) -> bool:
        """One of them."""
        self.left -= 1
        self.log.append(name)
        return self.left <= 0

    async def others(self) -> None:
        """A turn of somebody else's, again and again."""
        while self.left > 0:
            self.log.append("-")
            await asyncio.sleep(0)


def test_others_have_a_turn_between_steps_and_all_who_wait_are_told_once() -> None:
    async def story() -> tuple[list[str], list[int]]:
        work, told = Work(4), list[int]()
        gradually = Gradually(work.step)
        for waiter in range(3):
            gradually.done("a").then(lambda _, waiter=waiter: told.append(waiter))  # type: ignore[misc]  # its default
        assert told == []
        await work.others()
        await asyncio.sleep(0)
        return work.log, told

    log, told = asyncio.run(story())
    assert [word for word in log if word != "-"] == ["a"] * 4
    assert "-".join(["a"] * 4) in "".join(log)
    assert told == [0, 1, 2]


def test_what_is_asked_for_again_is_begun_again() -> None:
    async def story() -> list[str]:
        work = Work(1)
        gradually = Gradually(work.step)
        for name in ("a", "a", "b"):
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            gradually.done(name).then(done.set_result)
            await done
        return work.log

    assert asyncio.run(story()) == ["a", "a", "b"]


@pytest.mark.parametrize("good", [0, 1])
def test_an_error_ends_the_wait_and_is_the_loops(good: int) -> None:
    """Who waits is told once, and never also by an exception: a connection would answer twice."""

    async def story() -> None:
        loop, steps, failures, told = asyncio.get_running_loop(), iter([False] * good), list[object](), list[int]()
        loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))

        def step(_: str) -> bool:
            for done in steps:
                return done
            raise ValueError("no")

        gradually = Gradually(step)
        for waiter in range(2):
            gradually.done("a").then(lambda _, waiter=waiter: told.append(waiter))  # type: ignore[misc]  # its default
        for _ in range(good + 4):
            await asyncio.sleep(0)
        assert told == [0, 1]
        assert [str(failure) for failure in failures] == ["no"]

    asyncio.run(story())
