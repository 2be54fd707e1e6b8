"""The native frontend's line in the table: its routes, and what they share."""

from dataclasses import replace
from typing import Final

from callboard.frontend.base import Frontend, Plugin
from callboard.frontend.native.asking import Asking
from callboard.frontend.native.backup import Backups
from callboard.frontend.native.digest import Digests
from callboard.frontend.native.errors import NOT_READY, ProblemErrors
from callboard.frontend.native.heartbeat import Heartbeats
from callboard.frontend.native.instances import Instances
from callboard.frontend.native.resolve import Resolve
from callboard.frontend.native.services import Services
from callboard.frontend.native.settings import NativeSettings, NativeStats
from callboard.frontend.native.status import Status
from callboard.frontend.native.watch import Watch
from callboard.net.http.message import Reply, Request, Route, Site
from callboard.registry.registry import Registry


def build(registry: Registry, settings: NativeSettings) -> Frontend:
    """The sites of `/api`, `/health` and `/ready`."""
    ask, stats, status, errors = Asking(registry, settings), NativeStats(), Status(registry), ProblemErrors()
    parts = (Instances(ask), Heartbeats(ask, stats), Services(ask), Resolve(ask), Digests(ask), Watch(ask, stats), Backups(ask))
    routes = tuple(_when_ready(registry, route) for part in parts for route in part.routes())
    sites = (
        Site("/api", (*routes, *status.routes()), errors),
        Site("/health", (Route("GET", "/health", status.health),), errors),
        Site("/ready", (Route("GET", "/ready", status.ready),), errors),
    )
    return Frontend(sites=sites, stats=stats)


def _when_ready(registry: Registry, route: Route) -> Route:
    """The route, refused while there is no catalog to answer from."""
    handler = route.handler

    def guarded(request: Request) -> Reply:
        return handler(request) if registry.ready else NOT_READY

    return replace(route, handler=guarded)


PLUGIN: Final = Plugin("native", NativeSettings, build)
