"""Every example of the API's description is sent, and answered as it says."""

from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import pytest

from callboard.client.machine.sse import SseParser
from callboard.frontend.native import table
from callboard.frontend.native.examples import STORY, VARYING, Exchange
from callboard.frontend.native.operations import Operation
from callboard.net.http.message import Stream
from callboard.testing.frontend_suite_harnesses import NativeHarness
from callboard.testing.frontend_suite_kit import Door, MadeRequest, Sample, World

UNTOLD = {"backup", "openapi"}
"""Their answers are too long for an example."""


def target_of(exchange: Exchange) -> str:
    query = "?" + urlencode(exchange.query) if exchange.query else ""
    return exchange.operation.prefix + quote(exchange.subject, safe="") + query


def steady(value: Any) -> Any:
    """The value with the type in place of what is another one each time."""
    if isinstance(value, dict):
        return {name: type(inner).__name__ if name in VARYING else steady(inner) for name, inner in value.items()}
    return [steady(inner) for inner in value] if isinstance(value, list) else value


def as_json(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def told(text: str) -> list[tuple[str, Any]]:
    """The events of a stream."""
    return [(event.event, steady(msgspec.json.decode(event.data))) for event in SseParser().feed(text.encode())]


def beginning(door: Door, exchange: Exchange) -> str:
    """A stream until it has told everything there is."""
    route = next(route for site in door.frontend.sites for route in site.routes if route.path == exchange.operation.prefix)
    reply = route.handler(MadeRequest(Sample(exchange.operation.method, target_of(exchange)), exchange.operation.path))
    assert isinstance(reply, Stream)
    chunks = reply.chunks

    async def until_ready() -> str:
        text = ""
        async for chunk in chunks:
            text += chunk.decode()
            if "event: ready" in text:
                return text
        raise AssertionError(text)

    return door.world.run(until_ready())


def test_the_story_is_true() -> None:
    with World((NativeHarness(),), virtual=True) as world:
        door = world.door(NativeHarness())
        for exchange in STORY:
            if isinstance(exchange.answer, str):
                assert told(beginning(door, exchange)) == told(exchange.answer)
                continue
            body = msgspec.json.encode(exchange.body) if exchange.body is not None else b""
            answer = door.call(exchange.operation.method, target_of(exchange), body)
            assert answer.status == exchange.status, answer
            assert (exchange.name, steady(msgspec.json.decode(answer.body))) == (exchange.name, steady(as_json(exchange.answer)))


@pytest.mark.parametrize("operation", [one for one in table.TABLE if one.name not in UNTOLD], ids=lambda one: one.name)
def test_every_operation_has_an_example(operation: Operation) -> None:
    assert any(exchange.operation is operation and exchange.status < 400 for exchange in STORY)


def test_names_of_examples_are_their_own() -> None:
    assert len({(exchange.operation.name, exchange.name) for exchange in STORY}) == len(STORY)
