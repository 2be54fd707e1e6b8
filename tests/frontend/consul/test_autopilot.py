"""Autopilot: settings that are kept, and the health of the servers."""

import pytest

from callboard.testing.clock import VirtualClock
from tests.frontend.consul.harness import consul
from tests.frontend.consul.test_operator import door_of
from tests.registry.cluster import cluster
from tests.registry.stage import played
from tests.support import run

PATH = "/v1/operator/autopilot/configuration"
DEFAULTS = {
    "CleanupDeadServers": True, "LastContactThreshold": "200ms", "MaxTrailingLogs": 250, "MinQuorum": 0, "ServerStabilizationTime": "10s",
    "RedundancyZoneTag": "", "DisableUpgradeMigration": False, "UpgradeVersionTag": "",
}  # fmt: skip


def test_the_settings_begin_as_consuls_and_are_kept() -> None:
    async def scenario() -> None:
        async with consul() as door:
            assert await door.get(PATH) == DEFAULTS | {"CreateIndex": 0, "ModifyIndex": 0}
            wanted = DEFAULTS | {"MaxTrailingLogs": 7, "LastContactThreshold": "1m0s", "RedundancyZoneTag": "zone"}
            assert await door.put(PATH, wanted) == b"true"
            kept = await door.get(PATH)
            assert kept == wanted | {"CreateIndex": kept["CreateIndex"], "ModifyIndex": kept["CreateIndex"]}
            assert await door.put(PATH, {"MinQuorum": 3}) == b"true"
            assert (await door.get(PATH)).items() >= (DEFAULTS | {"MinQuorum": 3}).items(), "what is left out is as in the beginning"
            assert await door.put(PATH, kept | {"LastContactThreshold": 1_000_000}) == b"true"
            assert (await door.get(PATH))["LastContactThreshold"] == "1ms"

    run(scenario())


def test_settings_are_set_only_on_the_index_that_was_seen() -> None:
    async def scenario() -> None:
        async with consul() as door:
            assert await door.put(f"{PATH}?cas=12345", DEFAULTS) == b"false"
            assert await door.put(f"{PATH}?cas=0", DEFAULTS | {"MinQuorum": 3}) == b"true"
            seen = await door.get(PATH)
            assert await door.put(f"{PATH}?cas={seen['ModifyIndex']}", seen | {"MinQuorum": 5}) == b"true"
            assert await door.put(f"{PATH}?cas={seen['ModifyIndex']}", seen | {"MinQuorum": 7}) == b"false"
            assert (await door.get(PATH))["MinQuorum"] == 5

    run(scenario())


@pytest.mark.parametrize(
    ("query", "body", "text"),
    [
        ("?cas=x", DEFAULTS, 'Error parsing cas value: strconv.ParseUint: parsing "x": invalid syntax'),
        ("?cas=", DEFAULTS, 'Error parsing cas value: strconv.ParseUint: parsing "": invalid syntax'),
        ("", {"Speed": 1}, 'Error parsing autopilot config: json: unknown field "Speed"'),
        ("", {"MinQuorum": -1}, "min_quorum: must not be negative, and fit into 64 bits"),
        ("", {"RedundancyZoneTag": "z" * 129}, "redundancy_zone_tag: must have at most 128 characters"),
    ],
)
def test_what_are_no_settings_is_refused(query: str, body: object, text: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            got = await door.ask("PUT", PATH + query, body)
            assert (got.status, got.text) == (400, text)

    run(scenario())


def test_a_single_server_is_well() -> None:
    async def scenario() -> None:
        async with consul() as door:
            health = await door.get("/v1/operator/autopilot/health")
            assert (health["Healthy"], health["FailureTolerance"]) == (True, 0)
            (server,) = health["Servers"]
            assert list(server) == [
                "ID", "Name", "Address", "SerfStatus", "Version", "Leader", "LastContact", "LastTerm", "LastIndex", "Healthy", "Voter",
                "StableSince",
            ]  # fmt: skip
            assert (server["SerfStatus"], server["Leader"], server["LastTerm"]) == ("alive", True, 1)
            state = await door.get("/v1/operator/autopilot/state")
            assert (state["Leader"], state["Voters"], list(state["Servers"])) == (server["ID"], [server["ID"]], [server["ID"]])
            assert state["Servers"][server["ID"]]["Status"] == "leader"

    run(scenario())


def test_a_member_that_is_not_in_touch_says_that_not_all_is_well() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock, "abc") as made:
            door = door_of(made.followers[0])
            health = await door.get("/v1/operator/autopilot/health")
            assert (health["Healthy"], health["FailureTolerance"]) == (True, 2)
            assert [(server["Name"], server["Leader"]) for server in health["Servers"]] == [("a", True), ("b", False), ("c", False)]
            for other in "ac":
                made.network.sever("b", other)
            await made.wait(8)
            got = await door.ask("GET", "/v1/operator/autopilot/health")
            assert got.status == 429
            assert (got.json()["Healthy"], got.json()["FailureTolerance"]) == (False, 0)
            assert (await door.get("/v1/operator/autopilot/state"))["Healthy"] is False
            assert await door.get("/v1/status/leader") == ""

    played(play)
