"""Kinds of checks in the words of the native API."""

from typing import Any

import pytest

from callboard.frontend.native.translate_asked import asked
from callboard.frontend.native.translate_checks import KINDS, check_definition
from callboard.model.check import (
    AliasCheck,
    Definition,
    GrpcCheck,
    H2pingCheck,
    HttpCheck,
    OsServiceCheck,
    ScriptCheck,
    TcpCheck,
    TlsOptions,
    TtlCheck,
    UdpCheck,
)
from callboard.model.time import SECOND, Duration
from callboard.wire.native import CheckRequest
from tests.frontend.native.conftest import Api

PROBED: list[tuple[dict[str, Any], Definition]] = [
    ({"http": "https://a/", "tls_skip_verify": True, "follow_redirects": False},
     HttpCheck("https://a/", SECOND, follow_redirects=False, tls=TlsOptions(skip_verify=True))),
    ({"tcp": "a:1", "tls": True, "tls_server_name": "b"}, TcpCheck("a", 1, SECOND, tls=TlsOptions("b"))),
    ({"udp": "[::1]:1"}, UdpCheck("::1", 1, SECOND)),
    ({"grpc": "a:1/x.y/Z"}, GrpcCheck("a", 1, SECOND, "x.y/Z")),
    ({"grpc": "a:1", "tls": True}, GrpcCheck("a", 1, SECOND, tls=TlsOptions())),
    ({"h2ping": "a:1", "timeout_ms": 5}, H2pingCheck("a", 1, SECOND, Duration(5_000_000))),
    ({"script": ("a", "b")}, ScriptCheck(("a", "b"), SECOND)),
    ({"os_service": "nginx"}, OsServiceCheck("nginx", SECOND)),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "definition"), PROBED, ids=[str(fields) for fields, _ in PROBED])
def test_a_probe_is_named_by_one_field(fields: dict[str, Any], definition: Definition) -> None:
    assert check_definition(CheckRequest(interval_ms=1000, **fields), lambda _: "") == definition


def test_every_kind_can_be_asked_for() -> None:
    asked = {kind for fields, _ in PROBED for kind in KINDS if kind in fields} | {"ttl_ms", "alias"}
    assert asked == set(KINDS)
    assert check_definition(CheckRequest(ttl_ms=5), lambda _: "") == TtlCheck(Duration(5_000_000))
    assert check_definition(CheckRequest(alias_instance="db", alias_node="n2"), lambda _: "") == AliasCheck("n2", "db")


def test_a_probe_of_the_callers_loopback_goes_to_the_caller() -> None:
    for field, aim in (("udp", "localhost:1"), ("grpc", "127.0.0.1:1"), ("h2ping", "[::1]:1"), ("tcp", "localhost:1")):
        definition: Any = check_definition(CheckRequest(interval_ms=1000, **{field: aim}), lambda host: f"instead of {host}")  # type: ignore[arg-type]
        assert definition.connect.startswith("instead of ")


@pytest.mark.parametrize(
    ("definition", "target"),
    [
        (GrpcCheck("::1", 1, SECOND, "x"), "[::1]:1"),
        (ScriptCheck(("/bin/look", "secret"), SECOND), "/bin/look"),
        (OsServiceCheck("nginx", SECOND), "nginx"),
        (AliasCheck("n2", "db"), "db on n2"),
        (AliasCheck("", "db"), "db on its own node"),
        (AliasCheck("n2"), "n2"),
        (TtlCheck(SECOND), ""),
    ],
)
def test_what_is_asked_is_told_without_secrets(definition: Definition, target: str) -> None:
    assert asked(definition).target == target


def test_an_alias_is_shown_with_its_kind_and_what_it_says(api: Api) -> None:
    checks = [{"id": "db", "alias_instance": "db"}]
    assert api.ask("PUT", "/instances", {"service": "web", "checks": checks}).status == 200
    *_, check = api.ok("GET", "/instances/web")["checks"]
    assert (check["kind"], check["status"], check["output"]) == ("alias", "critical", "Service db could not be found on node callboard")


def test_a_script_is_refused_with_what_to_do(api: Api) -> None:
    answer = api.ask("PUT", "/instances", {"service": "web", "checks": [{"script": ["/bin/true"], "interval_ms": 1000}]})
    assert answer.status == 400
    assert b"start every member with --enable-script-checks" in answer.body
