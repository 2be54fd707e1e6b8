from typing import Any

import pytest

from tests.frontend.native.conftest import Api

REMOTE = "10.0.0.9"
TTL = {"ttl_ms": 10_000}


def test_what_is_registered_is_shown_as_it_was_said(api: Api) -> None:
    said = {
        "service": "web", "id": "web-1", "address": "192.0.2.7", "port": 8080, "tags": ["blue", "v2"], "meta": {"zone": "a"},
        "weights": {"passing": 3, "warning": 0}, "phase": "starting",
    }  # fmt: skip
    checks = [{"id": "alive", "name": "Alive", "notes": "why", "status": "warning", "output": "slow", **TTL}]
    written = api.ok("PUT", "/instances", {**said, "checks": checks})
    assert written == {
        "id": "web-1", "node": "callboard", "namespace": "public", "service": "web", "revision": written["revision"], "changed": True,
    }  # fmt: skip
    shown = api.ok("GET", "/instances/web-1")
    assert {name: shown[name] for name in said} == said
    assert (shown["node"], shown["namespace"], shown["status"]) == ("callboard", "public", "warning")
    assert shown["created"] == shown["modified"] == written["revision"]
    assert shown["checks"][-1] == {
        "id": "alive", "name": "Alive", "kind": "ttl", "status": "warning", "output": "slow", "notes": "why",
        "since_ms": shown["checks"][-1]["since_ms"], "ttl_ms": TTL["ttl_ms"],
    }  # fmt: skip


def test_what_is_not_said_has_defaults(api: Api) -> None:
    assert api.register("web")["id"] == "web"
    shown = api.ok("GET", "/instances/web")
    assert (shown["address"], shown["port"], shown["tags"], shown["meta"]) == ("127.0.0.1", 0, [], {})
    assert (shown["weights"], shown["phase"], shown["status"]) == ({"passing": 1, "warning": 1}, "serving", "passing")


@pytest.mark.parametrize(
    ("checks", "ids"),
    [
        ([TTL], ["service:web-1"]),
        ([TTL, {"tcp": "127.0.0.1:80", "interval_ms": 1000}], ["service:web-1:1", "service:web-1:2"]),
        ([TTL, {"id": "mine", **TTL}], ["mine", "service:web-1:1"]),
    ],
)
def test_checks_without_an_id_get_the_one_consul_gives_them(api: Api, checks: list[dict[str, Any]], ids: list[str]) -> None:
    api.register("web", id="web-1", checks=checks)
    shown = api.ok("GET", "/instances/web-1")["checks"]
    assert [check["id"] for check in shown if check["id"] != "serfHealth"] == ids


def test_a_check_is_critical_until_it_is_said_or_heard_to_be_otherwise(api: Api) -> None:
    api.register("web", id="a", checks=[TTL])
    api.register("web", id="b", checks=[{"status": "passing", **TTL}])
    assert api.status("web") == {"a": "critical", "b": "passing"}


def test_registering_again_changes_nothing_but_what_is_different(api: Api) -> None:
    api.register("web", checks=[{"status": "passing", **TTL}])
    again = api.register("web", checks=[TTL])
    assert not again["changed"]
    assert api.status("web") == {"web": "passing"}
    assert api.register("web", port=80, checks=[TTL])["changed"]


def test_checks_that_are_not_named_stay_unless_they_are_to_be_replaced(api: Api) -> None:
    api.register("web", checks=[{"id": "one", **TTL}, {"id": "two", **TTL}])
    api.register("web", checks=[{"id": "two", **TTL}])
    assert {"one", "two"} <= {check["id"] for check in api.ok("GET", "/instances/web")["checks"]}
    api.register("web", checks=[{"id": "two", **TTL}], replace_checks=True)
    assert "one" not in {check["id"] for check in api.ok("GET", "/instances/web")["checks"]}


def test_an_id_under_another_name_moves(api: Api) -> None:
    api.register("web", id="x")
    api.register("db", id="x")
    assert api.status("web") == {}
    assert api.status("db") == {"x": "passing"}


def test_equal_ids_of_two_hosts_are_two_instances_each_with_its_own_address(api: Api) -> None:
    api.register("web", peer="10.0.0.8")
    api.register("web", peer="10.0.0.9")
    shown = api.ok("GET", "/services/web")["instances"]
    assert [(instance["node"], instance["address"]) for instance in shown] == [("10-0-0-8", "10.0.0.8"), ("10-0-0-9", "10.0.0.9")]
    api.ok("DELETE", "/instances/web", peer="10.0.0.8")
    assert [instance["node"] for instance in api.ok("GET", "/services/web")["instances"]] == ["10-0-0-9"]


def test_an_id_is_looked_up_on_the_callers_node_then_where_it_is_alone_then_refused(api: Api) -> None:
    api.register("web", peer="10.0.0.8")
    assert api.ok("GET", "/instances/web")["node"] == "10-0-0-8"
    api.register("web", peer="10.0.0.9")
    assert api.ok("GET", "/instances/web", peer="10.0.0.9")["node"] == "10-0-0-9"
    for method, path in (("GET", "/instances/web"), ("DELETE", "/instances/web"), ("PUT", "/drain/web"), ("PUT", "/heartbeat/web")):
        assert api.problem(method, path) == (409, "ambiguous", "")
    assert b"10-0-0-8, 10-0-0-9" in api.ask("GET", "/instances/web").body
    assert api.ok("DELETE", "/instances/web?node=10-0-0-8")["node"] == "10-0-0-8"


def test_a_named_node_is_meant_and_no_other(api: Api) -> None:
    api.register("web", peer=REMOTE)
    for method, path in (("GET", "/instances/"), ("DELETE", "/instances/"), ("PUT", "/drain/"), ("PUT", "/heartbeat/")):
        assert api.problem(method, f"{path}web?node=elsewhere") == (404, "unknown_instance", "")


@pytest.mark.parametrize("place", ["body", "parameter", "header"])
def test_the_callers_node_can_be_named(api: Api, place: str) -> None:
    body = {"service": "web", **({"node": "Rack7"} if place == "body" else {})}
    headers = {"X-Callboard-Node": "Rack7"} if place == "header" else {}
    path = "/instances?node=Rack7" if place == "parameter" else "/instances"
    assert api.ok("PUT", path, body, headers=headers, peer=REMOTE)["node"] == "Rack7"
    shown = api.ok("GET", "/instances/web?node=rack7")
    assert (shown["node"], shown["address"]) == ("Rack7", REMOTE)


def test_namespaces_are_apart_and_public_has_three_names(api: Api) -> None:
    api.register("web", namespace="blue", port=1)
    api.register("web", port=2)
    assert api.ok("GET", "/instances/web?namespace=blue")["port"] == 1
    for name in ("", "default", "public"):
        assert api.ok("GET", f"/instances/web?namespace={name}")["port"] == 2
    assert [service["name"] for service in api.ok("GET", "/services?namespace=blue")["services"]] == ["web"]
    api.ok("DELETE", "/instances/web?namespace=blue")
    assert api.ok("GET", "/services?namespace=blue")["services"] == []


def test_draining_hides_and_lasts_over_a_new_registration(api: Api) -> None:
    api.register("web")
    assert api.ok("PUT", "/drain/web")["changed"]
    assert api.endpoints("web") == []
    api.register("web", port=8080)
    assert api.endpoints("web") == []
    assert api.ok("DELETE", "/drain/web")["changed"]
    assert not api.ok("DELETE", "/drain/web")["changed"]
    assert api.endpoints("web") == ["web"]


def test_what_is_not_there_is_404(api: Api) -> None:
    for method, path in (("GET", "/instances/x"), ("DELETE", "/instances/x"), ("PUT", "/drain/x"), ("DELETE", "/drain/x")):
        assert api.problem(method, path) == (404, "unknown_instance", "")
        told = api.ask(method, path).body
        assert b"`callboard instances SERVICE` lists the ids" in told
        assert b"register it again" not in told


def test_a_name_that_dns_cannot_say_is_logged_once(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    for service in ("we b", "we b", "web-1", "my_web"):
        api.register(service)
    assert [record.getMessage() for record in caplog.records if "DNS" in record.getMessage()] == [
        "service 'we b' cannot be found over DNS: its name has ' '; letters, digits, - and _ can be asked for"
    ]


def test_the_servers_own_entry_cannot_be_replaced_or_removed(api: Api) -> None:
    assert api.problem("PUT", "/instances", {"service": "consul"}) == (400, "invalid", "id")
    assert api.problem("DELETE", "/instances/consul") == (400, "invalid", "id")
    assert api.problem("PUT", "/drain/consul") == (400, "invalid", "id")
    assert api.problem("DELETE", "/instances/consul", peer=REMOTE) == (404, "unknown_instance", "")
    assert api.problem("PUT", "/instances", {"service": "web", "checks": [{"id": "serfHealth", **TTL}]}) == (400, "invalid", "checks")
    assert api.register("consul", peer=REMOTE)["node"] == "10-0-0-9"
    assert api.ok("DELETE", "/instances/consul", peer=REMOTE)["changed"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b"\xff", "body"),
        ({}, "service"),
        ({"service": ""}, "service"),
        ({"service": "web", "sevice": 1}, "sevice"),
        ({"service": "web", "port": "80"}, "port"),
        ({"service": "web", "port": 65536}, "port"),
        ({"service": "web", "address": "0.0.0.0"}, "address"),
        ({"service": "web", "tags": ["x" * 513]}, "tags"),
        ({"service": "web", "tags": [1]}, "tags[0]"),
        ({"service": "web", "meta": {"ä": "1"}}, "meta"),
        ({"service": "web", "weights": {"passing": 0}}, "weights"),
        ({"service": "web", "weights": {"pasing": 1}}, "weights.pasing"),
        ({"service": "web", "phase": "gone"}, "phase"),
        ({"service": "web", "node": "\n"}, "node"),
        ({"service": "web", "namespace": "\n"}, "namespace"),
        ({"service": "web", "id": "x" * 256}, "id"),
    ],
)
def test_a_refusal_names_the_field(api: Api, body: object, field: str) -> None:
    assert api.problem("PUT", "/instances", body) == (400, "invalid", field)


@pytest.mark.parametrize(
    ("check", "field"),
    [
        ({}, "checks[0]"),
        ({"ttl_ms": 1, "tcp": "a:1"}, "checks[0]"),
        ({"ttl_ms": 1, "interval_ms": 1000}, "checks[0].interval_ms"),
        ({"tcp": "a:1", "interval_ms": 1000, "method": "GET"}, "checks[0].method"),
        ({"tcp": "a:1"}, "checks[0].interval_ms"),
        ({"tcp": "a", "interval_ms": 1000}, "checks[0].tcp"),
        ({"tcp": "a:99999", "interval_ms": 1000}, "checks[0].tcp"),
        ({"tcp": "a:1", "interval_ms": 999}, "checks[0].interval_ms"),
        ({"http": "ftp://a/", "interval_ms": 1000}, "checks[0].http"),
        ({"udp": "a:1", "grpc": "a:1", "interval_ms": 1000}, "checks[0]"),
        ({"udp": "a", "interval_ms": 1000}, "checks[0].udp"),
        ({"grpc": "a/b", "interval_ms": 1000}, "checks[0].grpc"),
        ({"h2ping": "a:0", "interval_ms": 1000}, "checks[0].h2ping"),
        ({"udp": "a:1", "interval_ms": 1000, "tls": True}, "checks[0].tls"),
        ({"tcp": "a:1", "interval_ms": 1000, "tls_server_name": "b"}, "checks[0].tls"),
        ({"tcp": "a:1", "interval_ms": 1000, "follow_redirects": False}, "checks[0].follow_redirects"),
        ({"os_service": "a b", "interval_ms": 1000}, "checks[0].os_service"),
        ({"os_service": "a"}, "checks[0].interval_ms"),
        ({"alias_instance": "a", "interval_ms": 1000}, "checks[0].interval_ms"),
        ({"alias_instance": "a", "ttl_ms": 1000}, "checks[0]"),
        ({"script": ["a"], "interval_ms": 1000}, "checks[0].script"),
        ({"script": [""], "interval_ms": 1000}, "checks[0].script"),
        ({"http": "http://[", "interval_ms": 1000}, "checks[0].http"),
        ({"http": "http://a:x/", "interval_ms": 1000}, "checks[0].http"),
        ({"http": "http:///x", "interval_ms": 1000}, "checks[0].http"),
        ({"http": "http://a/ b", "interval_ms": 1000}, "checks[0].http"),
        ({"http": "http://a/\r\nx: y", "interval_ms": 1000}, "checks[0].http"),
        ({"http": "http://a/", "interval_ms": 1000, "method": "GET /x"}, "checks[0].method"),
        ({"http": "http://a/", "interval_ms": 1000, "headers": {"a b": "c"}}, "checks[0].headers"),
        ({"http": "http://a/", "interval_ms": 1000, "headers": {"a": "b\r\nc: d"}}, "checks[0].headers"),
        ({"http": "http://a/", "interval_ms": 1000, "failures_before_warning": 3}, "checks[0].failures_before_warning"),
        ({"ttl_ms": 315_360_000_001}, "checks[0].ttl_ms"),
        ({"ttl_ms": 1, "deregister_after_ms": 5}, "checks[0].deregister_after_ms"),
        ({"ttl_ms": 1, "status": "maintenance"}, "checks[0].status"),
        ({"ttl_ms": 1, "notes": "x" * 4097}, "checks[0].notes"),
        ({"ttl_ms": 1, "id": "\n"}, "checks[0].id"),
        ({"ttl_ms": 1, "ttl": 1}, "checks[0].ttl"),
    ],
)
def test_a_refusal_names_the_field_of_the_check(api: Api, check: dict[str, Any], field: str) -> None:
    assert api.problem("PUT", "/instances", {"service": "web", "checks": [check]}) == (400, "invalid", field)


def test_one_check_id_is_one_check(api: Api) -> None:
    assert api.problem("PUT", "/instances", {"service": "web", "checks": [{"id": "a", **TTL}] * 2}) == (400, "invalid", "checks[1].id")


def test_the_number_of_checks_has_a_limit(api: Api) -> None:
    assert api.problem("PUT", "/instances", {"service": "web", "checks": [TTL] * 65}) == (400, "invalid", "checks")


def test_an_unknown_parameter_is_refused_by_name(api: Api) -> None:
    for method, path in (("PUT", "/instances"), ("GET", "/instances/x"), ("DELETE", "/instances/x"), ("PUT", "/drain/x")):
        assert api.problem(method, f"{path}?nmespace=blue", {"service": "web"}) == (400, "invalid", "nmespace")


def test_an_answer_to_a_read_depends_on_who_asks_only_where_it_must(api: Api) -> None:
    here, there = api.exchange("GET", "/instances/web").read, api.exchange("GET", "/instances/web", peer=REMOTE).read
    assert here is not None
    assert there is not None
    assert here.key != there.key
    here, there = api.exchange("GET", "/services/web").read, api.exchange("GET", "/services/web", peer=REMOTE).read
    assert here is not None
    assert there is not None
    assert here.key == there.key
