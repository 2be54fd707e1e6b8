"""Health of the caller's own services as a status code, for load balancers that ask the agent beside them: 200, 429 or 503."""

from typing import Final

from callboard.core.catalog.queries import Found, find, instances_on
from callboard.frontend.consul.blocking import check_agent
from callboard.frontend.consul.door import Door
from callboard.frontend.consul.errors import POLICY, bad_request
from callboard.frontend.consul.translate_answers import aggregated, health_checks
from callboard.model.names import PUBLIC
from callboard.net.http.message import JSON, TEXT, Answer, Reply, Request, Route
from callboard.wire.consul_json import AgentServiceHealth, encode

_CODES: Final = {"passing": 200, "warning": 429, "critical": 503, "maintenance": 503}


class AgentHealth:
    """Handlers of `agent/health/service`."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def routes(self) -> tuple[Route, ...]:
        """This subject's part of the table."""
        return (Route("GET", "/v1/agent/health/service/id/", self.by_id), Route("GET", "/v1/agent/health/service/name/", self.by_name))

    def by_id(self, request: Request) -> Reply:
        """One service and its health."""
        if not request.rest:
            raise bad_request("Missing serviceID")
        found = [found for found in self._on_callers_node(request) if found.instance.id == request.rest]
        if not found:
            missing = f"ServiceId {request.rest} not found"
            return _answer(request, 404, missing, AgentServiceHealth("critical", None, None))
        health = self._health(found[0])
        return _answer(request, _CODES[health.aggregated_status], health.aggregated_status, health)

    def by_name(self, request: Request) -> Reply:
        """All services of a name; the worst one counts."""
        if not request.rest:
            raise bad_request("Missing service Name")
        name = request.rest.lower()
        health = [self._health(found) for found in self._on_callers_node(request) if found.instance.service.lower() == name]
        if not health:
            return _answer(request, 404, f"ServiceName {request.rest} Not Found", health)
        worst = max((one.aggregated_status for one in health), key=_CODES.__getitem__)
        return _answer(request, _CODES[worst], worst, health)

    def _on_callers_node(self, request: Request) -> list[Found]:
        check_agent(request.query)
        view, node = self._door.view, self._door.caller(request).key
        there = instances_on(view, PUBLIC, node)
        return [find(view, placed) for placed in there if not self._door.is_own_service(node, placed.instance.id)]

    def _health(self, found: Found) -> AgentServiceHealth:
        door = self._door
        checks = [check for check in health_checks(found) if not door.is_own_check(found.instance.node, check.check_id)]
        return AgentServiceHealth(aggregated(checks), door.scene.agent_service(found.instance), checks)


def _answer(request: Request, status: int, reason: str, value: object) -> Answer:
    headers = (*POLICY, (b"X-Consul-Reason", reason.encode("ascii", "backslashreplace")))
    if request.query.get("format") == "text" or request.headers.get("accept", "").startswith("text/plain"):
        return Answer(status, reason.encode(), TEXT, headers)
    return Answer(status, encode(value, pretty="pretty" in request.query), JSON, headers)
