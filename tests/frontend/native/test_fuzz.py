"""A thousand requests nobody should send, for each group of routes."""

import pytest

from callboard.net.http.message import Route
from callboard.testing.frontend_suite_harnesses import NativeHarness
from callboard.testing.frontend_suite_http import fuzz, routes_of
from callboard.testing.frontend_suite_kit import World
from callboard.testing.frontend_suite_stage import Stage

CASES = 1_000
GROUPS = {
    "sign in and out": ("/api/v1/instances", "/api/v1/drain"),
    "heartbeats": ("/api/v1/heartbeat",),
    "lists": ("/api/v1/services", "/api/v1/nodes"),
    "resolve": ("/api/v1/resolve",),
    "digest": ("/api/v1/digest",),
    "watch": ("/api/v1/watch",),
    "backup": ("/api/v1/backup",),
    "diagnosis": ("/api/v1/diagnosis",),
    "status": ("/api/v1/status", "/api/v1/members", "/api/v1/openapi.json", "/health", "/ready"),
}


def in_group(group: str, routes: list[Route]) -> list[Route]:
    """The routes of a group."""
    return [route for route in routes if route.path.startswith(GROUPS[group])]


@pytest.mark.parametrize("group", GROUPS)
def test_garbage_breaks_and_changes_nothing(group: str) -> None:
    harness = NativeHarness()
    with World((harness,)) as world:
        routes = in_group(group, routes_of(world.door(harness)))
        for route in routes:
            fuzz(Stage(harness, (harness,), -(-CASES // len(routes))), world, route)


def test_every_route_is_in_one_group() -> None:
    harness = NativeHarness()
    with World((harness,)) as world:
        routes = routes_of(world.door(harness))
    grouped = [route for group in GROUPS for route in in_group(group, routes)]
    assert sorted(map(str, grouped)) == sorted(map(str, routes))
