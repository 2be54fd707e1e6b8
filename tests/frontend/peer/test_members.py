"""Members behind real HTTP: what enters one is seen through all, whoever leads; and each says truly who is there."""

import asyncio

import dns.message
import httpx
import msgspec
import pytest

from callboard.model.errors import UnavailableError
from callboard.wire import native_server
from tests.frontend.dns_harness import ask
from tests.frontend.peer.cluster import Member, cluster, until
from tests.support import repeated_if_stopped, run

WEB = {"ID": "web1", "Name": "web", "Port": 80, "Check": {"TTL": "1h"}}
PASS = "/v1/agent/check/pass/service:web1"
HEALTH = "/v1/health/service/web?passing"


def test_what_enters_any_member_is_read_from_all_of_them() -> None:
    async def scenario() -> None:
        async with cluster() as world:
            for number, member in enumerate(world.members):
                name = f"web{number}"
                await member.ok("/v1/agent/service/register", {"Name": name, "Port": 80})
                assert len(await member.json(f"/v1/health/service/{name}")) == 1  # it reads its own write
                await world.alike()
                for other in world.members:
                    assert len(await other.json(f"/v1/health/service/{name}?consistent")) == 1
            indexes = {(await member.get("/v1/catalog/services")).headers["x-consul-index"] for member in world.members}
            assert len(indexes) == 1

    repeated_if_stopped(lambda: run(scenario()))


def test_a_blocked_query_is_woken_by_what_enters_another_member() -> None:
    async def scenario() -> None:
        async with cluster() as world:
            one, other = world.leader, world.follower
            for reader, writer, name in ((one, other, "a"), (other, one, "b")):
                index = (await reader.get(f"/v1/health/service/{name}")).headers["x-consul-index"]
                blocked = asyncio.ensure_future(reader.get(f"/v1/health/service/{name}?index={index}&wait=10m"))
                await until(lambda reader=reader: reader.http.stats.parked_now == 1)
                await writer.ok("/v1/agent/service/register", {"Name": name})
                assert len((await asyncio.wait_for(blocked, 60)).json()) == 1

    repeated_if_stopped(lambda: run(scenario()))


@pytest.mark.parametrize("door", ["consul", "native", "native batch"])
def test_a_heartbeat_at_any_member_renews_and_turns(door: str) -> None:
    async def beat(member: object) -> None:
        if door == "consul":
            await member.ok(PASS)  # type: ignore[attr-defined]
        elif door == "native":
            answer = (await member.ok("/api/v1/heartbeat/web1")).json()  # type: ignore[attr-defined]
            assert answer["revision"] > 0
        else:
            answer = await member.client.post("/api/v1/heartbeats", json={"beats": [{"id": "web1"}, {"id": "nobody"}]})  # type: ignore[attr-defined]
            assert (answer.json()["renewed"], [one["id"] for one in answer.json()["unknown"]]) == (1, ["nobody"])

    async def scenario() -> None:
        async with cluster() as world:
            await world.follower.ok("/v1/agent/service/register", WEB)
            await world.alike()
            assert await world.follower.json(HEALTH) == []
            await beat(world.follower)  # a turn
            assert len(await world.follower.json(HEALTH)) == 1
            revision = world.leader.registry.revision
            for member in world.members:
                for _ in range(3):
                    await beat(member)
            assert world.leader.registry.revision == revision, "heartbeats write nothing"

    repeated_if_stopped(lambda: run(scenario()))


def test_heartbeats_of_what_is_unknown_are_told_so_at_every_member() -> None:
    async def scenario() -> None:
        async with cluster() as world:
            for member in world.members:
                assert (await member.put("/v1/agent/check/pass/nothing")).status_code == 404
                assert (await member.put("/api/v1/heartbeat/nothing")).status_code == 404

    repeated_if_stopped(lambda: run(scenario()))


def test_every_member_says_who_leads_and_who_is_there() -> None:
    async def scenario() -> None:
        async with cluster() as world:
            for member in world.members:
                assert await member.json("/v1/status/leader") == "127.0.0.1:8300"
                assert await member.json("/v1/status/peers") == ["127.0.0.1:8300"] * 3
                consul = (await member.json("/v1/agent/self"))["Stats"]["consul"]
                assert consul["leader_addr"] == "127.0.0.1:8300"
                assert consul["leader"] == ("true" if member is world.leader else "false")
                status = msgspec.json.decode((await member.get("/api/v1/status")).content, type=native_server.ServerStatus)
                assert (status.member, status.leader, status.leading) == (member.name, world.leader.name, member is world.leader)
                assert (status.members, status.age_ms, status.store is not None and status.store.reachable) == (3, 0, True)
                listed = msgspec.json.decode((await member.get("/api/v1/members")).content, type=native_server.MemberList)
                assert (listed.leader, [one.name for one in listed.members]) == (world.leader.name, ["m1", "m2", "m3"])
                assert [one.name for one in listed.members if one.leading] == [world.leader.name]
                assert all(one.url.startswith("http://127.0.0.1:") and one.level >= 1 for one in listed.members)

    repeated_if_stopped(lambda: run(scenario()))


# -- how new


def test_consistent_reads_show_what_was_acknowledged_anywhere_before() -> None:
    async def scenario() -> None:
        async with cluster() as world:
            for number in range(10):
                writer, reader = world.members[number % 3], world.members[(number + 1) % 3]
                await writer.ok("/v1/agent/service/register", {"Name": f"web{number}"})
                response = await reader.get(f"/v1/health/service/web{number}?consistent")
                assert len(response.json()) == 1
                assert response.headers["x-consul-effective-consistency"] == "consistent"
                assert len((await reader.json(f"/api/v1/services/web{number}?consistency=consistent"))["instances"]) == 1

    repeated_if_stopped(lambda: run(scenario()))


def test_an_index_from_another_member_is_waited_for_and_one_from_nowhere_is_not() -> None:
    async def scenario() -> None:
        async with cluster() as world:
            leader, follower = world.leader, world.follower
            await leader.ok("/v1/agent/service/register", {"Name": "web"})
            await world.alike()
            index = 0
            for target in ("/v1/health/service/web?index={}&wait=100ms", "/api/v1/services/web?after={}&wait_ms=100"):
                async with follower.behind():
                    await leader.ok("/v1/agent/service/register", {"Name": "web", "Tags": [target]})
                    index = leader.registry.revision
                    asked = asyncio.ensure_future(follower.get(target.format(index)))
                    await asyncio.sleep(0.1)
                    assert not asked.done()
                assert index_of(await asyncio.wait_for(asked, 60)) == index
            for target in (f"/v1/health/service/web?index={index + 1_000}&wait=10m", f"/api/v1/services/web?after={index + 1_000}"):
                response = await asyncio.wait_for(follower.get(target), 60)
                assert index_of(response) == index

    repeated_if_stopped(lambda: run(scenario()))


def index_of(response: httpx.Response) -> int:
    return int(response.headers.get("x-consul-index") or response.headers["callboard-index"])


# -- cut off


def test_a_member_that_is_cut_off_answers_reads_with_their_age_and_refuses_writes() -> None:
    async def scenario() -> None:
        async with cluster() as world:
            member = world.follower
            await member.ok("/v1/agent/service/register", WEB)
            await member.ok(PASS)
            for _ in range(4):
                response = await member.get(HEALTH)
                assert (response.headers["x-consul-knownleader"], response.headers["x-consul-lastcontact"]) == ("true", "0")
                assert (await member.get("/api/v1/services")).headers["callboard-age-ms"] == "0"
            await world.cut_off(member)
            await asyncio.sleep(1.1)  # answers that are kept say it within a second
            for target in (HEALTH, HEALTH + "&stale"):
                response = await member.get(target)
                assert (response.status_code, len(response.json())) == (200, 1)
                assert response.headers["x-consul-knownleader"] == "false"
                assert int(response.headers["x-consul-lastcontact"]) > 400
            assert int((await member.get(HEALTH + "&cached")).headers["age"]) >= 1
            query = dns.message.make_query("web.service.consul", "SRV")
            assert [record.port for record in dns.message.from_wire(await ask(member.dns, query.to_wire())).answer[0]] == [80]
            native_read = await member.get("/api/v1/services")
            assert (native_read.status_code, int(native_read.headers["callboard-age-ms"]) > 400) == (200, True)
            assert (await member.get("/sd/prometheus")).status_code == 200
            assert await member.json("/v1/status/leader") == ""
            status = await member.json("/api/v1/status")
            assert (status["ready"], status["leader"], status["leading"], status["age_ms"] > 400) == (True, "", False, True)
            writes = (
                member.put("/v1/agent/service/register", {"Name": "new"}), member.put("/api/v1/instances", {"service": "new"}),
                member.put(PASS), member.put("/v1/agent/check/fail/service:web1"), member.put("/api/v1/heartbeat/web1"),
                member.client.post("/api/v1/heartbeats", json={"beats": [{"id": "web1"}]}),
            )  # fmt: skip
            for refused in await asyncio.gather(*writes):
                assert (refused.status_code, refused.headers["retry-after"]) == (503, "1"), refused.text

    repeated_if_stopped(lambda: run(scenario()))


async def events_until_ready(member: Member, headers: dict[str, str]) -> list[str]:
    """What a watch tells at first."""
    events: list[str] = []
    async with member.client.stream("GET", "/api/v1/watch?service=web", headers=headers) as told:
        async for line in told.aiter_lines():
            if line.startswith("event: "):
                events.append(line.removeprefix("event: "))
            if events[-1:] == ["ready"]:
                break
    return events


def test_a_watch_that_comes_from_a_member_that_was_ahead_goes_on_where_it_was() -> None:
    async def scenario() -> None:
        async with cluster() as world:
            leader, follower = world.leader, world.follower
            await leader.ok("/api/v1/instances", {"service": "web", "port": 80})
            await world.alike()
            history = leader.registry.view.epoch.store
            async with follower.behind():
                await leader.ok("/api/v1/instances", {"service": "web", "port": 81})
                resume = {"last-event-id": f"{leader.registry.revision}.{history}"}
                told = asyncio.ensure_future(events_until_ready(follower, resume))
                await asyncio.sleep(0.1)
                assert not told.done()
            assert await asyncio.wait_for(told, 60) == ["ready"]

    repeated_if_stopped(lambda: run(scenario()))


def test_a_blocked_query_that_ends_while_cut_off_says_so() -> None:
    async def scenario() -> None:
        async with cluster() as world:
            member = world.follower
            index = (await member.get(HEALTH)).headers["x-consul-index"]
            blocked = asyncio.ensure_future(member.get(f"{HEALTH}&index={index}&wait=2s"))
            await until(lambda: member.http.stats.parked_now == 1)
            await world.cut_off(member)
            response = await blocked
            assert (response.headers["x-consul-knownleader"], response.headers["x-consul-index"]) == ("false", index)

    repeated_if_stopped(lambda: run(scenario()))


def test_a_watch_of_a_member_that_is_cut_off_tells_the_age_of_its_picture() -> None:
    async def alive(member: Member, count: int) -> list[str]:
        comments: list[str] = []
        async with member.client.stream("GET", "/api/v1/watch") as told:
            async for line in told.aiter_lines():
                if line.startswith(": "):
                    comments.append(line)
                if len(comments) == count:
                    break
        return comments

    async def scenario() -> None:
        async with cluster() as world:
            member = world.follower
            assert await alive(member, 2) == [": alive"] * 2
            await world.cut_off(member)
            ages = [int(comment.removeprefix(": alive, age ").removesuffix(" ms")) for comment in await alive(member, 2)]
            assert 400 < ages[0] < ages[1]

    repeated_if_stopped(lambda: run(scenario()))


def test_max_stale_asks_the_store_when_the_view_may_be_older() -> None:
    async def scenario() -> None:
        async with cluster() as world:
            member = world.follower
            assert (await member.get(HEALTH + "&max_stale=10s")).headers["x-consul-effective-consistency"] == "stale"
            await world.cut_off(member)  # from the leader; it still hears from the store
            await asyncio.sleep(0.2)
            response = await member.get(HEALTH + "&max_stale=10ms")
            assert (response.status_code, response.headers["x-consul-effective-consistency"]) == (200, "leader")
            assert (await member.get(HEALTH + "&max_stale=10m")).headers["x-consul-effective-consistency"] == "stale"

    repeated_if_stopped(lambda: run(scenario()))


def test_a_store_that_does_not_answer_fails_consistent_reads_only() -> None:
    async def scenario() -> None:
        async with cluster() as world:
            member = world.follower

            async def silent() -> object:
                raise UnavailableError("nobody there")

            member.registry._store.head = silent  # type: ignore[assignment,method-assign]  # noqa: SLF001
            assert (await member.get(HEALTH)).status_code == 200
            refused = await member.get(HEALTH + "&consistent")
            assert (refused.status_code, refused.text, refused.headers["retry-after"]) == (503, "No cluster leader", "1")
            refused = await member.get("/api/v1/services?consistency=consistent")
            assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "unavailable", "1")

    repeated_if_stopped(lambda: run(scenario()))
