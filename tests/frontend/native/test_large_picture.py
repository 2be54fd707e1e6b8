"""The first picture of a watch over more than is gathered in one go: of one revision, in order, and with time for others."""

import asyncio
from collections.abc import Iterator

import pytest

from callboard.core.catalog import queries
from callboard.core.catalog.commands import DeregisterNode, Register, SetMaintenance
from callboard.core.catalog.queries import Found
from callboard.core.catalog.view import View
from callboard.frontend.native import translate_watch
from callboard.frontend.native.settings import NativeSettings
from callboard.frontend.native.translate_watch import Scope
from callboard.model.instance import NodeSpec, Placed
from callboard.net.http.message import Stream
from callboard.testing.frontend_suite_harnesses import NativeHarness
from callboard.testing.frontend_suite_kit import World
from tests.frontend.native.conftest import Api
from tests.frontend.native.test_watch import Reader, open_watch

AT_ONCE = 3
STEP = 2
HOSTS = ("10.0.0.1", "10.0.0.2")


class Small(NativeHarness):
    """Slices of two."""

    settings = NativeSettings(watcher_slice_count=STEP)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setattr(translate_watch, "_AT_ONCE_MAX_COUNT", AT_ONCE)
    with World((Small(),), virtual=True) as world:
        api = Api(world)
        for number in (6, 2, 4, 0, 5, 1, 3):
            api.register("web", HOSTS[number % 2], id=f"i{number}", checks=[{"id": f"c{number}", "status": "passing", "ttl_ms": 600_000}])
        api.register("db", HOSTS[0])
        yield api


ORDER = [("added", name) for name in ("db", "i0", "i2", "i4", "i6", "i1", "i3", "i5")]


@pytest.mark.parametrize("query", ["", "?service=web&service=db"])
def test_it_is_in_order_however_it_was_put_there(small: Api, query: str) -> None:
    assert Reader(small, query).kinds() == [*ORDER, ("ready", "")]


def test_it_shows_one_revision_however_slowly_it_is_read(small: Api) -> None:
    reader = Reader(small)
    reader.take_one()
    before = {instance: "passing" for _, instance in ORDER}
    node = NodeSpec(name="10-0-0-1", address="10.0.0.1")
    small.world.submit(SetMaintenance(nonce="m", node=node, enable=True))
    small.world.submit(Register(nonce="r", node=NodeSpec(name="10-0-0-2", address="10.9.9.9")))
    small.ok("PUT", "/heartbeat/i1", {"status": "critical"}, peer=HOSTS[1])
    told = reader.instances()
    assert {instance["id"]: instance["status"] for instance in told[: len(before)]} == before
    assert {instance["address"] for instance in told[: len(before)]} == set(HOSTS)
    after = {instance["id"]: instance["status"] for instance in told[len(before) :]}
    assert after == {
        "db": "maintenance",
        **dict.fromkeys(("i0", "i2", "i4", "i6"), "maintenance"),
        "i1": "critical",
        "i3": "passing",
        "i5": "passing",
    }


def test_what_goes_while_it_is_read_is_told_after_it(small: Api) -> None:
    reader = Reader(small)
    reader.take_one()
    small.world.submit(DeregisterNode("10-0-0-2"))
    assert reader.kinds() == [*ORDER, ("ready", ""), *(("removed", name) for name in ("i1", "i3", "i5"))]


def test_no_step_of_it_gathers_much(small: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int] = [0]
    real = queries.find

    def find(view: View, placed: Placed) -> Found:
        found[-1] += 1
        return real(view, placed)

    monkeypatch.setattr(queries, "find", find)
    for each in Scope("public", frozenset(), ("", "")).picture(small.world.registry.view):
        if each is None or found[-1] >= STEP:
            found.append(0)
    assert max(found) <= STEP
    assert sum(found) == len(ORDER) + 1, "the servers' own entry is shown to nobody else"
    assert len(found) > len(ORDER) // STEP


def test_slices_with_nothing_to_show_are_not_sent(small: Api) -> None:
    reply = open_watch(small)
    assert isinstance(reply, Stream)
    chunks: list[bytes] = []

    async def read() -> None:
        async for chunk in reply.chunks:
            chunks.append(chunk)
            if b"event: ready" in chunk:
                return

    small.world.run(asyncio.wait_for(read(), 60))
    assert all(chunks)
