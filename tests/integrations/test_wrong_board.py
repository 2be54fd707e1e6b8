"""A board of the wrong kind is refused where it is given, and not at the first call."""

import asyncio
import importlib
from collections.abc import Callable
from typing import Any

import pytest

import callboard
import callboard.aio
from callboard.integrations.grpc import BalancedChannel

NOWHERE = "http://127.0.0.1:9"
Made = Callable[[Any], object]


def of(module: str, name: str) -> Made:
    made: Made = getattr(importlib.import_module(f"callboard.integrations.{module}"), name)
    return made


FOR_THREADS = [(module, name) for module in ("httpx", "httpx2") for name in ("client", "Transport")] + [
    ("requests", "session"),
    ("requests", "Adapter"),
]
FOR_ASYNCIO = [(module, name) for module in ("httpx", "httpx2") for name in ("async_client", "AsyncTransport")] + [
    ("aiohttp", "session"),
    ("aiohttp", "ServiceMiddleware"),
]


@pytest.mark.parametrize(("module", "name"), FOR_THREADS)
def test_threads_are_not_given_a_board_for_asyncio(module: str, name: str) -> None:
    async def give() -> None:
        async with callboard.aio.connect(NOWHERE) as board:
            with pytest.raises(TypeError, match=r"needs a board of callboard\.connect\(\), not a board of callboard\.aio"):
                of(module, name)(board)

    asyncio.run(give())
    with callboard.connect(NOWHERE) as board:
        of(module, name)(board)


@pytest.mark.parametrize(("module", "name"), FOR_ASYNCIO)
def test_asyncio_is_not_given_a_board_for_threads(module: str, name: str) -> None:
    with (
        callboard.connect(NOWHERE) as board,
        pytest.raises(TypeError, match=r"needs a board of callboard\.aio\.connect\(\), not a board of"),
    ):
        of(module, name)(board)


def test_a_balanced_channel_is_not_given_a_board_for_threads() -> None:
    with (
        callboard.connect(NOWHERE) as board,
        pytest.raises(TypeError, match=r"BalancedChannel needs a board of callboard\.aio\.connect\(\)"),
    ):
        BalancedChannel(board, "orders")  # type: ignore[arg-type]  # that is the mistake


def test_the_error_names_what_to_use_instead() -> None:
    with callboard.connect(NOWHERE) as board, pytest.raises(TypeError, match=r"; or use client\(\) or Transport$"):
        of("httpx", "async_client")(board)


@pytest.mark.parametrize("wrong", [NOWHERE, None])
def test_what_is_no_board_at_all_is_refused_too(wrong: object) -> None:
    for module, name in (*FOR_THREADS, *FOR_ASYNCIO[:-2], ("aiohttp", "ServiceMiddleware")):
        with pytest.raises(TypeError, match=r"needs a board of callboard"):
            of(module, name)(wrong)
