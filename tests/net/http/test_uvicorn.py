"""What is used of uvicorn beyond its public face: each name, and one test of behaviour for each use."""

import asyncio
import inspect
import logging
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from callboard.net.http.behind import Behind, Uvicorn
from callboard.net.http.door import Door as QuickDoor
from callboard.net.http.hub import Hub
from callboard.net.http.quick import Quick
from callboard.net.http.routing import Router
from callboard.net.http.settings import HttpSettings
from tests.net.http.fake import World, request, run, until

App = Callable[[dict[str, Any], Callable[[], Awaitable[dict[str, Any]]], Callable[[dict[str, Any]], Awaitable[None]]], Awaitable[None]]


def test_the_minor_version_is_the_one_these_tests_were_written_for() -> None:
    assert uvicorn.__version__.split(".")[:2] == ["0", "54"]


def test_signatures_and_names() -> None:
    assert list(inspect.signature(HttpToolsProtocol.__init__).parameters) == ["self", "config", "server_state", "app_state", "_loop"]
    for name in (
        "on_message_begin",
        "on_url",
        "on_header",
        "on_headers_complete",
        "on_body",
        "on_message_complete",
        "on_response_complete",
    ):
        assert callable(getattr(HttpToolsProtocol, name))
    for name in ("_unset_keepalive_if_required", "send_400_response", "shutdown", "pause_writing", "resume_writing", "connection_lost"):
        assert callable(getattr(HttpToolsProtocol, name))
    assert {"response_complete", "response_started", "keep_alive"} <= set(RequestResponseCycle.__init__.__code__.co_names)
    assert {"connections", "tasks", "default_headers", "total_requests"} <= vars(ServerState()).keys()
    assert callable(FlowControl.pause_reading)


class Wire(asyncio.Transport):
    """A transport in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closing = False
        self.reading: list[bool] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        self.closing = True

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.reading.append(False)

    def resume_reading(self) -> None:
        self.reading.append(True)


class Door:
    """What `Behind` tells."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.asked: list[tuple[bytes, bytes]] = []

    def message_began(self) -> None:
        self.told.append("began")

    def head_ended(self) -> None:
        self.told.append("head")

    def between_messages(self) -> None:
        self.told.append("between")

    def body_max_bytes(self, method: bytes, target: bytes) -> int:
        self.asked.append((method, target))
        return 200 if target == b"/larger" else 100

    def refuse(self, status: int, detail: str, target: bytes = b"") -> None:
        self.told.append(f"{status} {target.decode()}")


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def behind(app: App) -> tuple[Behind, Door, Wire, Uvicorn]:
    ours = Uvicorn()
    ours.load(app)
    door, wire = Door(), Wire()
    protocol = Behind(door, HttpSettings(body_max_bytes=100), ours, asyncio.get_running_loop())
    protocol.connection_made(wire)
    return protocol, door, wire, ours


def test_a_body_above_the_limit_is_taken_where_its_route_takes_more() -> None:
    async def scenario() -> None:
        protocol, door, _, _ = behind(echo)
        protocol.data_received(request("POST /larger", body=b"x" * 150))
        assert door.asked == [(b"POST", b"/larger")]
        assert door.told == ["began", "head"]
        protocol.connection_lost(None)

    run(scenario())


def test_the_door_is_told_once_when_everything_is_answered() -> None:
    async def scenario() -> None:
        protocol, door, wire, ours = behind(echo)
        protocol.data_received(request("PUT /a", body=b"one") + request("PUT /b", body=b"two"))
        assert door.told == ["began", "head", "began", "head"]
        assert wire.reading == [False], "uvicorn stops reading while a request waits behind another"
        await until(lambda: door.told[-1] == "between")
        assert wire.written.endswith(b"two")
        assert wire.written.count(b"one") == 1
        assert wire.reading == [False, True]
        assert door.told == ["began", "head", "began", "head", "between"]
        await until(lambda: not ours.state.tasks)
        assert protocol in ours.state.connections
        protocol.connection_lost(None)
        assert protocol not in ours.state.connections

    run(scenario())


def test_a_message_that_begins_in_the_same_packet_takes_the_connection_back() -> None:
    async def scenario() -> None:
        async def hasty(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})

        protocol, door, wire, _ = behind(hasty)
        protocol.data_received(request("PUT /a", "content-length: 3"))
        await until(lambda: wire.written)
        assert door.told == ["began", "head"], "answered, but not yet read whole"
        protocol.data_received(b"one" + b"PUT /b HT")
        assert door.told == ["began", "head", "between", "began"]
        assert not protocol.between

    run(scenario())


def test_the_door_takes_no_body_for_a_request_when_an_answer_came_before_its_request_was_read() -> None:
    async def scenario() -> None:
        async def hasty(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
            await send({"type": "http.response.body", "body": b"hasty"})

        loop = asyncio.get_running_loop()
        hub = Hub(Router((World().site(),)), HttpSettings(), lambda: 1, loop, 0.0)
        hub.uvicorn.load(hasty)
        door, wire = QuickDoor(Quick(hub)), Wire()
        door.connection_made(wire)
        door.data_received(request("PUT /a", "transfer-encoding: chunked"))
        await until(lambda: wire.written.count(b"hasty") == 1)
        evil = request("GET /echo/evil")
        second = request("PUT /b", f"content-length: {len(evil)}", "expect: nothing")
        door.data_received(b"3\r\none\r\n0\r\n\r\n" + second)
        door.data_received(evil)
        await until(lambda: wire.written.count(b"hasty") == 2)
        assert b"evil" not in wire.written
        door.data_received(request("GET /echo/good"))
        assert b"good" in wire.written
        door.connection_lost(None)

    run(scenario())


def test_the_keep_alive_timer_is_unset() -> None:
    async def scenario() -> None:
        protocol, door, _, _ = behind(echo)
        protocol.data_received(request("GET /a"))
        await until(lambda: door.told[-1] == "between")
        assert protocol.timeout_keep_alive_task is None

    run(scenario())


def test_the_default_headers_are_those_of_the_state_at_the_time() -> None:
    async def scenario() -> None:
        protocol, _, wire, ours = behind(echo)
        for name in (b"x-one", b"x-two"):
            ours.state.default_headers = [(name, b"1")]
            wire.written = b""
            protocol.data_received(request("GET /a"))
            await until(lambda: wire.written)
            assert name + b": 1\r\n" in wire.written

    run(scenario())


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"nonsense\r\n\r\n", "400 "),
        (request("PUT /a", "content-length: 101"), "413 /a"),
        (request("PUT /a", "x: " + "y" * 20_000), "431 /a"),
        (request("PUT /a", "x: " + "y" * 20_000)[:-2], "431 /a"),
    ],
)
def test_a_refusal_stops_the_parser_and_starts_nothing(data: bytes, told: str) -> None:
    async def scenario() -> None:
        protocol, door, wire, ours = behind(echo)
        for at in range(0, len(data), 1000):
            protocol.data_received(data[at : at + 1000])
        protocol.data_received(request("GET /b"))
        assert door.told[-1] == told
        assert "head" not in door.told
        assert not ours.state.tasks
        assert wire.written == b""

    run(scenario())


def test_connection_lost_ends_the_request_that_is_under_way() -> None:
    async def scenario() -> None:
        seen: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.append((await receive())["type"])
            seen.append((await receive())["type"])

        protocol, _, wire, ours = behind(app)
        protocol.data_received(request("GET /a"))
        await until(lambda: seen)
        assert protocol.answering
        assert not protocol.answer_began
        protocol.connection_lost(ConnectionAbortedError())
        await until(lambda: not ours.state.tasks)
        assert seen == ["http.request", "http.disconnect"]
        assert not wire.closing, "an error leaves the transport to us"

    run(scenario())


def test_shutdown_lets_the_present_answer_be_the_last() -> None:
    async def scenario() -> None:
        protocol, _, wire, _ = behind(echo)
        protocol.data_received(request("GET /a"))
        protocol.shutdown()
        assert not wire.closing
        await until(lambda: wire.closing)
        assert b"connection: close" in wire.written
        idle, _, other, _ = behind(echo)
        idle.shutdown()
        assert other.closing

    run(scenario())


def test_a_slow_reader_pauses_the_application() -> None:
    async def scenario() -> None:
        protocol, _, wire, _ = behind(echo)
        protocol.pause_writing()
        protocol.data_received(request("GET /a"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not wire.written
        protocol.resume_writing()
        await until(lambda: wire.written)

    run(scenario())


def test_loading_it_touches_no_signal_and_no_log_but_its_own() -> None:
    before = signal.getsignal(signal.SIGTERM), list(logging.getLogger().handlers), logging.getLogger().level
    Uvicorn().load(echo)
    assert before == (signal.getsignal(signal.SIGTERM), list(logging.getLogger().handlers), logging.getLogger().level)
    assert logging.getLogger("uvicorn.error").level == logging.ERROR
    assert not logging.getLogger("uvicorn.access").hasHandlers()
