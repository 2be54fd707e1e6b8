"""Nodes by the beginning of their ID, as Consul finds them: only where no node has that name, and only where one ID begins so."""

import asyncio

import pytest

from tests.frontend.consul.harness import consul, served
from tests.support import run

FIRST = "f0e1d2c3-0000-4000-8000-0123456789ab"
SECOND = "f0e1d2c4-0000-4000-8000-0123456789ab"


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("f0e1d2c3", "N1"), ("F0E1D2C3", "N1"), ("f0e1d2c3-0", "N1"), ("f0e1d2c3-0000-4", "N1"), (FIRST, "N1"), ("f0e1d2c4", "N2"),
        ("f0e1d2c", None), ("f0", None), ("f", None), ("zz", None), (FIRST + "c", None), ("f0e1d2c5", None), ("cafe", "cafe"),
    ],
)  # fmt: skip
def test_a_node_is_found_by_the_beginning_of_its_id(text: str, node: str | None) -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/catalog/register", {"Node": "N1", "Address": "10.0.0.1", "ID": FIRST, "Service": {"Service": "web"}})
            await door.put("/v1/catalog/register", {"Node": "N2", "Address": "10.0.0.2", "ID": SECOND})
            await door.put("/v1/catalog/register", {"Node": "N3", "Address": "10.0.0.3", "ID": "cafe" + FIRST[4:]})
            await door.put("/v1/catalog/register", {"Node": "cafe", "Address": "10.0.0.4"})
            answer = await door.get(f"/v1/catalog/node/{text}")
            assert (answer and answer["Node"]["Node"]) == node
            answer = await door.get(f"/v1/catalog/node-services/{text}")
            assert (answer["Node"] and answer["Node"]["Node"]) == node
            if node == "N1":
                assert [service["Service"] for service in answer["Services"]] == ["web"]
                assert await door.get(f"/v1/health/node/{text}") == []  # only the catalog looks at IDs

    run(scenario())


def test_of_two_nodes_with_one_id_the_newer_one_is_found() -> None:
    async def scenario() -> None:
        async with consul() as door:
            for name in ("zed", "Abe"):
                await door.put("/v1/catalog/register", {"Node": name, "Address": "10.0.0.1", "ID": FIRST})
                assert (await door.get("/v1/catalog/node/f0e1d2c3"))["Node"]["Node"] == name
            await door.put("/v1/catalog/register", {"Node": "other", "Address": "10.0.0.1", "ID": SECOND})
            assert (await door.get("/v1/catalog/node/f0e1d2c3"))["Node"]["Node"] == "Abe"
            assert await door.get("/v1/catalog/node/f0e1d2c") is None, "two IDs begin so"

    run(scenario())


def test_the_servers_own_node_is_found_by_the_id_it_shows() -> None:
    async def scenario() -> None:
        async with consul() as door:
            (own,) = await door.get("/v1/catalog/nodes")
            assert (await door.get(f"/v1/catalog/node/{own['ID'][:8]}"))["Node"] == own

    run(scenario())


def test_a_question_by_id_waits_for_whatever_changes_its_answer() -> None:
    async def scenario() -> None:
        async with served() as server:
            target, index = "/v1/catalog/node/f0e1d2c", 0
            changes: list[tuple[str, object, object]] = [
                ("register", {"Node": "N1", "Address": "10.0.0.1", "ID": FIRST}, {}),
                ("register", {"Node": "N1", "SkipNodeUpdate": True, "Service": {"Service": "web"}}, {"web"}),
                ("register", {"Node": "N2", "Address": "10.0.0.2", "ID": SECOND}, None),
                ("deregister", {"Node": "N1"}, {}),
                ("register", {"Node": "N2", "SkipNodeUpdate": True, "Service": {"Service": "db"}}, {"db"}),
                ("deregister", {"Node": "N2"}, None),
            ]
            for path, body, services in changes:
                first = await server.get(target)
                assert int(first.headers["x-consul-index"]) >= index
                index = int(first.headers["x-consul-index"])
                blocked = server.blocked(target, index)
                await server.parked(1)
                await server.put(f"/v1/catalog/{path}", body)
                answer = (await asyncio.wait_for(blocked, 60)).json()
                assert (answer and set(answer["Services"])) == (services if services is None else set(services))  # type: ignore[call-overload]

    run(scenario())
