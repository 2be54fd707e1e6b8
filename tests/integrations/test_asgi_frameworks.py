"""Starlette, FastAPI and Litestar in one process: what the lifespan gives the application, and what goes wrong without it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import fastapi
import fastapi.testclient
import litestar
import litestar.di
import litestar.testing
import pytest
import starlette.applications
import starlette.requests
import starlette.responses
import starlette.routing
import starlette.testclient

from callboard import aio
from callboard.integrations import fastapi as for_fastapi
from callboard.integrations import litestar as for_litestar
from callboard.integrations import starlette as for_starlette
from callboard.model.errors import InvalidError

NOWHERE = "http://127.0.0.1:9"


def test_fastapi_hands_out_one_board_one_registration_and_one_handle() -> None:
    seen: list[Any] = []
    users = for_fastapi.service("users", version="^2")

    @asynccontextmanager
    async def own(app: fastapi.FastAPI) -> AsyncIterator[dict[str, str]]:
        assert isinstance(app.state.callboard, aio.Board)
        yield {"colour": "blue"}

    app = fastapi.FastAPI(lifespan=for_fastapi.lifespan("orders", url=NOWHERE, port=1, inner=own))

    @app.get("/")
    async def index(
        request: fastapi.Request,
        board: Annotated[aio.Board, fastapi.Depends(for_fastapi.board)],
        registered: Annotated[aio.Registered, fastapi.Depends(for_fastapi.registered)],
        one: Annotated[for_fastapi.Service, fastapi.Depends(users)],
        same: Annotated[for_fastapi.Service, fastapi.Depends(for_fastapi.service("users", version="^2"))],
        other: Annotated[for_fastapi.Service, fastapi.Depends(for_fastapi.service("users"))],
    ) -> str:
        seen.extend([board, registered, one, same, other])
        return str(request.state.colour)

    with fastapi.testclient.TestClient(app) as client:
        assert client.get("/").json() == "blue"
    board, registered, one, same, other = seen
    assert app.state.callboard is board
    assert registered.service == "orders"
    assert one is same
    assert one is not other
    assert registered.state == "ended", "the lifespan is over"


def test_starlette_hands_out_the_same() -> None:
    seen: list[Any] = []

    async def index(request: starlette.requests.Request) -> starlette.responses.Response:
        seen.extend([for_starlette.board(request), for_starlette.registered(request)])
        seen.extend([for_starlette.service(request, "users"), for_starlette.service(request, "users")])
        return starlette.responses.Response()

    app = starlette.applications.Starlette(
        routes=[starlette.routing.Route("/", index)], lifespan=for_starlette.lifespan("orders", url=NOWHERE, port=1)
    )
    with starlette.testclient.TestClient(app) as client:
        assert client.get("/").status_code == 200
    board, registered, one, same = seen
    assert isinstance(board, aio.Board)
    assert registered.service == "orders"
    assert one is same


def test_litestar_hands_out_the_same() -> None:
    seen: list[Any] = []

    @litestar.get("/")
    async def index(request: litestar.Request[Any, Any, Any], users: litestar.di.NamedDependency[for_litestar.Service]) -> None:
        seen.extend([for_litestar.board(request), for_litestar.registered(request), users])

    app = litestar.Litestar(
        [index],
        lifespan=[for_litestar.lifespan("orders", url=NOWHERE, port=1)],
        middleware=[for_litestar.CallboardMiddleware],
        dependencies={"users": for_litestar.service("users")},
    )
    with litestar.testing.TestClient(app) as client:
        assert client.get("/").status_code == 200
        assert client.get("/").status_code == 200
    board, registered, users, *again = seen
    assert isinstance(board, aio.Board)
    assert again == [board, registered, users]


def test_without_a_port_the_application_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORT", raising=False)
    app = fastapi.FastAPI(lifespan=for_fastapi.lifespan("orders", url=NOWHERE))
    with pytest.raises(InvalidError, match="port: say port="), fastapi.testclient.TestClient(app):
        pass


def test_a_wrong_option_stops_the_application_at_its_start() -> None:
    app = fastapi.FastAPI(lifespan=for_fastapi.lifespan("orders", url=NOWHERE, port=1, weight=-1))
    with pytest.raises(InvalidError, match="weight"), fastapi.testclient.TestClient(app):
        pass


def test_without_its_lifespan_a_request_is_told_what_is_missing() -> None:
    app = fastapi.FastAPI()

    @app.get("/")
    async def index(users: Annotated[for_fastapi.Service, fastapi.Depends(for_fastapi.service("users"))]) -> None: ...

    with pytest.raises(InvalidError, match="give it lifespan="):
        fastapi.testclient.TestClient(app).get("/")


def test_what_the_users_lifespan_fails_with_comes_out_and_leaves_nothing_behind() -> None:
    opened: list[str] = []

    @asynccontextmanager
    async def own(app: fastapi.FastAPI) -> AsyncIterator[None]:
        if not opened:
            raise ValueError("no database")
        yield

    app = fastapi.FastAPI(lifespan=for_fastapi.lifespan("orders", url=NOWHERE, port=1, inner=own))
    with pytest.raises(ValueError, match="no database"), fastapi.testclient.TestClient(app):
        pass
    assert not hasattr(app.state, "callboard_registered")


def test_the_middleware_counts_a_streamed_answer_to_its_end() -> None:
    registered: list[aio.Registered] = []
    counts: list[int] = []
    app = fastapi.FastAPI(lifespan=for_fastapi.lifespan("orders", url=NOWHERE, port=1))
    app.add_middleware(for_fastapi.CallboardMiddleware)

    @app.get("/")
    async def index(one: Annotated[aio.Registered, fastapi.Depends(for_fastapi.registered)]) -> fastapi.responses.StreamingResponse:
        async def pieces() -> AsyncIterator[str]:
            for _ in range(3):
                await asyncio.sleep(0)
                counts.append(one.in_flight)
                yield "piece"

        registered.append(one)
        return fastapi.responses.StreamingResponse(pieces())

    with fastapi.testclient.TestClient(app) as client:
        assert client.get("/").text == "piece" * 3
        assert counts == [1, 1, 1]
        assert registered[0].in_flight == 0
