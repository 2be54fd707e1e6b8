"""The first list of a catalog that is not looked at in one go: the same list, whatever changes meanwhile, and made once for all who ask."""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest

from callboard.core.catalog import listing
from callboard.core.catalog.listing import Listing
from callboard.core.catalog.view import View
from callboard.frontend.consul import door as doors
from callboard.frontend.consul.translate_answers import Tagged
from callboard.testing.frontend_suite_harnesses import ConsulHarness, NativeHarness
from callboard.testing.frontend_suite_kit import Door, Sample, World
from tests.frontend.consul.harness import served
from tests.support import PATIENCE_S, run

COUNT = 40
STEP = 3
ASKING = 5


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Small steps, noted."""
    taken: list[str] = []
    real = Listing.step

    def step(kept: Listing[object], view: View, namespace: str) -> bool:
        taken.append(namespace)
        return real(kept, view, namespace)

    monkeypatch.setattr(listing, "_STEP_INSTANCES_COUNT", STEP)
    monkeypatch.setattr(Listing, "step", step)
    return taken


@pytest.fixture
def world() -> Iterator[World]:
    with World((ConsulHarness(), NativeHarness()), virtual=True) as world:
        yield world


def sign_in(door: Door, name: str, *tags: str) -> None:
    body = msgspec.json.encode({"service": name, "tags": tags})
    assert door.exchange(Sample("PUT", "/api/v1/instances", body)).answer.status == 200


def names(door: Door, target: str) -> set[str]:
    answer = door.exchange(Sample("GET", target)).answer
    assert answer.status == 200
    body = msgspec.json.decode(answer.body)
    return {each["name"] for each in body["services"]} if "services" in body else set(body) - {"consul"}


@pytest.mark.parametrize("target", ["/v1/catalog/services", "/api/v1/services"])
def test_the_list_is_whole_and_what_is_known_is_not_looked_at_again(world: World, steps: list[str], target: str) -> None:
    door = world.doors["native"]
    wanted = {f"s{number}" for number in range(COUNT)}
    for name in wanted:
        sign_in(door, name)
    assert names(door, target) == wanted
    assert COUNT // STEP <= len(steps) <= COUNT
    before = len(steps)
    sign_in(door, "one more")
    assert names(door, target) == wanted | {"one more"}
    assert len(steps) == before, "one service is not much"


def test_all_who_ask_share_the_work_and_are_told_the_same(steps: list[str]) -> None:
    async def scenario() -> None:
        async with served() as server:
            for number in range(COUNT):
                await server.consul.put("/v1/agent/service/register", {"Name": f"s{number}"})
            asked = [asyncio.create_task(server.get("/v1/catalog/services")) for _ in range(ASKING)]
            await server.consul.put("/v1/agent/service/register", {"Name": "later"})
            answers = [await task for task in asked]
            listed = [set(answer.json()) - {"consul", "later"} for answer in answers]
            assert listed == [{f"s{number}" for number in range(COUNT)}] * ASKING
            assert len(steps) <= 2 * COUNT, "they did not each do all of it"
            blocked = server.blocked("/v1/catalog/services", int((await server.get("/v1/catalog/services")).headers["x-consul-index"]))
            await server.parked(1)
            await server.consul.put("/v1/agent/service/register", {"Name": "last"})
            assert "last" in (await blocked).json()

    run(scenario())


def test_a_list_that_cannot_be_made_is_one_answer_and_the_next_request_has_its_own(
    steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(view: View, namespace: str, service: str) -> tuple[Tagged, ...]:
        raise ValueError(service)

    monkeypatch.setattr(doors, "service_tags", fails)
    body = b'{"Name":"later"}'
    both = (
        b"GET /v1/catalog/services HTTP/1.1\r\nhost: a\r\n\r\n"
        b"PUT /v1/agent/service/register HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    )

    async def scenario() -> None:
        async with served() as server:
            for number in range(COUNT):
                await server.consul.put("/v1/agent/service/register", {"Name": f"s{number}"})
            reader, writer = await asyncio.open_connection("127.0.0.1", server.client.base_url.port)
            writer.write(both)
            answers = await asyncio.wait_for(reader.read(), PATIENCE_S)
            writer.close()
            assert [each[:3] for each in answers.split(b"HTTP/1.1 ")[1:]] == [b"500", b"200"]

    run(scenario())
    assert steps
