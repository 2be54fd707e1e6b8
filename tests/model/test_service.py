"""What a service says of how it is reached: each rule names the field and the limit."""

from typing import Any

import pytest

from callboard.model.errors import InvalidError
from callboard.model.instance import Instance, InstanceSpec
from callboard.model.service import PORTS_MAX_COUNT, PROXY_MAX_CHARS, Locality, NamedPort

HTTP = NamedPort("http", 80, default=True)


def spec(**fields: Any) -> InstanceSpec:
    return InstanceSpec(service="web", id="web", **fields)


@pytest.mark.parametrize(
    ("fields", "field", "text"),
    [
        ({"ports": (NamedPort("a", 1),)}, "ports", "exactly one must be the default, 0 are"),
        ({"ports": (HTTP, NamedPort("a", 1, default=True))}, "ports", "exactly one must be the default, 2 are"),
        ({"ports": (HTTP, NamedPort("http", 1))}, "ports", "the name 'http' is given twice"),
        ({"ports": (HTTP, NamedPort(" ", 1))}, "ports", "every port needs a name"),
        ({"ports": (HTTP, NamedPort("a", 0))}, "ports", "'a' must be between 1 and 65535, is 0"),
        ({"ports": (HTTP,) * (PORTS_MAX_COUNT + 1)}, "ports", "must have at most 64 entries, has 65"),
        ({"ports": (HTTP, NamedPort("a\n", 1))}, "port name", "must contain only printable characters"),
        ({"ports": (HTTP,), "port": 81}, "port", "must be that of the default one of ports, 80, or be left out"),
        ({"kind": "x"}, "kind", "'x' is not one of api-gateway, "),
        ({"kind": "connect-proxy"}, "destination", "is what a connect-proxy needs, and nothing else has"),
        ({"destination": "db"}, "destination", "is what a connect-proxy needs, and nothing else has"),
        ({"locality": Locality(zone="a")}, "locality", "zone cannot be set without region"),
        ({"proxy": "x" * (PROXY_MAX_CHARS + 1)}, "proxy", "must have at most 65536 characters"),
        ({"socket_path": "x" * 5000}, "socket_path", "must have at most 4096 characters"),
    ],
)
def test_what_cannot_be_is_refused_with_field_and_limit(fields: dict[str, Any], field: str, text: str) -> None:
    with pytest.raises(InvalidError) as caught:
        spec(**fields)
    assert caught.value.field == field
    assert text in caught.value.problem


def test_the_main_port_is_the_one_that_is_said_or_the_default_one() -> None:
    assert [spec(port=9).main_port, spec(ports=(HTTP,)).main_port, spec(ports=(HTTP,), port=80).main_port, spec().main_port] == [
        9, 80, 80, 0,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "connects"),
    [({}, ""), ({"connect_native": True}, "web"), ({"kind": "connect-proxy", "destination": "db"}, "db"), ({"kind": "mesh-gateway"}, "")],
)
def test_an_instance_speaks_for_its_destination_or_for_itself(fields: dict[str, Any], connects: str) -> None:
    assert Instance(namespace="public", service="web", node="n", id="a", nonce="r", **fields).connects == connects
