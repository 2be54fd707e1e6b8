"""A check that a program names means the same through either door: in the words of the native API, and in Consul's."""

from typing import Any

import pytest

from callboard.client.consul.words import registration_body
from callboard.frontend.consul.translate_checks import check_definition as from_consul
from callboard.frontend.native.translate_checks import check_definition as from_native
from callboard.wire.consul_body import SERVICE
from callboard.wire.native import CheckRequest, Registration


@pytest.mark.parametrize(
    "fields",
    [
        {"http": "https://a/x", "method": "PUT", "headers": {"A": "b"}, "body": "c", "follow_redirects": False, "tls_skip_verify": True},
        {"tcp": "a:1"},
        {"tcp": "a:1", "tls": True, "tls_server_name": "b"},
        {"udp": "[::1]:1"},
        {"grpc": "a:1/b.c"},
        {"grpc": "a:1", "tls": True},
        {"h2ping": "a:1"},
        {"h2ping": "a:1", "tls": True, "tls_skip_verify": True, "timeout_ms": 50},
        {"script": ("a", "b"), "failures_before_critical": 3},
        {"os_service": "nginx"},
        {"ttl_ms": 5, "interval_ms": 0},
        {"alias_instance": "db", "alias_node": "n1", "interval_ms": 0},
        {"alias_node": "n1", "deregister_after_ms": 60_000, "interval_ms": 0},
    ],
    ids=str,
)
def test_both_doors_make_one_definition(fields: dict[str, Any]) -> None:
    check = CheckRequest(**{"interval_ms": 5000, **fields})
    (told,) = SERVICE.decode(registration_body(Registration(service="web", checks=(check,)))).checks
    assert from_consul(told, lambda host: f"to {host}") == from_native(check, lambda host: f"to {host}")
