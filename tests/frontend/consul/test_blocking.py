"""Blocking queries over HTTP, one rule for each kind of index, and that no index ever goes back."""

import asyncio
import time

import pytest

from tests.frontend.consul.harness import Served, consul, served
from tests.support import run

WEB = {"ID": "web1", "Name": "web", "Check": {"TTL": "1h", "Status": "passing"}}
N1 = {"Node": "n1", "Address": "10.0.0.1"}
Write = tuple[str, object]


def index_of(response: object) -> int:
    return int(response.headers["x-consul-index"])  # type: ignore[attr-defined]  # httpx's, or the task's result


async def _write(server: Served, write: Write) -> None:
    await server.put(f"/v1/{write[0]}", write[1])


REGISTER: Write = ("agent/service/register", WEB)
DEREGISTER: Write = ("agent/service/deregister/web1", b"")
FAIL: Write = ("agent/check/fail/service:web1", b"")
NODE_CHECK: Write = ("agent/check/register", {"Name": "disk", "TTL": "1h"})
OTHER: Write = ("agent/service/register?node=elsewhere", {"Name": "other", "Check": {"TTL": "1h"}})
NODE: Write = ("catalog/register", N1)
HOME_META: Write = ("catalog/register", {"Node": "callboard", "Address": "127.0.0.1", "NodeMeta": {"a": "b"}})
NO_NODE: Write = ("catalog/deregister", {"Node": "n1"})

WAKES: list[tuple[str, list[Write], Write]] = [
    ("health/service/web", [], REGISTER),
    ("health/service/web", [REGISTER], FAIL),
    ("health/service/web?passing", [REGISTER], FAIL),
    ("health/service/web", [REGISTER], NODE_CHECK),
    ("health/service/web", [REGISTER], HOME_META),
    ("health/service/web", [REGISTER], DEREGISTER),
    ("catalog/service/web", [], REGISTER),
    ("catalog/service/web", [REGISTER], DEREGISTER),
    ("health/checks/web", [REGISTER], FAIL),
    ("health/checks/web", [REGISTER], DEREGISTER),
    ("catalog/services", [], REGISTER),
    ("catalog/services", [REGISTER], DEREGISTER),
    ("catalog/services?node-meta=a:b", [REGISTER], HOME_META),
    ("catalog/nodes", [], NODE),
    ("catalog/nodes", [NODE], NO_NODE),
    ("catalog/node/n1", [], NODE),
    ("catalog/node/n1", [NODE], NO_NODE),
    ("catalog/node/callboard", [], REGISTER),
    ("catalog/node-services/callboard", [REGISTER], DEREGISTER),
    ("health/node/callboard", [], NODE_CHECK),
    ("health/node/callboard", [REGISTER], FAIL),
    ("health/state/any", [], REGISTER),
    ("health/state/critical", [REGISTER], FAIL),
    ("health/state/any", [REGISTER], DEREGISTER),
]


@pytest.mark.parametrize(("path", "before", "change"), WAKES)
def test_a_change_of_what_is_asked_wakes_and_moves_the_index_on(path: str, before: list[Write], change: Write) -> None:
    async def scenario() -> None:
        async with served() as server:
            for write in before:
                await _write(server, write)
            first = await server.get(f"/v1/{path}")
            blocked = server.blocked(f"/v1/{path}", index_of(first))
            await server.parked(1)
            await _write(server, change)
            answer = await asyncio.wait_for(blocked, 60)
            assert index_of(answer) > index_of(first)
            assert answer.content != first.content
            assert answer.content == (await server.get(f"/v1/{path}")).content

    run(scenario())


SLEEPS: list[tuple[str, list[Write], Write]] = [
    ("health/service/missing", [], OTHER),
    ("health/service/missing", [OTHER], ("agent/service/deregister/other", b"")),
    ("health/service/web", [REGISTER], OTHER),
    ("health/service/web", [REGISTER], NODE),
    ("health/service/web?passing", [REGISTER, FAIL], ("agent/check/warn/service:web1", b"")),
    ("catalog/service/web", [REGISTER], FAIL),
    ("catalog/services", [REGISTER], FAIL),
    ("catalog/nodes", [REGISTER], FAIL),
    ("catalog/node/n1", [NODE], REGISTER),
    ("catalog/node/callboard", [REGISTER], FAIL),
    ("health/node/n1", [NODE], NODE_CHECK),
    ("health/state/critical", [], REGISTER),
]


@pytest.mark.parametrize(("path", "before", "change"), SLEEPS)
def test_a_change_of_something_else_wakes_nobody(path: str, before: list[Write], change: Write) -> None:
    async def scenario() -> None:
        async with served() as server:
            for write in before:
                await _write(server, write)
            first = await server.get(f"/v1/{path}")
            blocked = server.blocked(f"/v1/{path}", index_of(first))
            await server.parked(1)
            await _write(server, change)
            await server.get("/v1/status/leader")  # a turn of the loop later
            assert server.http.stats.parked_now == 1
            blocked.cancel()

    run(scenario())


def test_a_wait_that_ends_answers_the_same_index_and_body() -> None:
    async def scenario() -> None:
        async with served() as server:
            await _write(server, REGISTER)
            first = await server.get("/v1/health/service/web")
            begin = time.monotonic()
            answer = await server.blocked("/v1/health/service/web", index_of(first), wait="20ms")
            assert (answer.status_code, answer.content, index_of(answer)) == (200, first.content, index_of(first))
            assert time.monotonic() - begin >= 0.02

    run(scenario())


@pytest.mark.parametrize("index", [0, 1, 10**9, 2**63])
def test_an_index_that_was_not_given_out_is_answered_at_once(index: int) -> None:
    async def scenario() -> None:
        async with served() as server:
            await _write(server, REGISTER)
            answer = await asyncio.wait_for(server.blocked("/v1/health/service/web", index), 60)
            assert len(answer.json()) == 1
            assert server.http.stats.timeouts == 0

    run(scenario())


def test_no_index_goes_back_when_things_are_removed() -> None:
    paths = ["health/service/web", "catalog/service/web", "health/checks/web", "catalog/services", "catalog/nodes", "catalog/node/n1",
    "health/node/n1",
             "health/state/any", "health/service/missing", "catalog/node/callboard", "catalog/services?node-meta=a:b"]  # fmt: skip
    service = N1 | {"Service": {"Service": "web"}, "Checks": [{"Name": "c", "ServiceID": "web"}, {"Name": "of-node"}]}
    writes: list[Write] = [
        REGISTER, FAIL, DEREGISTER, ("catalog/register", service), ("catalog/deregister", {"Node": "n1", "CheckID": "c"}),
        ("catalog/deregister", {"Node": "n1", "CheckID": "of-node"}), ("catalog/deregister", {"Node": "n1", "ServiceID": "web"}), NO_NODE,
        OTHER, ("agent/service/deregister/other", b""), REGISTER, ("agent/service/register", WEB | {"Name": "renamed"}),
        ("agent/check/register", {"ID": "service:web1", "Name": "moved", "TTL": "1h"}), DEREGISTER,
    ]  # fmt: skip

    async def scenario() -> None:
        async with consul() as door:
            seen = dict.fromkeys(paths, 0)
            for path, body in writes:
                await door.put(f"/v1/{path}", body)
                for asked in paths:
                    index = await door.index(f"/v1/{asked}")
                    assert index >= seen[asked], (path, asked)
                    seen[asked] = index

    run(scenario())


def test_a_service_that_is_gone_has_an_index_of_its_own() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", WEB)
            await door.put("/v1/agent/service/deregister/web1")
            gone = await door.index("/v1/health/service/web")
            await door.put("/v1/agent/service/register", {"Name": "other"})
            await door.put("/v1/agent/service/deregister/other")
            assert await door.index("/v1/health/service/web") == gone
            assert await door.index("/v1/health/service/never") == 1

    run(scenario())


def test_a_hash_that_was_seen_waits_for_another_definition() -> None:
    async def scenario() -> None:
        async with served() as server:
            await _write(server, REGISTER)
            first = await server.get("/v1/agent/service/web1")
            target = f"/v1/agent/service/web1?hash={first.headers['x-consul-contenthash']}"
            blocked = asyncio.create_task(server.get(target + "&wait=10m"))
            await server.parked(1)
            await _write(server, FAIL)
            await _write(server, OTHER)
            assert server.http.stats.parked_now == 1
            await _write(server, ("agent/service/register", WEB | {"Port": 81}))
            answer = await asyncio.wait_for(blocked, 60)
            assert answer.json()["Port"] == 81
            assert answer.headers["x-consul-contenthash"] != first.headers["x-consul-contenthash"]
            again = await asyncio.wait_for(server.get(target), 60)
            assert again.json()["Port"] == 81
            waited = await server.get(f"/v1/agent/service/web1?hash={answer.headers['x-consul-contenthash']}&wait=20ms")
            assert waited.json() == answer.json()
            leaving = asyncio.create_task(server.get(f"/v1/agent/service/web1?hash={answer.headers['x-consul-contenthash']}"))
            await server.parked(1)
            await _write(server, DEREGISTER)
            gone = await asyncio.wait_for(leaving, 60)
            assert gone.status_code == 404

    run(scenario())


def test_answers_of_the_agent_are_not_shared_between_nodes() -> None:
    async def scenario() -> None:
        async with served() as server:
            await server.put("/v1/agent/service/register?node=blue", {"Name": "b"})
            await server.put("/v1/agent/service/register", {"Name": "a"})
            for _ in range(4):
                assert list((await server.get("/v1/agent/services")).json()) == ["a"]
                assert list((await server.get("/v1/agent/services", **{"X-Callboard-Node": "blue"})).json()) == ["b"]

    run(scenario())


def test_many_watchers_of_one_service_get_one_answer() -> None:
    async def scenario() -> None:
        async with served() as server:
            first = await server.get("/v1/health/service/web")
            watchers = [server.blocked("/v1/health/service/web", index_of(first)) for _ in range(50)]
            await server.parked(50)
            renders = server.http.stats.renders
            await _write(server, REGISTER)
            answers = await asyncio.wait_for(asyncio.gather(*watchers), 60)
            assert len({answer.content for answer in answers}) == 1
            assert server.http.stats.renders == renders + 1

    run(scenario())
