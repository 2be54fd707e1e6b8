from typing import get_args

import msgspec

from callboard import __version__
from callboard.frontend.native.errors import ProblemErrors, refusal_answer
from callboard.model.errors import FullError, InvalidError
from callboard.model.rows import Refusal, RefusalReason
from callboard.net.http.handling import refused
from callboard.net.http.message import Answer
from callboard.net.http.settings import HttpStats
from callboard.testing.frontend_suite_harnesses import NativeHarness
from callboard.testing.frontend_suite_kit import World
from tests.frontend.native.conftest import Api


def test_status_counts_what_is_there_without_the_servers_own_entry(api: Api) -> None:
    assert api.ok("GET", "/status") == {
        "member": "member-1", "node": "callboard", "datacenter": "dc1", "version": __version__, "ready": True, "leader": "member-1",
        "revision": api.world.registry.revision, "services": 0, "instances": 0, "checks": 1, "nodes": 1,
        "leading": True, "members": 1, "age_ms": 0,
        "store": {"reachable": True, "detail": "", "version": "", "size_bytes": 0, "size_max_bytes": 0},
    }  # fmt: skip
    api.register("web", "10.0.0.9", checks=[{"ttl_ms": 1000}])
    status = api.ok("GET", "/status")
    assert (status["services"], status["instances"], status["checks"], status["nodes"]) == (1, 1, 2, 2)


def test_health_and_readiness_are_two_things() -> None:
    with World((NativeHarness(),), ready=False) as world:
        door = world.door(NativeHarness())
        assert door.call("GET", "/health") == Answer(200, b'{"status":"passing"}')
        assert (door.call("GET", "/ready").status, door.call("GET", "/ready").body) == (503, b'{"ready":false}')
        assert not msgspec.json.decode(door.call("GET", "/api/v1/status").body)["ready"]
        world.run(world.registry.open())
        assert door.call("GET", "/ready") == Answer(200, b'{"ready":true}')


def test_every_reason_of_a_refusal_has_a_status_and_a_sentence() -> None:
    for reason in get_args(RefusalReason):
        answer = refusal_answer(Refusal(reason, "web"))
        problem = msgspec.json.decode(answer.body)
        assert 400 <= answer.status < 600
        assert problem["code"] == reason
        assert problem["type"] == f"urn:callboard:{reason}"
        assert problem["detail"]
        assert msgspec.json.decode(refusal_answer(Refusal(reason, "web", "because")).body)["detail"] == "because"


def test_what_may_be_tried_again_says_when() -> None:
    answer = refusal_answer(Refusal("unavailable"))
    assert answer.headers == ((b"retry-after", b"1"),)
    assert refusal_answer(Refusal("unknown_outcome")).headers == ()


def test_what_http_refuses_says_once_when_to_try_again() -> None:
    for status in (429, 503):
        answer = refused(ProblemErrors(), status, "too much", HttpStats())
        assert answer.headers == ((b"retry-after", b"1"),)


def test_errors_are_told_apart() -> None:
    errors = ProblemErrors()
    invalid = errors.failure(InvalidError("port", "must be a number"))
    assert (invalid.status, msgspec.json.decode(invalid.body)["field"]) == (400, "port")
    assert errors.failure(FullError("no room")).status == 503
    internal = errors.failure(ValueError("secret"))
    assert internal.status == 500
    assert b"secret" not in internal.body
