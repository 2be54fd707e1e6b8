"""Events: fired, listed, waited for, and with ids that clients can compute an index from."""

from urllib.parse import quote

import pytest

from tests.frontend.consul.harness import consul, served
from tests.support import run


def index_of(identity: str) -> int:
    """What Consul's clients make of an event's id (Go: Event.IDToIndex)."""
    text = identity.replace("-", "")
    return int(text[:16], 16) ^ int(text[16:], 16)


def test_an_event_is_answered_with_all_eight_keys_and_listed_with_its_number() -> None:
    async def scenario() -> None:
        async with consul() as door:
            got = await door.ask("PUT", "/v1/event/fire/deploy?node=n.*&service=web&tag=v1", b"\x00\xff")
            fired = got.json()
            assert got.headers["x-consul-default-acl-policy"] == "allow"
            assert list(fired) == ["ID", "Name", "Payload", "NodeFilter", "ServiceFilter", "TagFilter", "Version", "LTime"]
            (listed,) = await door.get("/v1/event/list")
            assert listed == fired | {"LTime": 1}
            assert (fired["Payload"], fired["NodeFilter"], fired["ServiceFilter"], fired["TagFilter"]) == ("AP8=", "n.*", "web", "v1")
            await door.put("/v1/event/fire/quiet")
            assert [event["Payload"] for event in await door.get("/v1/event/list")] == ["AP8=", None]

    run(scenario())


def test_the_index_of_the_list_is_that_of_its_last_event() -> None:
    async def scenario() -> None:
        async with consul() as door:
            empty = await door.ask("GET", "/v1/event/list")
            assert (empty.body, empty.headers["x-consul-index"]) == (b"[]", "1")
            for name in ("a", "b"):
                await door.put(f"/v1/event/fire/{name}")
            for query in ("", "?name=a", "?name=b"):
                got = await door.ask("GET", f"/v1/event/list{query}")
                assert index_of(got.json()[-1]["ID"]) == int(got.headers["x-consul-index"])
            assert (await door.get("/v1/event/list?name=c")) == []

    run(scenario())


def test_a_blocked_list_waits_for_the_next_event_of_its_name() -> None:
    async def scenario() -> None:
        async with served() as door:
            await door.put("/v1/event/fire/deploy")
            index = int((await door.get("/v1/event/list?name=deploy")).headers["x-consul-index"])
            blocked = door.blocked("/v1/event/list?name=deploy", index)
            await door.parked(1)
            await door.put("/v1/event/fire/other")
            assert not blocked.done()
            await door.put("/v1/event/fire/deploy", b"2")
            answer = await blocked
            assert [event["Payload"] for event in answer.json()] == [None, "Mg=="]
            assert int(answer.headers["x-consul-index"]) > index

    run(scenario())


@pytest.mark.parametrize(
    ("target", "body", "status", "text"),
    [
        ("", b"", 400, "Missing name"),
        ("x?tag=t", b"", 500, "Cannot provide tag filter without service filter"),
        ("x?node=%5B", b"", 500, "Invalid node filter: error parsing regexp: missing ]"),
        ("x?service=(?%3Dx)", b"", 500, "Invalid service filter: error parsing regexp: "),
        ("x", b"p" * 512, 413, "Event payload too large, received 512 bytes"),
        ("x" * 513, b"", 413, "Event payload too large"),
        ("x?node=" + "n" * 513, b"", 400, "node_filter: must have at most 512 characters"),
        ("x?dc=dc2", b"", 500, "No path to datacenter"),
        ("x?ns=team", b"", 400, 'Invalid query parameter: "ns"'),
    ],
)
def test_what_cannot_be_fired_is_refused(target: str, body: bytes, status: int, text: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            got = await door.ask("PUT", f"/v1/event/fire/{target}", body)
            assert got.status == status
            assert got.text.startswith(text)
            assert await door.get("/v1/event/list") == []

    run(scenario())


def test_names_may_be_anything_printable() -> None:
    async def scenario() -> None:
        async with consul() as door:
            name = "a/b:ü #1"
            await door.put("/v1/event/fire/" + quote(name, safe=""))
            assert [event["Name"] for event in await door.get("/v1/event/list?name=" + quote(name))] == [name]

    run(scenario())
