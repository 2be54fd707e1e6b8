"""The Consul frontend, put together: the table of its routes, and the plug-in that the server builds it from."""

from dataclasses import replace
from typing import Final

from callboard.frontend.base import Frontend, Plugin
from callboard.frontend.consul.agent import AgentServices
from callboard.frontend.consul.agent_admin import AgentAdmin
from callboard.frontend.consul.agent_checks import AgentChecks
from callboard.frontend.consul.agent_health import AgentHealth
from callboard.frontend.consul.agent_host import AgentHost
from callboard.frontend.consul.agent_metrics import AgentMetrics
from callboard.frontend.consul.agent_monitor import AgentMonitor
from callboard.frontend.consul.agent_self import AgentSelf
from callboard.frontend.consul.autopilot import Autopilot
from callboard.frontend.consul.catalog import Catalog
from callboard.frontend.consul.connected import Connected
from callboard.frontend.consul.coordinates import Coordinates
from callboard.frontend.consul.door import Door
from callboard.frontend.consul.enterprise import FIELDS, judge
from callboard.frontend.consul.errors import ConsulErrors, not_ready
from callboard.frontend.consul.events import Events
from callboard.frontend.consul.health import Health
from callboard.frontend.consul.legacy import writes_by_get
from callboard.frontend.consul.operator import Operator
from callboard.frontend.consul.settings import ConsulSettings
from callboard.frontend.consul.snapshot import Snapshots
from callboard.frontend.consul.status import Status
from callboard.net.http.message import Handler, Reply, Request, Site
from callboard.registry.registry import Registry

PREFIX: Final = "/v1"


def build(registry: Registry, settings: ConsulSettings) -> Frontend:
    """The frontend over a registry, which need not be open yet: until then it says that nobody leads."""
    door = Door(registry, settings)
    guarded = (
        AgentServices(door), AgentChecks(door), AgentHealth(door), AgentSelf(door), Catalog(door), Health(door), Events(door),
        Connected(door), Coordinates(door), Operator(door), Autopilot(door), Snapshots(door),
    )  # fmt: skip
    always = (AgentAdmin(door), AgentHost(door), AgentMetrics(door), AgentMonitor(door), Status(door))
    routes = [replace(route, handler=_when_ready(registry, route.handler)) for subject in guarded for route in subject.routes()]
    if settings.get_writes:
        routes += writes_by_get(routes)
    routes += [route for subject in always for route in subject.routes()]
    site = Site(PREFIX, tuple(routes), ConsulErrors(frozenset(route.path for route in routes)), FIELDS, judge)
    return Frontend(sites=(site,), stats=door.stats, operated=door.operate)


def _when_ready(registry: Registry, handler: Handler) -> Handler:
    def handle(request: Request) -> Reply:
        return handler(request) if registry.ready else not_ready()

    return handle


PLUGIN: Final = Plugin("consul", ConsulSettings, build)
