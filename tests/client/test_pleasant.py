"""What a user meets of the SDK: the same names on both sides, types that a checker knows, and values that say what they are."""

import asyncio
import inspect
import pydoc
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from types import ModuleType
from typing import assert_type

import pytest

import callboard
import callboard.aio
import callboard.client
from callboard.balance.endpoint import Endpoint
from callboard.client.engine import ClosedError
from callboard.client.errors import NoPictureError
from callboard.client.options import RegisterOptions, ServiceOptions
from callboard.client.settings import ClientSettings
from callboard.client.snapshot import Snapshot
from callboard.model.errors import InvalidError
from callboard.wire.native import CheckRequest
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
        registered.wait(60)
        orders = board.service("orders", tags=("a",))
        assert_type(orders, callboard.Service)
        assert_type(registered, callboard.Registered)
        assert_type(orders.fresh(60), Snapshot)
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
            await registered.wait(60)
            orders = board.service("orders")
            assert_type(orders, callboard.aio.Service)
            assert_type(registered, callboard.aio.Registered)
            assert_type(await orders.fresh(60), Snapshot)
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
    service.fresh(60)
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


@pytest.mark.parametrize("module", [callboard, callboard.client], ids=["callboard", "callboard.client"])
def test_a_prompt_completes_what_is_not_loaded_yet_and_help_shows_it(module: ModuleType) -> None:
    program = f"import {module.__name__} as it; print(*dir(it)); print(*sorted(vars(it)))"
    offered, loaded = (line.split() for line in subprocess.check_output([sys.executable, "-c", program], text=True).splitlines())
    assert {*module.__all__, "__getattr__"} <= {*offered}
    assert "connect" not in loaded
    assert "Opens no connection" in pydoc.render_doc(module)


@pytest.mark.parametrize(("method", "options"), [("register", RegisterOptions), ("service", ServiceOptions)])
def test_help_names_every_option(method: str, options: type) -> None:
    for board in (callboard.Board, callboard.aio.Board):
        said = inspect.getdoc(getattr(board, method)) or ""
        assert all(f" {name}" in said for name in options.__annotations__), said


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


@pytest.mark.parametrize("name", ["url", "token", "namespace", "zone", "snapshots"])
@pytest.mark.parametrize("connect", [callboard.connect, callboard.aio.connect])
def test_what_is_no_text_is_refused_by_its_name(connect: Callable[..., object], name: str) -> None:
    with pytest.raises(InvalidError, match=f"{name}: must be a text, is NoneType; leave it out for what the environment says"):
        connect(**{name: None})
    with pytest.raises(InvalidError, match="url: must be a text, is list; write a comma list"):
        connect(["http://127.0.0.1:1"])
    with pytest.raises(InvalidError, match=r"settings: must be BoardSettings, is dict; write callboard\.BoardSettings"):
        connect(settings={})


def test_options_of_another_kind_are_refused_where_they_are_said() -> None:
    with callboard.connect("http://127.0.0.1:1", snapshots="off") as board:
        for wrong in ([1], ["http://127.0.0.1:8000/health"], "http://127.0.0.1:8000/health", CheckRequest(ttl_ms=1_000), {"http": "x"}):
            with pytest.raises(
                InvalidError, match=r"checks: must be a list of CheckRequest, has .*; write \[callboard\.client\.CheckRequest"
            ):
                board.register("orders", checks=wrong)  # type: ignore[arg-type]
        with pytest.raises(InvalidError, match="labels: must be a mapping of texts, is 'slots'"):
            board.service("orders", labels="slots")  # type: ignore[arg-type]
        with pytest.raises(InvalidError, match="tags: must be a list of texts, is None"):
            board.service("orders", tags=None)  # type: ignore[arg-type]
        with pytest.raises(InvalidError, match="service: must not be empty"):
            board.instances("")


def test_a_loop_of_another_library_is_named_and_what_to_use_instead() -> None:
    """Trio drives coroutines as this does: by hand, with no loop of asyncio."""
    board = callboard.aio.connect("http://127.0.0.1:1", snapshots="off")
    for work in (board.__aenter__(), board.services(), board.service("orders").wait(), board.close()):
        with pytest.raises(RuntimeError, match=r"needs a running event loop of asyncio; under trio, use callboard\.connect\(\)"):
            work.send(None)
    asyncio.run(board.close())


def test_a_closed_board_answers_no_question_and_its_handles_are_stale(server: ServerProcess, space: str) -> None:
    board = callboard.connect(server.url, namespace=space, snapshots="off")
    orders = board.service("orders")
    orders.wait(60)
    before = orders.stale
    board.close()
    assert (before, orders.stale) == (False, True)
    for question in (board.services, lambda: board.instances("orders")):
        with pytest.raises(ClosedError, match=r"open another with callboard\.connect\(\)"):
            question()


def test_a_closed_board_says_so_and_what_to_do() -> None:
    board = callboard.connect("http://127.0.0.1:1", snapshots="off")
    orders = board.service("orders")
    board.close()
    with pytest.raises(NoPictureError, match=r"the board was closed\. Open another with callboard\.connect\(\)"):
        next(iter(orders.attempts()))
