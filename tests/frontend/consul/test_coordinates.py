"""Coordinates: written, merged, listed, waited for, gone with their node."""

import pytest

from tests.frontend.consul.harness import consul, served
from tests.support import run

COORD = {"Vec": [0.25] * 8, "Error": 0.5, "Adjustment": 0.0, "Height": 0.001}
N1 = {"Node": "n1", "Address": "10.0.0.1", "NodeMeta": {"rack": "1"}}


def test_a_coordinate_is_shown_for_its_node_and_among_all() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/catalog/register", N1)
            assert await door.put("/v1/coordinate/update", {"node": "N1", "coord": COORD}) == b""
            shown = [{"Node": "n1", "Segment": "", "Coord": COORD}]
            for path in ("node/n1", "node/N1", "nodes", "nodes?segment=", "nodes?node-meta=rack:1"):
                assert await door.get(f"/v1/coordinate/{path}") == shown, path
            for path in ("nodes?segment=alpha", "nodes?node-meta=rack:2"):
                assert await door.get(f"/v1/coordinate/{path}") == []
            await door.put("/v1/coordinate/update", {"Node": "n1", "Segment": "alpha", "Coord": COORD | {"Error": 0.25}})
            (there,) = await door.get("/v1/coordinate/nodes?segment=alpha")
            assert there["Coord"]["Error"] == 0.25

    run(scenario())


def test_what_has_none_is_404_with_an_index() -> None:
    async def scenario() -> None:
        async with consul() as door:
            for path in ("node/callboard", "node/ghost"):
                got = await door.ask("GET", f"/v1/coordinate/{path}")
                assert (got.status, got.body) == (404, b"")
                assert int(got.headers["x-consul-index"]) >= 1
                assert got.headers["x-consul-lastcontact"] == "0"
            await door.put("/v1/coordinate/update", {"Node": "ghost", "Coord": COORD})
            assert await door.get("/v1/coordinate/nodes") == []

    run(scenario())


def test_a_coordinate_goes_with_its_node_and_wakes_who_waits() -> None:
    async def scenario() -> None:
        async with served() as door:
            await door.put("/v1/catalog/register", N1)
            await door.put("/v1/coordinate/update", {"Node": "n1", "Coord": COORD})
            index = int((await door.get("/v1/coordinate/nodes")).headers["x-consul-index"])
            blocked = [door.blocked("/v1/coordinate/nodes", index), door.blocked("/v1/coordinate/node/n1", index)]
            await door.parked(2)
            await door.put("/v1/catalog/deregister", {"Node": "n1"})
            every, one = [await answer for answer in blocked]
            assert (every.json(), one.status_code) == ([], 404)
            assert int(every.headers["x-consul-index"]) > index

    run(scenario())


@pytest.mark.parametrize("segment", ["s" * 65, "a\u0000b", "a\nb"])
def test_a_segment_is_a_short_word(segment: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            got = await door.ask("PUT", "/v1/coordinate/update", {"Node": "callboard", "Segment": segment, "Coord": COORD})
            assert (got.status, got.text.partition(":")[0]) == (400, "segment")
            assert await door.get("/v1/coordinate/nodes") == []

    run(scenario())


def test_the_servers_of_the_data_centre_are_where_their_node_is() -> None:
    async def scenario() -> None:
        async with consul() as door:
            (area,) = await door.get("/v1/coordinate/datacenters")
            assert list(area) == ["Datacenter", "AreaID", "Coordinates"]
            assert [there["Node"] for there in area["Coordinates"]] == ["callboard"]
            assert area["Coordinates"][0]["Coord"]["Vec"] == [0] * 8
            await door.put("/v1/coordinate/update", {"Node": "callboard", "Coord": COORD})
            assert (await door.get("/v1/coordinate/datacenters"))[0]["Coordinates"][0]["Coord"] == COORD

    run(scenario())


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"", 400, "Request decode failed: EOF"),
        ({"Node": "callboard", "Speed": 1}, 400, 'Request decode failed: json: unknown field "Speed"'),
        ({"Node": "callboard"}, 400, "invalid coordinate"),
        ({"Coord": COORD}, 400, "Missing node name"),
        ({"Node": "callboard", "Coord": COORD | {"Vec": [0.0] * 7}}, 400, "coord.vec: must have 8 numbers, has 7"),
        ({"Node": "callboard", "Datacenter": "dc2", "Coord": COORD}, 500, "No path to datacenter"),
        ({"Node": "callboard", "Partition": "p", "Coord": COORD}, 400, "Partitions are a Consul Enterprise feature"),
    ],
)
def test_what_is_no_coordinate_is_refused(body: object, status: int, text: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            got = await door.ask("PUT", "/v1/coordinate/update", body)
            assert (got.status, got.text) == (status, text)

    run(scenario())
