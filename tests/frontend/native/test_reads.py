from typing import Any

import pytest

from callboard.core.catalog.commands import SetMaintenance, Target
from callboard.model.check import Status
from callboard.model.instance import NodeSpec
from callboard.model.time import MILLISECOND
from callboard.net.http.message import Read
from callboard.testing.frontend_suite_kit import Example
from tests.frontend.native.conftest import Api

TTL = {"ttl_ms": 10_000}
HOME = NodeSpec(name="callboard", address="127.0.0.1")


def maintain(api: Api, instance: str) -> None:
    api.world.submit(SetMaintenance(nonce="m", node=HOME, enable=True, instance=Target("callboard", instance)))


def considered(api: Api, target: str) -> dict[str, tuple[bool, str]]:
    """Instance ids, and whether and why they are kept."""
    return {one["id"]: (one["kept"], one["reason"]) for one in api.ok("GET", f"/resolve/{target}")["considered"]}


def read_of(api: Api, path: str) -> Read:
    read = api.exchange("GET", path).read
    assert read is not None
    return read


# -- services and nodes


def test_services_are_counted_by_status_and_draining_beside_it(api: Api) -> None:
    for instance, status in (("a", "passing"), ("b", "passing"), ("c", "warning"), ("d", "critical"), ("e", "passing")):
        api.register("web", id=instance, tags=[instance, "all"], checks=[{"id": instance, "status": status, **TTL}])
    maintain(api, "e")
    api.ok("PUT", "/drain/a")
    (service,) = api.ok("GET", "/services")["services"]
    assert service == {
        "name": "web", "namespace": "public", "tags": ["a", "all", "b", "c", "d", "e"], "instances": 5,
        "passing": 2, "warning": 1, "critical": 1, "maintenance": 1, "draining": 1,
    }  # fmt: skip


def test_the_servers_own_entry_is_not_listed_but_resolved_by_name(api: Api) -> None:
    assert api.ok("GET", "/services")["services"] == []
    assert api.ok("GET", "/nodes")["nodes"] == [
        {"name": "callboard", "address": "127.0.0.1", "meta": {}, "instances": 0, "implicit": False}
    ]  # fmt: skip
    assert api.endpoints("consul") == ["consul"]
    assert list(api.status("consul")) == ["consul"]
    api.register("consul", peer="10.0.0.9")
    assert [(service["name"], service["instances"]) for service in api.ok("GET", "/services")["services"]] == [("consul", 1)]


def test_a_service_that_nobody_registered_is_an_empty_answer(api: Api) -> None:
    for path in ("/services/web", "/resolve/web"):
        answer = api.ok("GET", path)
        assert answer["revision"] >= 1
        assert answer.get("instances", answer.get("endpoints")) == []


def test_services_differing_in_case_are_one(api: Api) -> None:
    api.register("Web", id="a")
    api.register("web", id="b")
    (service,) = api.ok("GET", "/services")["services"]
    assert (service["name"], service["instances"]) == ("Web", 2)
    assert list(api.status("WEB")) == ["a", "b"]


def test_nodes_made_by_a_call_go_with_what_is_on_them(api: Api) -> None:
    api.register("web", peer="10.0.0.9")
    nodes = {node["name"]: node for node in api.ok("GET", "/nodes")["nodes"]}
    assert nodes["10-0-0-9"] == {"name": "10-0-0-9", "address": "10.0.0.9", "meta": {}, "instances": 1, "implicit": True}
    api.ok("DELETE", "/instances/web", peer="10.0.0.9")
    assert [node["name"] for node in api.ok("GET", "/nodes")["nodes"]] == ["callboard"]


# -- resolving


def test_resolve_tells_why_each_instance_is_kept_or_dropped(api: Api) -> None:
    instances: dict[str, dict[str, Any]] = {
        "critical": {"checks": [{"id": "ok", "status": "passing", **TTL}, {"id": "bad", **TTL}]},
        "draining": {"phase": "draining"},
        "maintenance": {},
        "passing": {},
        "starting": {"phase": "starting"},
        "warning": {"checks": [{"id": "slow", "status": "warning", **TTL}]},
    }
    for instance, fields in instances.items():
        api.register("web", id=instance, tags=["blue"], **fields)
    api.register("web", id="green", tags=["green"])
    maintain(api, "maintenance")
    assert considered(api, "web?tag=blue") == {
        "critical": (False, "critical: check bad"), "draining": (False, "draining"), "green": (False, "tag blue missing"),
        "maintenance": (False, "maintenance"), "passing": (True, "passing"), "starting": (False, "starting"), "warning": (True, "warning"),
    }  # fmt: skip
    assert api.endpoints("web?tag=blue") == ["passing", "warning"]
    assert considered(api, "web?tag=blue&passing_only")["warning"] == (False, "warning")
    assert api.endpoints("web?tag=blue&passing_only=true") == ["passing"]


def test_resolve_weighs_by_status(api: Api) -> None:
    api.register("web", id="a", weights={"passing": 7, "warning": 2})
    api.register("web", id="b", weights={"passing": 7, "warning": 2}, checks=[{"status": "warning", **TTL}])
    assert [(one["id"], one["weight"]) for one in api.ok("GET", "/resolve/web")["endpoints"]] == [("a", 7), ("b", 2)]


def test_resolve_keeps_the_order_of_node_and_id_and_the_limit(api: Api) -> None:
    for instance, peer in (("b", "10.0.0.1"), ("a", "10.0.0.2"), ("a", "10.0.0.1")):
        api.register("web", peer, id=instance)
    order = [(one["node"], one["id"]) for one in api.ok("GET", "/resolve/web")["endpoints"]]
    assert order == [("10-0-0-1", "a"), ("10-0-0-1", "b"), ("10-0-0-2", "a")]
    limited = api.ok("GET", "/resolve/web?limit=2")
    assert [(one["node"], one["id"]) for one in limited["endpoints"]] == order[:2]
    assert limited["considered"][2]["reason"] == "beyond the limit of 2"


def test_all_of_several_tags_are_wanted(api: Api) -> None:
    api.register("web", id="both", tags=["a", "b"])
    api.register("web", id="one", tags=["a"])
    assert api.endpoints("web?tag=a&tag=b") == ["both"]
    assert read_of(api, "/resolve/web?tag=a&tag=b").key == read_of(api, "/resolve/web?tag=b&tag=a&tag=a").key


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=x", "limit=", "passing_only=maybe", "tags=a", "node=a"])
def test_a_wrong_parameter_is_refused_by_name(api: Api, query: str) -> None:
    assert api.problem("GET", f"/resolve/web?{query}") == (400, "invalid", query.partition("=")[0])


# -- blocking


@pytest.mark.parametrize("path", ["/services", "/services/web", "/resolve/web", "/nodes", "/instances/web"])
def test_reads_carry_their_index_and_can_wait_for_a_higher_one(api: Api, path: str) -> None:
    plain = read_of(api, path)
    assert (plain.index_field, plain.after) == (b"callboard-index", None)
    waiting = read_of(api, path + "?after=7&wait_ms=1500")
    assert (waiting.key, waiting.after, waiting.wait) == (plain.key, 7, 1500 * MILLISECOND)
    assert read_of(api, path + "?after=7").wait == 300_000 * MILLISECOND
    assert read_of(api, path + "?after=7&wait_ms=999999999").wait == 600_000 * MILLISECOND
    for query in ("after=x", "after=-1", "wait_ms=1.5", f"after={'9' * 19}"):
        assert api.problem("GET", f"{path}?{query}")[2] in {"after", "wait_ms"}


@pytest.mark.parametrize("path", ["/services", "/services/web", "/resolve/web", "/nodes"])
def test_the_revision_in_the_body_is_the_index_and_rises_with_what_is_shown(api: Api, path: str) -> None:
    def look() -> tuple[int, Any]:
        content = read_of(api, path).render()
        body = api.ok("GET", path)
        assert body.pop("revision") == content.index
        return content.index, body

    before = look()
    api.register("web", checks=[{"status": "passing", **TTL}])
    signed_in = look()
    assert signed_in[0] > before[0]
    assert signed_in[1] != before[1]
    api.register("other")
    if path not in {"/services", "/nodes"}:
        assert look() == signed_in
    api.ok("DELETE", "/instances/other")
    api.ok("DELETE", "/instances/web")
    gone = look()
    assert gone[0] > signed_in[0]
    assert gone[1] == before[1]


def test_a_check_of_the_node_counts_for_every_instance_on_it(api: Api) -> None:
    api.register("web")
    api.world.report(Example("web", "web", 0), Status.CRITICAL)
    assert api.status("web") == {"web": "critical"}
    assert considered(api, "web")["web"] == (False, "critical: check suite:web")
