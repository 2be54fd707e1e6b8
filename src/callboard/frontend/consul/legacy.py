"""Writes by GET, as Consul took them before version 1.0 and as consulate still sends them: signs of life and removals.

A browser can be made to send a GET to any address by any page, so what names itself a browser is refused.
"""

from collections.abc import Iterable
from typing import Final

from callboard.frontend.consul.errors import ConsulError
from callboard.net.http.message import Handler, Reply, Request, Route

_PATHS: Final = frozenset({
    "/v1/agent/check/pass/", "/v1/agent/check/warn/", "/v1/agent/check/fail/", "/v1/agent/check/deregister/",
    "/v1/agent/service/deregister/",
})  # fmt: skip
_BROWSER: Final = "Mozilla/"


def writes_by_get(routes: Iterable[Route]) -> list[Route]:
    """The GET twins of the PUT routes that have one."""
    return [Route("GET", route.path, _not_for_browsers(route.handler)) for route in routes if route.path in _PATHS]


def _not_for_browsers(handler: Handler) -> Handler:
    def handle(request: Request) -> Reply:
        if request.headers.get("user-agent", "").startswith(_BROWSER):
            raise ConsulError(405, "method GET not allowed for browsers; use PUT")
        return handler(request)

    return handle
