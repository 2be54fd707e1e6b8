"""Named ports, and what instances of other protocols say besides."""

import pytest

from tests.frontend.native.conftest import Api

PORTS = [{"name": "http", "port": 8080, "default": True}, {"name": "admin", "port": 8081}]


def test_named_ports_are_shown_as_they_were_said_and_the_default_one_is_the_port(api: Api) -> None:
    api.register("web", ports=PORTS)
    shown = api.ok("GET", "/instances/web")
    assert (shown["ports"], shown["port"]) == (PORTS, 8080)
    assert api.ok("GET", "/resolve/web")["endpoints"][0]["port"] == 8080
    assert api.register("web", ports=PORTS, port=8080)["changed"] is False


def test_who_says_nothing_of_it_is_shown_without_it(api: Api) -> None:
    api.register("web", port=80)
    assert {"ports", "socket_path", "kind"}.isdisjoint(api.ok("GET", "/instances/web"))


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"ports": PORTS, "port": 1}, "port"),
        ({"ports": [{"name": "a", "port": 1}]}, "ports"),
        ({"ports": [*PORTS, PORTS[1]]}, "ports"),
        ({"ports": [{"name": "a", "port": 0, "default": True}]}, "ports"),
        ({"ports": [{"name": str(number), "port": 1} for number in range(65)]}, "ports"),
    ],
)
def test_ports_that_cannot_be_are_refused_by_name(api: Api, said: dict[str, object], field: str) -> None:
    status, _, named = api.problem("PUT", "/instances", {"service": "web", **said})
    assert (status, named.startswith(field)) == (400, True)
