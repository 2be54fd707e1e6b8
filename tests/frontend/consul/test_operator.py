"""What operators ask: who votes, who leads, how much there is, and to let another lead."""

import asyncio

import pytest

from callboard.frontend.consul.plugin import PLUGIN
from callboard.frontend.consul.settings import ConsulSettings
from callboard.registry.registry import Registry
from callboard.testing.clock import VirtualClock
from tests.frontend.consul.harness import Consul, consul
from tests.registry.cluster import cluster
from tests.registry.stage import played
from tests.support import run


def door_of(member: Registry) -> Consul:
    return Consul(member, PLUGIN.build(member, ConsulSettings()))


def test_a_single_server_is_its_own_only_voter() -> None:
    async def scenario() -> None:
        async with consul() as door:
            raft = await door.get("/v1/operator/raft/configuration")
            assert list(raft) == ["Servers", "Index"]
            assert raft["Index"] == 0
            (server,) = raft["Servers"]
            assert list(server) == ["ID", "Node", "Address", "Leader", "ProtocolVersion", "Voter", "LastIndex"]
            about = await door.get("/v1/agent/self")
            assert (server["ID"], server["Node"]) == (about["Config"]["NodeID"], "callboard")
            assert (server["Address"], server["Leader"], server["Voter"]) == ("127.0.0.1:8300", True, True)

    run(scenario())


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("", 400, "Must specify either ?id with the server's ID or ?address with IP:port of peer to remove"),
        ("?id=a&address=b", 400, "Must specify only one of ?id or ?address"),
        ("?id=nobody", 500, 'id "nobody" was not found in the Raft configuration'),
        ("?address=10.0.0.1:8300", 500, 'address "10.0.0.1:8300" was not found in the Raft configuration'),
        ("?address=127.0.0.1:8300", 500, 'address "127.0.0.1:8300" is of a member that is present; stop it, and it is no peer any more'),
        ("?id=a&dc=dc2", 500, "No path to datacenter"),
    ],
)
def test_no_peer_is_removed_by_hand(query: str, status: int, text: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            got = await door.ask("DELETE", f"/v1/operator/raft/peer{query}")
            assert (got.status, got.text) == (status, text)

    run(scenario())


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_single_server_has_nobody_to_hand_the_lead_to(method: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            for query in ("", "?id=x"):
                got = await door.ask(method, f"/v1/operator/raft/transfer-leader{query}")
                assert got.status == 500
                assert got.text.startswith("cannot find peer")
            assert door.registry.leading

    run(scenario())


def test_the_lead_is_handed_over_wherever_that_is_asked_for() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock, "ab") as made:
            for member in (made.followers[0], made.leader):
                leader = made.leader
                got = await door_of(member).ask("POST", "/v1/operator/raft/transfer-leader")
                assert (got.status, got.body) == (200, b'{"Success":true}')
                await made.wait(1)
                assert made.leader is not leader
                await made.wait(10)

    played(play)


def test_the_next_leader_can_be_named_where_there_is_only_one_choice() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock, "abc") as made:
            door = door_of(made.leader)
            servers = (await door.get("/v1/operator/raft/configuration"))["Servers"]
            assert [server["Node"] for server in servers] == ["a", "b", "c"]
            assert [server["Leader"] for server in servers] == [True, False, False]
            assert len({server["ID"] for server in servers}) == 3
            got = await door.ask("POST", f"/v1/operator/raft/transfer-leader?id={servers[1]['ID']}")
            assert (got.status, got.text) == (500, "which of several members leads next cannot be chosen; leave out ?id")
            got = await door.ask("POST", f"/v1/operator/raft/transfer-leader?id={servers[0]['ID']}")
            assert got.status == 500
            await made.stop("c")
            await made.wait(1)
            got = await door.ask("POST", f"/v1/operator/raft/transfer-leader?id={servers[1]['ID']}")
            assert got.status == 200
            assert made.leader is made.network.members["b"]
            assert [member["Name"] for member in await door.get("/v1/agent/members")] == ["a", "b"]

    played(play)


def test_two_who_ask_at_once_do_not_hand_it_over_twice() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock, "abc") as made:
            door = door_of(made.leader)
            answers = await asyncio.gather(*(door.ask("PUT", "/v1/operator/raft/transfer-leader") for _ in range(2)))
            assert sorted(answer.status for answer in answers) == [200, 500]

    played(play)


def test_there_is_no_keyring() -> None:
    async def scenario() -> None:
        async with consul() as door:
            pools = await door.get("/v1/operator/keyring")
            assert [list(pool) for pool in pools] == [["WAN", "Datacenter", "Segment", "Keys", "PrimaryKeys", "NumNodes"]] * 2
            assert [(pool["WAN"], pool["Keys"], pool["NumNodes"]) for pool in pools] == [(True, {}, 1), (False, {}, 1)]
            for method in ("POST", "PUT", "DELETE"):
                got = await door.ask(method, "/v1/operator/keyring", {"Key": "x"})
                assert got.status == 500
                assert "no keyring" in got.text

    run(scenario())


def test_usage_counts_what_is_there() -> None:
    async def scenario() -> None:
        async with consul() as door:
            for number in range(3):
                await door.put("/v1/agent/service/register", {"Name": "web" if number else "db", "ID": f"i{number}"})
            got = await door.ask("GET", "/v1/operator/usage?global")
            usage = got.json()
            assert usage["Usage"]["dc1"] == {
                "Services": 3, "ServiceInstances": 4,
                "ConnectServiceInstances": dict.fromkeys(
                    ("connect-native", "connect-proxy", "api-gateway", "ingress-gateway", "mesh-gateway", "terminating-gateway"), 0
                ),
                "BillableServiceInstances": 3, "Nodes": 1,
            }  # fmt: skip
            assert (usage["KnownLeader"], usage["ConsistencyLevel"], usage["ResultsFilteredByACLs"]) == (True, "leader", False)
            assert int(got.headers["x-consul-index"]) == usage["Index"]
            assert got.headers["x-consul-lastcontact"] == "0"

    run(scenario())
