"""`/sd/prometheus`: a list of targets for `http_sd_configs`. One read of the view, kept until something it shows changes."""

from functools import partial
from typing import Final

from msgspec import Struct

from callboard.core.catalog.fragments import Fragments
from callboard.core.catalog.indexes import service_index, table_index
from callboard.frontend.base import Frontend, Plugin
from callboard.frontend.prometheus.translate import Wanted, target_group, target_groups
from callboard.model import names
from callboard.model.errors import InvalidError
from callboard.model.names import PUBLIC
from callboard.model.topics import NODES, Topic, checks_topic, service_topic, services_topic
from callboard.net.http.message import Answer, Content, Read, Reply, Request, Route, Site
from callboard.net.http.texts import TextErrors
from callboard.registry.itself import SERVICE
from callboard.registry.registry import Registry
from callboard.wire import prometheus
from callboard.wire.parameters import flag, known_parameters

_PARAMETERS: Final = frozenset({"service", "tag", "namespace", "passing_only"})


class PrometheusSettings(Struct, frozen=True, kw_only=True):
    """Limits with their units in their names."""

    services_max_count: int = 64
    """Services that one scrape configuration may name."""
    fragments_max_bytes: int = 33_554_432
    """Targets of services that are asked about again and again, kept as they are shown; 0 for none."""


_ERRORS: Final = TextErrors("targets are at /sd/prometheus")


class Discovery:
    """Its handler; lives as long as the server."""

    def __init__(self, registry: Registry, settings: PrometheusSettings) -> None:
        self._registry = registry
        self._settings = settings
        self._targets = Fragments(lambda found: prometheus.encode_group(target_group(found)), settings.fragments_max_bytes)
        self._own = (registry.home.node.lower(), SERVICE)

    def targets(self, request: Request) -> Reply:
        """Every instance that is asked for, as a target group of its own."""
        if not self._registry.ready:
            return _ERRORS.refused(503, "the catalog is not loaded yet; try again in a second")
        wanted = self._wanted(request)
        topics = _topics(wanted)
        return Read(repr(("prometheus", wanted)), topics, partial(self._render, wanted, topics))

    def _wanted(self, request: Request) -> Wanted:
        query = request.query
        known_parameters(query, _PARAMETERS)
        services = {names.name("service", service).lower() for service in query.all("service")}
        if len(services) > self._settings.services_max_count:
            raise InvalidError("service", f"must be given at most {self._settings.services_max_count} times, is given {len(services)}")
        namespace = names.namespace(query.get("namespace") or "")
        return Wanted(namespace, tuple(sorted(services)), tuple(sorted(set(query.all("tag")))), flag(query, "passing_only"))

    def _render(self, wanted: Wanted, topics: tuple[Topic, ...]) -> Content:
        view = self._registry.view
        body = prometheus.encode(target_groups(view, self._targets, wanted, self._own))
        if wanted.services:
            index = max(service_index(view, wanted.namespace, service) for service in wanted.services)
        else:
            index = max(table_index(view, topic) for topic in topics)
        return Content(Answer(200, body, prometheus.CONTENT_TYPE), index)


def _topics(wanted: Wanted) -> tuple[Topic, ...]:
    if wanted.services:
        return tuple(service_topic(wanted.namespace, service) for service in wanted.services)
    lists = (services_topic(wanted.namespace), checks_topic(wanted.namespace), checks_topic(PUBLIC), NODES)
    return tuple(dict.fromkeys(lists))


def build(registry: Registry, settings: PrometheusSettings) -> Frontend:
    """The site of `/sd`. Prometheus logs the status and the text of what went wrong."""
    return Frontend(sites=(Site("/sd", (Route("GET", "/sd/prometheus", Discovery(registry, settings).targets),), _ERRORS),))


PLUGIN: Final = Plugin("prometheus", PrometheusSettings, build)
