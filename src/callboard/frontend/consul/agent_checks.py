"""Checks of "the agent": registration, and the TTL updates that services send all day long. Those are the hottest write there is."""

from collections.abc import Callable

from callboard.core.catalog.commands import DeregisterCheck, RegisterCheck, ReportCheck, Target
from callboard.core.catalog.indexes import node_index
from callboard.core.catalog.queries import all_checks_on
from callboard.frontend.consul.agent import connect_of
from callboard.frontend.consul.beats import Beats
from callboard.frontend.consul.blocking import check_agent
from callboard.frontend.consul.door import DONE, Caller, Door, Told
from callboard.frontend.consul.errors import POLICY, bad_request, refusal_answer, text_answer
from callboard.frontend.consul.filtering import filter_text, keeper_of
from callboard.frontend.consul.finding import check_holder
from callboard.frontend.consul.translate import STATUSES, agent_check
from callboard.frontend.consul.translate_answers import check_of
from callboard.frontend.consul.translate_checks import refuse_scripts
from callboard.frontend.consul.translate_filter import CHECKS
from callboard.model.check import Status, clip_output
from callboard.model.names import PUBLIC
from callboard.model.rows import Refusal
from callboard.model.topics import node_topic
from callboard.net.http.message import JSON, Answer, Content, Later, Read, Reply, Request, Route
from callboard.registry.submission import Submission
from callboard.wire.consul_body import CHECK, UPDATE
from callboard.wire.consul_go import quote
from callboard.wire.consul_json import Check, encode


class AgentChecks:
    """Handlers of `agent/check`."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._beats = Beats(door)

    def routes(self) -> tuple[Route, ...]:
        """This subject's part of the table."""
        return (
            Route("GET", "/v1/agent/checks", self.checks),
            Route("PUT", "/v1/agent/check/register", self.register),
            Route("PUT", "/v1/agent/check/deregister/", self.deregister),
            Route("PUT", "/v1/agent/check/pass/", self._pushes(Status.PASSING), brief=self._beats.pushed(Status.PASSING)),
            Route("PUT", "/v1/agent/check/warn/", self._pushes(Status.WARNING), brief=self._beats.pushed(Status.WARNING)),
            Route("PUT", "/v1/agent/check/fail/", self._pushes(Status.CRITICAL)),
            Route("PUT", "/v1/agent/check/update/", self.update, brief=self._beats.updated()),
        )

    # -- reads

    def checks(self, request: Request) -> Reply:
        """The checks on the caller's node, by id, without the server's own."""
        door, query = self._door, request.query
        check_agent(query)
        node, pretty, keep = door.caller(request).key, "pretty" in query, keeper_of(door, query, CHECKS)

        def render() -> Content:
            checks = {name: check for name, check in self._checks_on(node).items() if keep(check)}
            return Content(Answer(200, encode(checks, pretty=pretty), JSON, POLICY), node_index(door.view, node))

        return Read(f"{request.path}\n{pretty:d}\n{node}\n{filter_text(query)}", (node_topic(node),), render)

    def _checks_on(self, node: str) -> dict[str, Check]:
        view = self._door.view
        row = view.nodes.get(node)
        if row is None:
            return {}
        there = view.on_node(PUBLIC, node)
        return {
            check.id: check_of(check, row.name, there[check.instance].instance if check.instance else None)
            for check in all_checks_on(view, PUBLIC, node)
            if not self._door.is_own_check(node, check.id)
        }

    # -- registration

    def register(self, request: Request) -> Reply:
        """Make or replace a check of a service, or of the caller's node."""
        door = self._door
        check_agent(request.query)
        caller = door.caller(request)
        body = CHECK.decode(request.body)
        spec = agent_check(body, connect_of(caller))
        refuse_scripts((spec,), allowed=door.registry.settings.script_checks)
        target = door.instance_target(caller, body.service_id) if body.service_id else None
        if body.service_id and target is None:
            return _no_service(Refusal("unknown_instance", body.service_id))
        door.refuse_own(caller.key, "", spec.id)
        command = RegisterCheck(nonce=door.registry.entropy.nonce(), node=caller.node, check=spec, instance=target)
        return door.submit(command, refused=_no_service)

    def deregister(self, request: Request) -> Reply:
        """Remove a check."""
        check_agent(request.query)
        target = self._door.check_target(self._door.caller(request), request.rest)
        if target is None:
            return refusal_answer(Refusal("unknown_check", request.rest))
        return self._door.submit(DeregisterCheck(target))

    # -- signs of life

    def _pushes(self, status: Status) -> Callable[[Request], Reply]:
        def push(request: Request) -> Reply:
            query = request.query
            if not query.pairs:
                return self._report(request, status, "")
            check_agent(query)
            return self._report(request, status, query.get("note") or "")

        return push

    def update(self, request: Request) -> Reply:
        """The same with status and output in the body."""
        check_agent(request.query)
        body = UPDATE.decode(request.body)
        if body.status not in STATUSES:
            raise bad_request(f"Invalid check status: '{body.status}'")
        status = STATUSES[body.status]
        self._beats.remember(request.body, status, clip_output(body.output))
        return self._report(request, status, body.output)

    def _report(self, request: Request, status: Status, output: str) -> Reply:
        door, check = self._door, request.rest
        caller = door.caller(request)
        heard = self._beat(caller, check, status, output)
        if heard is True:
            door.stats.heartbeats += 1
            return DONE
        if heard:
            door.stats.heartbeats += 1
            return Later(Told(heard, DONE, refusal_answer))
        door.stats.reports += 1
        target = Target(caller.node.name, check, anywhere=True)
        return door.submit(ReportCheck(target=target, status=status, output=output))

    def _beat(self, caller: Caller, check: str, status: Status, output: str) -> bool | Submission:
        """Renew the deadline, if there is nothing else to do: on the caller's node, else where the check is."""
        registry = self._door.registry
        clipped = clip_output(output)
        if heard := registry.beat(PUBLIC, caller.key, check, status, clipped):
            return heard
        if check in registry.view.holders(PUBLIC, caller.key):
            return False
        elsewhere = check_holder(registry.view, check)
        return registry.beat(PUBLIC, elsewhere, check, status, clipped) if elsewhere is not None else False


def _no_service(refusal: Refusal) -> Answer:
    if refusal.reason == "unknown_instance":
        return text_answer(404, f"ServiceID {quote(refusal.subject)} does not exist")
    return refusal_answer(refusal)
