"""What a user meets of the SDK: the same names on both sides, types that a checker knows, and values that say what they are."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Iterator
from typing import assert_type

import pytest

import callboard
import callboard.aio
from callboard.balance.endpoint import Endpoint
from callboard.client.errors import NoPictureError
from callboard.client.settings import ClientSettings
from callboard.client.snapshot import Snapshot
from callboard.model.errors import InvalidError
from tests.client.states import fake_engine, state
from tests.servers import ServerProcess, free_port
from tests.support import poll_until

PAIRS = [
    (callboard.Board, callboard.aio.Board),
    (callboard.Service, callboard.aio.Service),
    (callboard.Registered, callboard.aio.Registered),
    (callboard.connect, callboard.aio.connect),
]


def public(kind: object) -> dict[str, object]:
    return {name: inspect.getattr_static(kind, name) for name in dir(kind) if not name.startswith("_")}


@pytest.mark.parametrize(("blocking", "awaited"), PAIRS)
def test_both_sides_have_the_same_names_and_take_the_same_arguments(blocking: object, awaited: object) -> None:
    here, there = public(blocking), public(awaited)
    assert here.keys() == there.keys()
    for name, one in here.items():
        other = there[name]
        assert isinstance(one, property) == isinstance(other, property), name
        if callable(one):
            assert inspect.signature(one).parameters == inspect.signature(other).parameters, name  # type: ignore[arg-type]
            assert inspect.getdoc(one), name
        assert inspect.getdoc(other), name


def test_both_modules_offer_the_same() -> None:
    assert {*callboard.__all__} - {"aio", "__version__"} == {*callboard.aio.__all__}
    assert all(getattr(callboard, name) is not None for name in callboard.__all__)
    with pytest.raises(AttributeError, match="nothing_of_this_name"):
        _ = callboard.nothing_of_this_name


def test_a_blocking_program_is_typed(server: ServerProcess, space: str) -> None:
    with callboard.connect(server.url, namespace=space, snapshots="off") as board, board.register("orders", tags=["a"]) as registered:
        registered.wait(5)
        orders = board.service("orders", tags=("a",))
        assert_type(orders, callboard.Service)
        assert_type(registered, callboard.Registered)
        assert_type(orders.fresh(5), Snapshot)
        assert_type(orders.watch(), Iterator[Snapshot])
        with orders.pick() as endpoint:
            assert_type(endpoint, Endpoint)
        for attempt in orders.attempts(idempotent=False):
            assert_type(attempt, callboard.Attempt)
            assert_type(attempt.answered(200), bool)
        assert_type(registered.drain(wait=False), bool)


def test_a_program_for_asyncio_is_typed(server: ServerProcess, space: str) -> None:
    async def main() -> None:
        async with callboard.aio.connect(server.url, namespace=space, snapshots="off") as board, board.register("orders") as registered:
            await registered.wait(5)
            orders = board.service("orders")
            assert_type(orders, callboard.aio.Service)
            assert_type(registered, callboard.aio.Registered)
            assert_type(await orders.fresh(5), Snapshot)
            assert_type(orders.watch(), AsyncGenerator[Snapshot, None])
            async with orders.pick() as endpoint:
                assert_type(endpoint, Endpoint)
            async for attempt in orders.attempts():
                assert_type(attempt, callboard.aio.Attempt)
                assert_type(attempt.answered(200), bool)
            assert_type(await registered.drain(wait=False), bool)

    asyncio.run(main())


def test_what_is_printed_says_what_it_is() -> None:
    engine, backend = fake_engine()
    board = callboard.Board(callboard.BoardSettings(snapshots="off"))
    assert repr(board) == "<Board at http://127.0.0.1:8500, name space public>"
    board.close()
    assert repr(board) == "<Board at http://127.0.0.1:8500, name space public, closed>"
    service = callboard.Service(engine, "web", {})
    assert repr(service) == "<Service 'web': nothing is known yet>"
    poll_until(lambda: backend.feeds)
    backend.feed.tell(state("one", 81))
    service.fresh(5)
    assert repr(service) == "<Service 'web': 1 of 1 instances are called>"
    assert repr(next(iter(service.attempts()))) == "<Attempt 1 of 'web' at http://127.0.0.1:81>"
    engine.close()


def test_a_registration_that_is_printed_says_what_is_missing() -> None:
    with callboard.connect("http://127.0.0.1:1", snapshots="off") as board:
        registered = board.register("orders", id="one", address="127.0.0.1", port=free_port())
        poll_until(lambda: registered.error is not None)
        assert repr(registered).startswith(f"<Registered one: starting (port {registered.port} does not accept at 127.0.0.1:")


def test_a_token_is_not_printed() -> None:
    settings = ClientSettings(token="secret")
    assert "secret" not in repr(callboard.BoardSettings(client=settings))
    assert "token='***'" in repr(settings)
    assert "token=''" in repr(ClientSettings())


def test_a_misspelt_argument_is_refused_as_by_any_function() -> None:
    with callboard.connect("http://127.0.0.1:1", snapshots="off") as board:
        with pytest.raises(TypeError, match=r"register\(\) got an unexpected argument 'prot'; it takes .*port"):
            board.register("orders", prot=8000)  # type: ignore[call-arg]
        with pytest.raises(TypeError, match=r"service\(\) got an unexpected argument 'ploicy'; it takes .*policy"):
            board.service("orders", ploicy="p2c")  # type: ignore[call-arg]


def test_one_text_for_several_and_numbers_for_texts_are_refused_with_the_next_step() -> None:
    with callboard.connect("http://127.0.0.1:1", snapshots="off") as board:
        for begin in (board.register, board.service):
            with pytest.raises(InvalidError, match=r"tags: must be a list of texts, is 'web'; write \['web'\]"):
                begin("orders", tags="web")
            with pytest.raises(InvalidError, match=r"tags: .* write \['1'\]"):
                begin("orders", tags=[1])  # type: ignore[list-item]
        with pytest.raises(InvalidError, match="meta: 3 of 'slots' must be a text; write '3'"):
            board.register("orders", meta={"slots": 3})  # type: ignore[dict-item]
        with pytest.raises(InvalidError, match="labels: 3 of 'slots' must be a text; write '3'"):
            board.service("orders", labels={"slots": 3})  # type: ignore[dict-item]


def test_a_closed_board_says_so_and_what_to_do() -> None:
    board = callboard.connect("http://127.0.0.1:1", snapshots="off")
    orders = board.service("orders")
    board.close()
    with pytest.raises(NoPictureError, match=r"the board was closed\. Open another with callboard\.connect\(\)"):
        next(iter(orders.attempts()))
