"""TTL updates over HTTP, again and again on one connection: what is said changes, and so does the way it takes."""

import pytest

from tests.frontend.consul.harness import Served, served
from tests.support import run

WEB = {"ID": "web1", "Name": "web", "Check": {"TTL": "1h", "Status": "passing"}}
ID = "service:web1"


async def state(door: Served) -> tuple[str, str]:
    check = (await door.get("/v1/agent/checks")).json()[ID]
    return check["Status"], check["Output"]


async def say(door: Served, what: str, *, changes: bool) -> None:
    """A TTL update, and whether it is one that is written."""
    verb, _, rest = what.partition(" ")
    before = door.consul.registry.stats.commands
    if verb == "update":
        status, _, output = rest.partition(" ")
        await door.put(f"/v1/agent/check/update/{ID}", {"Status": status, "Output": output})
    else:
        await door.put(f"/v1/agent/check/{verb}/{ID}{rest}")
    assert (door.consul.registry.stats.commands > before) is changes, what


@pytest.mark.parametrize(
    "story",
    [
        ["pass", "pass", "pass?note=", "pass?note=fine", "*", "pass?note=fine", "pass", "*", "pass"],
        ["update passing", "update passing", "update passing ok", "*", "update passing ok", "update passing", "*", "update passing"],
        ["pass", "warn", "*", "warn", "warn", "pass", "*", "pass"],
        ["pass", "fail", "*", "pass", "*", "pass", "update critical no", "*", "update passing", "*", "update passing"],
        ["update warning slow", "*", "update warning slow", "update warning slow", "warn", "*", "pass", "*", "pass"],
    ],
)
def test_news_are_written_and_everything_else_is_not(story: list[str]) -> None:
    """A star stands behind what is news."""

    async def scenario() -> None:
        async with served() as door:
            await door.put("/v1/agent/service/register", WEB)
            for place, what in enumerate(story):
                if what != "*":
                    text = what.replace("?", " ?", 1) if "?" in what else what
                    await say(door, text, changes=story[place + 1 : place + 2] == ["*"])

    run(scenario())


def test_an_update_is_told_in_what_is_shown() -> None:
    async def scenario() -> None:
        async with served() as door:
            await door.put("/v1/agent/service/register", WEB)
            for status, output in [("passing", ""), ("passing", "fine"), ("passing", "fine"), ("warning", "slow"), ("passing", "")]:
                for _ in range(2):
                    await door.put(f"/v1/agent/check/update/{ID}", {"Status": status, "Output": output})
                assert await state(door) == (status, output)
            stats = door.consul.frontend.stats
            assert getattr(stats, "heartbeats", 0) == 7

    run(scenario())


def test_another_node_or_name_space_is_not_the_callers() -> None:
    async def scenario() -> None:
        async with served() as door:
            await door.put("/v1/agent/service/register", WEB)
            await door.put("/v1/agent/service/register?node=n2", {**WEB, "Check": {"TTL": "1h", "Status": "critical"}})
            for _ in range(3):
                await door.put(f"/v1/agent/check/pass/{ID}")
                assert (await door.client.put(f"/v1/agent/check/pass/{ID}?ns=blue")).status_code == 400
                assert (await door.client.put(f"/v1/agent/check/pass/{ID}", headers={"X-Consul-Namespace": "blue"})).status_code == 400
                assert (await door.client.put("/v1/agent/check/pass/service:web2")).status_code == 404
            before = door.consul.registry.stats.commands
            await door.put(f"/v1/agent/check/pass/{ID}?node=n2")
            assert door.consul.registry.stats.commands == before + 1, "there it was critical"

    run(scenario())
