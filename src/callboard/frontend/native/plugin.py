"""The native frontend's line in the table: its routes, and what they share."""

from typing import Final

from callboard.frontend.base import Frontend, Plugin
from callboard.frontend.native.asking import Asking
from callboard.frontend.native.backup import Backups
from callboard.frontend.native.describing import Describing
from callboard.frontend.native.diagnosis import Diagnoses
from callboard.frontend.native.digest import Digests
from callboard.frontend.native.errors import ProblemErrors
from callboard.frontend.native.heartbeat import Heartbeats
from callboard.frontend.native.instances import Instances
from callboard.frontend.native.operations import route
from callboard.frontend.native.resolve import Resolve
from callboard.frontend.native.services import Services
from callboard.frontend.native.settings import NativeSettings, NativeStats
from callboard.frontend.native.status import Status
from callboard.frontend.native.watch import Watch
from callboard.net.http.message import Site
from callboard.registry.registry import Registry

_PREFIXES: Final = ("/api", "/health", "/ready")


def build(registry: Registry, settings: NativeSettings) -> Frontend:
    """The sites of `/api`, `/health` and `/ready`."""
    ask, stats, errors = Asking(registry, settings), NativeStats(), ProblemErrors()
    diagnoses = Diagnoses(registry, settings)
    parts = (
        Instances(ask), Heartbeats(ask, stats), Services(ask), Resolve(ask), Digests(ask), Watch(ask, stats), Backups(ask),
        Status(registry), diagnoses, Describing(settings),
    )  # fmt: skip
    routes = [route(served, lambda: registry.ready) for part in parts for served in part.operations()]
    sites = (Site(prefix, tuple(each for each in routes if each.path.startswith(prefix)), errors) for prefix in _PREFIXES)
    return Frontend(sites=tuple(sites), stats=stats, listening=diagnoses.listening, operated=diagnoses.operated)


PLUGIN: Final = Plugin("native", NativeSettings, build)
