from typing import Any

import msgspec
import pytest

from callboard.client.machine.picture import Picture
from callboard.core.catalog.commands import Register, SetMaintenance, Target
from callboard.model.instance import NodeSpec
from callboard.wire.native import InstanceState
from callboard.wire.native_digest import digest_of
from tests.frontend.native.conftest import Api
from tests.frontend.native.test_watch import Reader

TTL = {"ttl_ms": 600_000}
HOME = NodeSpec(name="callboard", address="127.0.0.1")


def look(api: Api, query: str = "") -> Any:
    """What the route answers."""
    return api.ok("GET", f"/digest{query}")


@pytest.mark.parametrize("query", ["", "?service=web", "?service=web&service=DB", "?namespace=blue", "?service=nobody"])
def test_a_reader_that_has_heard_everything_has_the_same_digest(api: Api, query: str) -> None:
    for number in range(3):
        api.register("web", id=f"web-{number}", checks=[{"id": str(number), "status": "passing", **TTL}])
    api.register("db", "10.0.0.9")
    api.register("web", id="other", namespace="blue")
    reader, picture = Reader(api, query), Picture()
    changes: list[Any] = [
        lambda: None,
        lambda: api.ok("PUT", "/drain/web-0"),
        lambda: api.ok("PUT", "/heartbeat/web-1", {"status": "warning", "output": "slow"}),
        lambda: api.register("web", id="web-2", tags=["new"]),
        lambda: api.ok("DELETE", "/instances/db", peer="10.0.0.9"),
        lambda: api.world.submit(SetMaintenance(nonce="m", node=HOME, enable=True, instance=Target("callboard", "web-1"))),
        lambda: api.world.submit(Register(nonce="n", node=NodeSpec(name="CallBoard", address="192.0.2.1"))),
    ]
    for change in changes:
        change()
        for event in reader.events():
            list(picture.apply(event))
        known = tuple(picture.known.values())
        assert look(api, query) | {"revision": 0} == {"revision": 0, "instances": len(known), "digest": digest_of(known)}


def test_it_is_the_digest_of_what_the_service_lists(api: Api) -> None:
    api.register("web")
    listed = api.ok("GET", "/services/web")
    states = msgspec.convert(listed["instances"], tuple[InstanceState, ...])
    assert look(api, "?service=web") == {"revision": listed["revision"], "instances": 1, "digest": digest_of(states)}


def test_an_output_alone_leaves_it_as_it_is(api: Api) -> None:
    api.register("web", checks=[{"status": "passing", **TTL}])
    before = look(api, "?service=web")
    api.ok("PUT", "/heartbeat/web", {"output": "still fine"})
    after = look(api, "?service=web")
    assert (after["digest"], after["revision"] > before["revision"]) == (before["digest"], True)


def test_other_services_do_not_touch_it_and_repeats_are_one(api: Api) -> None:
    api.register("web")
    before = look(api, "?service=web")
    api.register("db")
    assert look(api, "?service=web&service=Web") == before
    assert look(api)["instances"] == 2


def test_the_servers_own_entry_counts_only_when_it_is_asked_for(api: Api) -> None:
    assert (look(api)["instances"], look(api, "?service=consul")["instances"]) == (0, 1)


@pytest.mark.parametrize("query", ["services=a", "node=a", "service=", "tag=a"])
def test_a_wrong_parameter_is_refused_by_name(api: Api, query: str) -> None:
    assert api.problem("GET", f"/digest?{query}") == (400, "invalid", query.partition("=")[0])
