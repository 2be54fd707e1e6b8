"""The order of answers by `near`: pure distances, every answer that can be ordered, and that coordinates wake nobody."""

from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.frontend.consul.translate_distance import by_distance, distance_s
from callboard.model.coordinate import DIMENSIONS, Coordinate, Place
from tests.frontend.consul.harness import Consul, consul, served
from tests.support import run


def place(x: float, *, adjustment: float = 0.0, height: float = 0.0) -> Place:
    return Place((x, *[0.0] * (DIMENSIONS - 1)), adjustment=adjustment, height=height)


@pytest.mark.parametrize(
    ("one", "other", "seconds"),
    [
        (place(0.0), place(0.003), 0.003),
        (place(-0.001), place(0.001), 0.002),
        (place(0.0, height=0.001), place(0.003, height=0.002), 0.006),
        (place(0.0, adjustment=0.001), place(0.003, adjustment=-0.0005), 0.0035),
        (place(0.0, adjustment=-0.1), place(0.003), 0.003),  # an adjustment that makes nothing of the way is not believed
        (place(0.5), place(0.5), 0.0),
    ],
)
def test_a_distance_is_the_way_between_the_points_their_heights_and_adjustments(one: Place, other: Place, seconds: float) -> None:
    assert distance_s(one, other) == pytest.approx(seconds)
    assert distance_s(other, one) == pytest.approx(seconds)


@given(st.dictionaries(st.sampled_from("abcdef"), st.floats(-1, 1)), st.lists(st.sampled_from("abcdefxyz"), max_size=12))
def test_nearer_ones_come_first_unknown_ones_last_and_equal_ones_stay(places: dict[str, float], items: list[str]) -> None:
    coordinates = {node: Coordinate(node=node, place=place(x)) for node, x in places.items()}
    numbered = list(enumerate(items))
    ordered = by_distance(numbered, lambda item: item[1], coordinates, "a")
    assert sorted(ordered) == numbered
    if "a" not in places:
        assert ordered == numbered
        return
    ways = [int(distance_s(place(places["a"]), place(places[node])) * 1e9) if node in places else inf for _, node in ordered]
    assert ways == sorted(ways)
    assert all(way != after or one < other for way, after, (one, _), (other, _) in zip(ways, ways[1:], ordered, ordered[1:], strict=False))


async def fill(door: Consul) -> None:
    """Four nodes with a service each; n2 is next to n3, then comes n1; n4 is nowhere."""
    for number in range(1, 5):
        service = {"Service": {"ID": f"web{number}", "Service": "web"}, "Check": {"CheckID": f"c{number}", "ServiceID": f"web{number}"}}
        await door.put("/v1/catalog/register", {"Node": f"N{number}", "Address": f"10.0.0.{number}"} | service)
    for node, x in [("N1", 0.0), ("N2", 0.010), ("N3", 0.012), ("callboard", 0.020)]:
        await locate(door, node, x)


async def locate(door: Consul, node: str, x: float) -> None:
    coord = {"Vec": [x, 0, 0, 0, 0, 0, 0, 0], "Error": 1.0, "Adjustment": 0, "Height": 0.00001}
    await door.put("/v1/coordinate/update", {"Node": node, "Coord": coord})


def nodes(answer: Any) -> list[str]:
    return [item["Node"]["Node"] if isinstance(item["Node"], dict) else item["Node"] for item in answer]


ORDERED = ["catalog/nodes", "catalog/service/web", "health/service/web", "health/checks/web", "health/state/any"]


@pytest.mark.parametrize("path", ORDERED)
def test_an_answer_is_ordered_by_how_near_its_nodes_are(path: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            await fill(door)
            alone = [] if path.endswith("web") else ["callboard"]
            for near, order in [
                ("N1", ["N1", "N2", "N3", *alone, "N4"]),
                ("n3", ["N3", "N2", *alone, "N1", "N4"]),
                ("_agent", [*alone, "N3", "N2", "N1", "N4"]),
            ]:
                assert nodes(await door.get(f"/v1/{path}?near={near}")) == order
            plain = nodes(await door.get(f"/v1/{path}"))
            for near in ("N4", "nobody", ""):
                assert nodes(await door.get(f"/v1/{path}?near={near}")) == plain

    run(scenario())


def test_the_agent_is_the_node_of_the_caller() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await fill(door)
            assert nodes(await door.get("/v1/health/service/web?near=_agent&node=n2")) == ["N2", "N3", "N1", "N4"]
            await door.put("/v1/agent/service/register", {"Name": "own"}, peer="10.0.0.9")
            await locate(door, "10-0-0-9", 0.001)
            assert nodes(await door.get("/v1/health/service/web?near=_agent", peer="10.0.0.9")) == ["N1", "N2", "N3", "N4"]

    run(scenario())


def test_order_and_filter_go_together() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await fill(door)
            assert nodes(await door.get("/v1/health/service/web?near=n3&filter=Service.ID+!%3D+web2")) == ["N3", "N1", "N4"]

    run(scenario())


def test_new_coordinates_show_in_the_next_answer_and_wake_nobody() -> None:
    async def scenario() -> None:
        async with served() as server:
            await fill(server.consul)
            target = "/v1/health/service/web?near=n1"
            await server.get(target)
            first = await server.get(target)  # one that was kept
            assert nodes(first.json()) == ["N1", "N2", "N3", "N4"]
            blocked = server.blocked(target, int(first.headers["x-consul-index"]))
            await server.parked(1)
            await locate(server.consul, "N4", 0.001)
            second = await server.get(target)
            assert nodes(second.json()) == ["N1", "N4", "N2", "N3"]
            assert second.headers["x-consul-index"] == first.headers["x-consul-index"]
            assert server.http.stats.parked_now == 1
            await server.put("/v1/catalog/deregister", {"Node": "N2", "ServiceID": "web2"})
            assert nodes((await blocked).json()) == ["N1", "N4", "N3"]

    run(scenario())


@pytest.mark.parametrize("far", [place(1e308), place(0.0, height=1e308), place(1e300, adjustment=-1e308), place(0.0, adjustment=1e308)])
def test_coordinates_beyond_all_measure_are_last_and_break_no_answer(far: Place) -> None:
    coordinates = {"a": Coordinate(node="a", place=place(0.0)), "b": Coordinate(node="b", place=far)}
    coordinates["c"] = Coordinate(node="c", place=place(-1e308, height=1e308))
    assert by_distance(["c", "b", "a"], str, coordinates, "a")[0] == "a"
    assert sorted(by_distance(["c", "b", "a"], str, coordinates, "c")) == ["a", "b", "c"]


def test_a_coordinate_beyond_all_measure_breaks_no_read() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await fill(door)
            for node, x in (("N1", 1e308), ("N2", -1e308)):
                await locate(door, node, x)
            for path in ("catalog/nodes", "health/service/web", "health/state/any"):
                assert (await door.ask("GET", f"/v1/{path}?near=N1")).status == 200

    run(scenario())
