"""Orders to the agent: who may give them, and what becomes of them; and what it says of itself and its machine."""

from pathlib import Path

import pytest

from callboard.frontend.consul.agent_host import AgentHost
from callboard.frontend.consul.door import Door
from callboard.frontend.consul.settings import ConsulSettings
from callboard.net.http.message import Answer
from callboard.wire.url import Query
from tests.frontend.consul.harness import Asked, consul
from tests.frontend.consul.operations import operated
from tests.support import run

FAR = "10.0.0.7"


def test_reload_reads_again_and_tells_what_is_wrong() -> None:
    async def scenario() -> None:
        async with consul() as door:
            server = operated(door)
            assert await door.put("/v1/agent/reload") == b""
            assert server.calls == ["reload"]
            server.broken = "tls_cert: the file is empty"
            got = await door.ask("PUT", "/v1/agent/reload")
            assert (got.status, got.text) == (500, "tls_cert: the file is empty")

    run(scenario())


@pytest.mark.parametrize(
    ("allowed", "peer", "status"),
    [
        ("loopback", "127.0.0.1", 200), ("loopback", "::1", 200), ("loopback", FAR, 403), ("loopback", "", 403), ("anywhere", FAR, 200),
        ("nowhere", "127.0.0.1", 403),
    ],
)  # fmt: skip
def test_the_server_leaves_when_it_is_told_from_where_that_is_allowed(allowed: str, peer: str, status: int) -> None:
    async def scenario() -> None:
        async with consul(ConsulSettings(leave_from=allowed)) as door:  # type: ignore[arg-type]  # one of the three
            server = operated(door)
            got = await door.ask("PUT", "/v1/agent/leave", peer=peer)
            assert got.status == status
            assert server.calls == (["leave"] if status == 200 else [])
            assert status == 200 or "leave_from" in got.text

    run(scenario())


def test_orders_are_taken_before_there_is_a_leader() -> None:
    async def scenario() -> None:
        async with consul(opened=False) as door:
            server = operated(door)
            assert await door.put("/v1/agent/reload") == b""
            assert await door.put("/v1/agent/leave") == b""
            assert server.calls == ["reload", "leave"]
            assert (await door.ask("GET", "/v1/agent/metrics")).status == 200
            assert (await door.ask("GET", "/v1/agent/self")).status == 503

    run(scenario())


def test_only_a_member_that_is_present_is_joined() -> None:
    async def scenario() -> None:
        async with consul() as door:
            for address in ("127.0.0.1", "127.0.0.1:8301", "callboard", "127.0.0.1?wan=1"):
                assert await door.put(f"/v1/agent/join/{address}") == b""
            got = await door.ask("PUT", "/v1/agent/join/10.1.1.1:8301")
            assert got.status == 500
            assert got.text.startswith("Failed to join 10.1.1.1:8301: ")

    run(scenario())


@pytest.mark.parametrize("field", ["x-forwarded-for", "forwarded", "via"])
def test_what_a_proxy_on_this_machine_passes_on_is_not_from_here(field: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            server = operated(door)
            got = await door.ask("PUT", "/v1/agent/leave", headers={field: "unknown"})
            assert (got.status, server.calls) == (403, [])

    run(scenario())


def test_a_node_is_forced_to_leave_only_when_everything_on_it_has_failed() -> None:
    async def scenario() -> None:
        async with consul() as door:
            for node, status in (("dead", "critical"), ("live", "passing")):
                service, check = {"Service": "web", "ID": "w"}, {"Name": "c", "ServiceID": "w", "Status": status}
                await door.put("/v1/catalog/register", {"Node": node, "Address": "10.0.0.9", "Service": service, "Check": check})
            for node in ("dead", "live", "callboard", "CALLBOARD.dc1?wan"):
                assert await door.put(f"/v1/agent/force-leave/{node}") == b""
            assert [node["Node"] for node in await door.get("/v1/catalog/nodes")] == ["callboard", "live"]
            got = await door.ask("PUT", "/v1/agent/force-leave/ghost?prune")
            assert (got.status, got.text) == (500, "agent: No node found with name 'ghost'")

    run(scenario())


def test_tokens_need_access_control() -> None:
    async def scenario() -> None:
        async with consul() as door:
            for kind in ("default", "agent", "replication", "dns"):
                got = await door.ask("PUT", f"/v1/agent/token/{kind}", {"Token": "t"})
                assert (got.status, got.text) == (401, "ACL support disabled")
            for method, path in (("PUT", "bootstrap"), ("GET", "tokens"), ("DELETE", "policy/x"), ("POST", "login")):
                got = await door.ask(method, f"/v1/acl/{path}")
                assert (got.status, got.text) == (401, "ACL support disabled")

    run(scenario())


def test_the_agent_tells_what_it_is() -> None:
    async def scenario() -> None:
        async with consul() as door:
            assert list(await door.get("/v1/agent/version")) == ["SHA", "BuildDate", "HumanVersion", "FIPS"]
            about = await door.get("/v1/agent/self")
            assert list(about) == ["Config", "DebugConfig", "Coord", "Member", "Stats", "Meta", "xDS"]
            assert list(about["Config"]) == [
                "Datacenter", "PrimaryDatacenter", "NodeName", "NodeID", "Revision", "Server", "Version", "BuildDate", "BindAddr",
            ]  # fmt: skip
            assert {"agent", "build", "consul", "raft", "runtime", "serf_lan", "serf_wan"} == set(about["Stats"])
            assert about["Stats"]["consul"]["leader_addr"] == await door.get("/v1/status/leader") == "127.0.0.1:8300"
            assert all(isinstance(value, str) for part in about["Stats"].values() for value in part.values())
            await door.put(
                "/v1/agent/service/register", {"Name": "web", "Checks": [{"TTL": "1m"}, {"TCP": "127.0.0.1:1", "Interval": "1m"}]}
            )
            counts = (await door.get("/v1/agent/self"))["Stats"]["agent"]
            assert counts == {"check_monitors": "1", "check_ttls": "1", "checks": "2", "services": "1"}
            (member,) = await door.get("/v1/agent/members")
            assert member == about["Member"]
            assert (member["Name"], member["Status"], member["Tags"]["id"]) == ("callboard", 1, about["Config"]["NodeID"])
            (wan,) = await door.get("/v1/agent/members?wan=1&segment=_all")
            assert wan["Name"] == "callboard.dc1"
            for query, status, text in (
                ("segment=alpha", 500, "Network segments are not supported in this version of Consul"),
                ("wan=1&segment=alpha", 400, "Cannot provide a segment with wan=true"),
            ):
                got = await door.ask("GET", f"/v1/agent/members?{query}")
                assert (got.status, got.text) == (status, text)

    run(scenario())


def test_the_coordinate_of_the_callers_node_is_shown_with_it() -> None:
    async def scenario() -> None:
        async with consul() as door:
            assert (await door.get("/v1/agent/self"))["Coord"] is None
            coord = {"Vec": [0.5] * 8, "Error": 0.1, "Adjustment": 0.0, "Height": 0.001}
            await door.put("/v1/coordinate/update", {"Node": "callboard", "Coord": coord})
            assert (await door.get("/v1/agent/self"))["Coord"] == coord

    run(scenario())


def test_the_machine_is_described() -> None:
    async def scenario() -> None:
        async with consul() as door:
            host = await door.get("/v1/agent/host")
            assert list(host) == ["Memory", "CPU", "Host", "Disk", "CollectionTime", "Errors"]
            assert host["Host"]["hostname"]
            assert host["Disk"]["total"] >= host["Disk"]["used"] > 0

    run(scenario())


def test_what_a_machine_does_not_tell_is_null_and_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with consul() as door:
            (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Abacus\ncpu MHz\t: 5.5\n\nprocessor\t: 1\n\n")
            (tmp_path / "uptime").write_text("rubbish")
            host = AgentHost(Door(door.registry, ConsulSettings()), tmp_path)
            request = Asked("GET", "/v1/agent/host", "", b"", Query(""), {}, "127.0.0.1", "127.0.0.1")
            reply = host.host(request)
            assert isinstance(reply, Answer)
            text = reply.body.decode()
            assert '"Memory":null' in text
            assert '"CPU":[{"cpu":0,"modelName":"Abacus","mhz":5.5},{"cpu":1,"modelName":"","mhz":0.0}]' in text
            assert "FileNotFoundError" in text
            assert '"uptime":0,"bootTime":0' in text

    run(scenario())
