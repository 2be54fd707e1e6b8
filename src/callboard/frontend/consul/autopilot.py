"""Autopilot: the settings operators make, which are kept and shown, and the health of the servers as this member knows it.

Every member that is present is alive, or its lease would have ended; and as the catalog lives in the store, all members but one may go.
"""

from callboard.core.catalog.commands import SetAutopilot
from callboard.frontend.consul.blocking import check_common, in_touch, options_of
from callboard.frontend.consul.door import TRUE, Door
from callboard.frontend.consul.enterprise import check_headers
from callboard.frontend.consul.errors import POLICY, bad_request, refusal_answer
from callboard.frontend.consul.servers import VERSION, Server, servers
from callboard.frontend.consul.translate_servers import autopilot, autopilot_of, rfc3339
from callboard.model.autopilot import Autopilot as Kept
from callboard.model.errors import InvalidError
from callboard.model.rows import Refusal, Revision
from callboard.net.http.message import JSON, Answer, Reply, Request, Route
from callboard.wire import consul_admin as admin
from callboard.wire.consul_go import quote
from callboard.wire.consul_json import encode

_FALSE = Answer(200, b"false", JSON, POLICY)
_INDEX_LIMIT = 2**64
_FAILED = "Request decode failed: "


class Autopilot:
    """Handlers of `operator/autopilot`."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def routes(self) -> tuple[Route, ...]:
        """This subject's part of the table."""
        return (
            Route("GET", "/v1/operator/autopilot/configuration", self.configuration),
            Route("PUT", "/v1/operator/autopilot/configuration", self.configure),
            Route("GET", "/v1/operator/autopilot/health", self.health),
            Route("GET", "/v1/operator/autopilot/state", self.state),
        )

    def configuration(self, request: Request) -> Reply:
        """The settings."""
        options = options_of(self._door, request.query)
        return Answer(200, encode(autopilot(self._door.view.autopilot or Kept()), pretty=options.pretty), JSON, POLICY)

    def configure(self, request: Request) -> Reply:
        """Set them; with `cas` only while their index is that."""
        door, query = self._door, request.query
        check_common(query, door.registry.settings.datacenter)
        check_headers(request.headers)
        try:
            body = admin.AUTOPILOT.decode(request.body)
        except InvalidError as error:
            raise bad_request(f"Error parsing autopilot config: {error.problem.removeprefix(_FAILED)}") from None
        settings = autopilot_of(body)
        return door.submit(SetAutopilot(settings, _cas(query.get("cas"))), TRUE, _refused)

    def health(self, request: Request) -> Reply:
        """The servers, one by one; 429 when anything is wrong."""
        door, options = self._door, options_of(self._door, request.query)
        healthy, there = self._healthy(), servers(door)
        shown = [
            admin.ServerHealth(
                id=server.id, name=server.name, address=server.address, version=VERSION, leader=server.leader,
                last_contact=self._last_contact(server), last_term=door.view.term.number, last_index=door.registry.revision,
                healthy=healthy, stable_since=rfc3339(server.card.started),
            )
            for server in there
        ]  # fmt: skip
        answer = admin.OperatorHealth(healthy, len(there) - 1 if healthy else 0, shown)
        return Answer(200 if healthy else 429, encode(answer, pretty=options.pretty), JSON, POLICY)

    def state(self, request: Request) -> Reply:
        """The same as autopilot sees them."""
        door, options = self._door, options_of(self._door, request.query)
        healthy, there = self._healthy(), servers(door)
        shown = {
            server.id: admin.ServerState(
                id=server.id, name=server.name, address=server.address, version=VERSION, last_contact=self._last_contact(server),
                last_term=door.view.term.number, last_index=door.registry.revision, healthy=healthy,
                stable_since=rfc3339(server.card.started), status="leader" if server.leader else "voter",
                meta={"callboard": server.card.program},
            )
            for server in there
        }  # fmt: skip
        tolerance = len(there) - 1 if healthy else 0
        answer = admin.AutopilotState(
            healthy=healthy, failure_tolerance=tolerance, optimistic_failure_tolerance=tolerance, servers=shown,
            leader=next((server.id for server in there if server.leader), ""), voters=[server.id for server in there],
        )  # fmt: skip
        return Answer(200, encode(answer, pretty=options.pretty), JSON, POLICY)

    def _healthy(self) -> bool:
        return in_touch(self._door.registry) and any(server.leader for server in servers(self._door))

    def _last_contact(self, server: Server) -> str:
        """Of this member with the leader; how the others stand they say themselves."""
        registry = self._door.registry
        own = server.card.nonce == registry.card.nonce
        return f"{registry.contact().age_ms}ms" if own and not server.leader else "0s"


def _cas(text: str | None) -> Revision | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) < _INDEX_LIMIT):
        raise bad_request(f"Error parsing cas value: strconv.ParseUint: parsing {quote(text)}: invalid syntax")
    return Revision(int(text))


def _refused(refusal: Refusal) -> Answer:
    return _FALSE if refusal.reason == "superseded" else refusal_answer(refusal)
