"""Which instances `resolve` keeps: by version, label and zone, with the reason for each. (By tag and health: test_reads.py.)"""

from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.core.catalog.commands import Register
from callboard.frontend.native.resolve import _selector
from callboard.model.errors import InvalidError
from callboard.model.instance import NodeSpec
from callboard.wire.native import Resolution
from callboard.wire.url import Query
from tests.frontend.native.conftest import Api
from tests.frontend.native.test_reads import considered, read_of

TTL = {"ttl_ms": 600_000}
VERSIONS = {"one": "1.9.0", "two": "2.1.3", "two-new": "v2.4.0", "three": "3.0.0", "candidate": "2.5.0-rc.1", "odd": "banana", "none": ""}


def sign_in(api: Api, versions: dict[str, str] = VERSIONS) -> None:
    """One of each version."""
    for instance, version in versions.items():
        api.register("web", id=instance, meta={"version": version} if version else {})


def kept(api: Api, query: str) -> set[str]:
    """Ids of the endpoints."""
    return set(api.endpoints(f"web?{query}"))


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("version=^2.1", {"two", "two-new"}),
        ("version=%3E%3D2,%3C3", {"two", "two-new"}),
        ("version=%3E%3D2+%3C2.4", {"two"}),
        ("version=2.1.x", {"two"}),
        ("version=~2.4", {"two-new"}),
        ("version=2.4.0", {"two-new"}),
        ("version=*", {"one", "two", "two-new", "three"}),
        ("version=%3E%3D2.5.0-rc.1", {"candidate", "three"}),
        ("version=", set(VERSIONS)),
        ("version=^2.1&prefer=latest", {"two-new"}),
        ("version=^2.1&prefer=oldest", {"two"}),
        ("prefer=latest", {"three"}),
        ("version=^9", set()),
        ("version=^9&fallback=any", set(VERSIONS)),
        ("version=^9&fallback=1.x", {"one"}),
        ("version=^9&fallback=^2&prefer=latest", {"two-new"}),
        ("version=^2&fallback=any", {"two", "two-new"}),
    ],
)
def test_versions_are_chosen_by_range(api: Api, query: str, ids: set[str]) -> None:
    sign_in(api)
    assert kept(api, query) == ids
    assert api.ok("GET", f"/resolve/web?{query}")["fell_back"] == ("^9&" in query and bool(ids))


def test_who_is_left_out_by_version_is_told_why(api: Api) -> None:
    sign_in(api, {"one": "1.9.0", "none": "", "two": "2.1.0", "low": "2.0.0"})
    told = considered(api, "web?version=^2.0&prefer=latest")
    assert told["one"] == (False, "version 1.9.0 is not ^2.0")
    assert told["two"] == (True, "passing")
    assert (told["none"][0], told["low"][0]) == (False, False)
    assert "version" in told["none"][1]
    assert "latest" in told["low"][1]


def test_the_fallback_comes_when_nobody_of_the_range_is_fit_to_be_called(api: Api) -> None:
    api.register("web", id="new", meta={"version": "2.0.0"}, checks=[{"id": "c", "status": "critical", **TTL}])
    api.register("web", id="old", meta={"version": "1.0.0"})
    answer = api.ok("GET", "/resolve/web?version=2.x&fallback=1.x")
    assert ([one["id"] for one in answer["endpoints"]], answer["fell_back"]) == (["old"], True)
    assert kept(api, "version=2.x") == set()
    api.ok("PUT", "/heartbeat/new")
    answer = api.ok("GET", "/resolve/web?version=2.x&fallback=1.x")
    assert ([one["id"] for one in answer["endpoints"]], answer["fell_back"]) == (["new"], False)


def test_the_latest_version_is_one_that_can_be_called(api: Api) -> None:
    api.register("web", id="new", meta={"version": "2.0.0"}, phase="starting")
    api.register("web", id="old", meta={"version": "1.0.0"})
    assert kept(api, "prefer=latest") == {"old"}
    assert considered(api, "web?prefer=latest")["new"] == (False, "starting")


def test_all_labels_are_wanted(api: Api) -> None:
    api.register("web", id="a", meta={"env": "prod", "tier": "gold"})
    api.register("web", id="b", meta={"env": "prod"})
    assert kept(api, "label=env%3Dprod") == {"a", "b"}
    assert kept(api, "label=env%3Dprod&label=tier%3Dgold") == {"a"}
    assert considered(api, "web?label=tier%3Dgold")["b"] == (False, "lacks label tier=gold")
    assert kept(api, "label=note%3D") == set()


def test_the_own_zone_is_kept_while_it_has_enough(api: Api) -> None:
    for number in range(3):
        api.register("web", id=f"a{number}", meta={"zone": "a"})
        api.register("web", id=f"b{number}", meta={"zone": "b"}, checks=[{"id": f"b{number}", "status": "passing", **TTL}])
    assert kept(api, "zone=a") == {"a0", "a1", "a2"}
    assert {one["zone"] for one in api.ok("GET", "/resolve/web")["endpoints"]} == {"a", "b"}
    api.ok("PUT", "/heartbeat/b0", {"status": "critical"})
    assert kept(api, "zone=b") == {"a0", "a1", "a2", "b1", "b2"}
    assert kept(api, "zone=elsewhere") == {"a0", "a1", "a2", "b1", "b2"}


def test_an_instance_is_in_the_zone_of_its_node_unless_it_says_another(api: Api) -> None:
    node = NodeSpec(name="rack", address="10.0.0.7", meta={"zone": "a", "region": "eu"})
    api.world.submit(Register(nonce="n", node=node))
    api.register("web", id="silent", node="rack")
    api.register("web", id="says", node="rack", meta={"zone": "b"})
    zones = {one["id"]: one["zone"] for one in api.ok("GET", "/resolve/web")["endpoints"]}
    assert zones == {"silent": "a", "says": "b"}
    assert kept(api, "label=zone%3Da") == {"silent"}
    api.world.submit(Register(nonce="o", node=NodeSpec(name="rack", address="10.0.0.7", meta={"zone": "c"})))
    assert kept(api, "label=zone%3Dc") == {"silent"}


def test_the_limit_comes_last(api: Api) -> None:
    sign_in(api)
    answer = api.ok("GET", "/resolve/web?version=%3E%3D2&limit=1")
    assert [one["id"] for one in answer["endpoints"]] == ["three"]
    assert considered(api, "web?version=%3E%3D2&limit=1")["two"] == (False, "beyond the limit of 1")


def test_wishes_said_in_another_order_are_one_answer(api: Api) -> None:
    one = read_of(api, "/resolve/web?label=a%3D1&label=b%3D2&tag=x&tag=y&version=1.x&fallback=none&prefer=any")
    two = read_of(api, "/resolve/web?version=1.x&tag=y&tag=x&tag=x&label=b%3D2&label=a%3D1&label=a%3D1")
    assert one.key == two.key
    assert read_of(api, "/resolve/web?version=1.x").key != read_of(api, "/resolve/web?fallback=1.x").key


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("version=banana", "version"), ("version=%5E", "version"), ("version=1.2.3.4", "version"), ("version=1,,2", "version"),
        (f"version={'1.' * 300}", "version"), ("fallback=latest", "fallback"), ("fallback=%5E%5E1", "fallback"),
        ("prefer=newest", "prefer"), ("label=env", "label"), ("label=%3Dprod", "label"), ("label=a%3D1&label=a%3D2", "label"),
    ],
)  # fmt: skip
def test_what_is_no_range_preference_or_label_is_refused_by_name(api: Api, query: str, field: str) -> None:
    assert api.problem("GET", f"/resolve/web?{query}") == (400, "invalid", field)


@given(st.text(max_size=30), st.sampled_from(["version", "fallback"]))
def test_any_text_is_a_range_or_refused_by_name(text: str, field: str) -> None:
    try:
        understood = getattr(_selector(Query(urlencode({field: text}))), field)
    except InvalidError as error:
        understood = error.field
    assert understood in {text, field, "none"}


def test_an_answer_of_an_older_server_is_still_read() -> None:
    endpoint: dict[str, Any] = {
        "id": "web", "node": "n", "address": "10.0.0.1", "port": 80, "tags": [], "weight": 1, "status": "passing",
    }  # fmt: skip
    body = {"service": "web", "namespace": "public", "revision": 7, "endpoints": [endpoint], "considered": []}
    read = msgspec.convert(body, Resolution)
    assert (read.fell_back, read.endpoints[0].version, read.endpoints[0].zone) == (False, "", "")
