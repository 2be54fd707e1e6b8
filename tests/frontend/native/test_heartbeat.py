import pytest

from callboard.net.http.message import Later
from callboard.testing.frontend_suite_harnesses import NativeHarness
from callboard.testing.frontend_suite_kit import MadeRequest, Sample, World
from tests.frontend.native.conftest import Api

TTL = {"ttl_ms": 10_000}
ALIVE = {"status": "passing", **TTL}


def outputs(api: Api, instance: str) -> list[str]:
    return [check["output"] for check in api.ok("GET", f"/instances/{instance}")["checks"] if check["kind"] == "ttl"]


def test_an_instance_that_is_heard_lives_and_one_that_is_not_turns_critical(api: Api) -> None:
    api.register("web", id="heard", checks=[ALIVE])
    api.register("web", id="silent", checks=[{"id": "other", **ALIVE}])
    for _ in range(3):
        api.pass_time(4)
        api.ok("PUT", "/heartbeat/heard")
    assert api.status("web") == {"heard": "passing", "silent": "critical"}
    api.pass_time(10.6)
    assert api.status("web") == {"heard": "critical", "silent": "critical"}


def test_a_heartbeat_renews_every_ttl_check_and_leaves_probes_alone(api: Api) -> None:
    probe = {"id": "c", "tcp": "192.0.2.1:1", "interval_ms": 300_000_000, "status": "warning"}
    api.register("web", checks=[{"id": "a", **TTL}, {"id": "b", **TTL}, probe])
    api.ok("PUT", "/heartbeat/web")
    assert [check["status"] for check in api.ok("GET", "/instances/web")["checks"][-3:]] == ["passing", "passing", "warning"]


def test_a_heartbeat_that_changes_nothing_writes_nothing(api: Api) -> None:
    api.register("web", checks=[ALIVE])
    before = api.world.registry.stats.commands
    answer = api.ok("PUT", "/heartbeat/web")
    assert answer == {
        "id": "web", "node": "callboard", "namespace": "public", "service": "web", "revision": answer["revision"], "changed": False,
    }  # fmt: skip
    assert api.world.registry.stats.commands == before
    assert api.world.registry.stats.beats == 1


def test_a_turn_is_answered_when_it_is_durable_with_its_revision(api: Api) -> None:
    api.register("web", checks=[TTL])
    answer = api.ok("PUT", "/heartbeat/web")
    assert answer["changed"]
    assert answer["revision"] == api.world.registry.revision
    assert api.status("web") == {"web": "passing"}
    assert not api.ok("PUT", "/heartbeat/web")["changed"]


def test_a_heartbeat_can_tell_status_and_output(api: Api) -> None:
    api.register("web", checks=[ALIVE])
    api.ok("PUT", "/heartbeat/web", {"status": "warning", "output": "slow"})
    assert (api.status("web"), outputs(api, "web")) == ({"web": "warning"}, ["slow"])
    api.ok("PUT", "/heartbeat/web", {"status": "warning"})
    assert outputs(api, "web") == ["slow"]
    api.ok("PUT", "/heartbeat/web", {"status": "critical"})
    assert (api.status("web"), outputs(api, "web")) == ({"web": "critical"}, [""])
    api.ok("PUT", "/heartbeat/web", {})
    assert api.status("web") == {"web": "passing"}


def test_a_long_output_is_cut_and_then_renews_like_any_other(api: Api) -> None:
    api.register("web", checks=[ALIVE])
    assert api.ok("PUT", "/heartbeat/web", {"output": "x" * 5000})["changed"]
    assert len(outputs(api, "web")[0]) < 4200
    assert not api.ok("PUT", "/heartbeat/web", {"output": "x" * 5000})["changed"]


def test_whoever_is_not_known_is_told_to_register_again(api: Api) -> None:
    assert api.problem("PUT", "/heartbeat/web") == (404, "unknown_instance", "")
    assert b"register it again" in api.ask("PUT", "/heartbeat/web").body


def test_without_a_ttl_check_there_is_nothing_to_renew(api: Api) -> None:
    api.register("web")
    assert api.problem("PUT", "/heartbeat/web") == (400, "not_ttl", "")


def test_one_that_is_removed_while_its_turn_is_under_way_is_unknown(api: Api) -> None:
    api.register("web", checks=[TTL])
    routes = {f"{route.method} {route.path}": route for site in api.door.frontend.sites for route in site.routes}

    def start(method: str, path: str, rest: str, body: bytes = b"") -> Later:
        reply = routes[f"{method} {path}"].handler(MadeRequest(Sample(method, path + rest, body), path + rest, rest))
        assert isinstance(reply, Later)
        return reply

    start("DELETE", "/api/v1/instances/", "web")
    one = start("PUT", "/api/v1/heartbeat/", "web")
    many = start("POST", "/api/v1/heartbeats", "", b'{"beats":[{"id":"web"}]}')
    statuses: list[int] = []
    bodies: list[bytes] = []
    one.pending.then(lambda answer: statuses.append(answer.status))
    many.pending.then(lambda answer: bodies.append(answer.body))
    api.pass_time(1)
    assert statuses == [404]
    assert bodies == [b'{"renewed":0,"unknown":[{"id":"web","namespace":"public","node":"callboard","reason":"unknown_instance"}]}']


def test_a_batch_tells_how_many_were_renewed_and_which_are_unknown(api: Api) -> None:
    api.register("web", id="a", checks=[ALIVE])
    api.register("web", id="b", checks=[TTL])
    api.register("web", id="c", peer="10.0.0.9", namespace="blue", checks=[ALIVE])
    api.register("web", id="plain")
    beats = [
        {"id": "a"}, {"id": "b"}, {"id": "c", "namespace": "blue", "node": "10-0-0-9"}, {"id": "c"}, {"id": "plain"},
        {"id": "a", "node": "Elsewhere"},
    ]  # fmt: skip
    assert api.ok("POST", "/heartbeats", {"beats": beats}) == {
        "renewed": 3,
        "unknown": [
            {"id": "c", "namespace": "public", "node": "callboard", "reason": "unknown_instance"},
            {"id": "plain", "namespace": "public", "node": "callboard", "reason": "not_ttl"},
            {"id": "a", "namespace": "public", "node": "elsewhere", "reason": "unknown_instance"},
        ],
    }
    assert api.status("web") == {"a": "passing", "b": "passing", "plain": "passing"}


def test_an_empty_batch_is_no_mistake(api: Api) -> None:
    assert api.ok("POST", "/heartbeats", {"beats": []}) == {"renewed": 0, "unknown": []}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"beats": [{"id": "a"}] * 1001}, "beats"),
        ({"beats": [{"id": "a"}, {"id": ""}]}, "beats[1].id"),
        ({"beats": [{"id": "a", "status": "passing"}]}, "beats[0].status"),
        ({}, "beats"),
        (b"", "body"),
    ],
)
def test_a_batch_is_judged_before_any_of_it_counts(api: Api, body: object, field: str) -> None:
    api.register("web", id="a", checks=[ALIVE])
    assert api.problem("POST", "/heartbeats", body) == (400, "invalid", field)
    assert api.world.registry.stats.beats == 0


def test_heartbeats_are_counted(api: Api) -> None:
    api.register("web", checks=[ALIVE])
    api.ok("PUT", "/heartbeat/web")
    api.ok("POST", "/heartbeats", {"beats": [{"id": "web"}, {"id": "x"}]})
    stats = api.door.frontend.stats
    assert (getattr(stats, "heartbeats", 0), getattr(stats, "heartbeats_unknown", 0)) == (2, 1)


def test_remembered_callers_have_a_limit() -> None:
    with World((NativeHarness(),), virtual=True) as world:
        api = Api(world)
        for number in range(5_000):
            peer = f"10.0.{number // 250}.{number % 250}"
            assert api.problem("PUT", "/heartbeat/x", peer=peer)[0] == 404


def test_a_batch_renews_every_check_of_every_instance_whatever_they_need(api: Api) -> None:
    api.register("web", id="two", checks=[{"id": "a", **ALIVE}, {"id": "b", **ALIVE}])
    api.register("web", id="half", checks=[{"id": "c", **ALIVE}, {"id": "d", **TTL}])
    api.register("web", id="told", checks=[ALIVE])
    api.ok("PUT", "/heartbeat/told", {"status": "passing", "output": "fine"})
    batch = {"beats": [{"id": "two"}, {"id": "half"}, {"id": "told"}, {"id": "gone"}, {"id": "two", "node": "CALLBOARD"}]}
    for _ in range(3):
        answer = api.ok("POST", "/heartbeats", batch)
        assert (answer["renewed"], [each["id"] for each in answer["unknown"]]) == (4, ["gone"])
        assert api.status("web") == {"two": "passing", "half": "passing", "told": "passing"}
        assert outputs(api, "told") == ["fine"]
        api.pass_time(7)
    api.ok("POST", "/heartbeats", {"beats": [{"id": "two"}]})
    api.pass_time(7)
    assert api.status("web") == {"two": "passing", "half": "critical", "told": "critical"}
