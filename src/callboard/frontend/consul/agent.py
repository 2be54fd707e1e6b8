"""Services of "the agent", which here is the whole cluster: a call belongs to the caller's own node, and ids are looked up there first."""

from functools import partial
from typing import Final

from callboard.core.callers import probe_address
from callboard.core.catalog.commands import DeregisterInstance, Register, SetMaintenance, Target
from callboard.core.catalog.indexes import node_index, table_index
from callboard.core.catalog.queries import instances_on
from callboard.frontend.consul.blocking import check_agent, wait_of
from callboard.frontend.consul.door import Caller, Door
from callboard.frontend.consul.errors import POLICY, ConsulError, bad_request, refusal_answer, text_answer
from callboard.frontend.consul.filtering import filter_text, keeper_of
from callboard.frontend.consul.finding import find_instance
from callboard.frontend.consul.translate import Connect, agent_checks
from callboard.frontend.consul.translate_checks import refuse_scripts
from callboard.frontend.consul.translate_filter import AGENT_SERVICES
from callboard.frontend.consul.translate_services import agent_instance, agent_sidecar
from callboard.model.names import PUBLIC
from callboard.model.rows import Refusal
from callboard.model.topics import node_topic, services_topic
from callboard.net.http.message import JSON, Answer, Brief, Content, Later, Read, Reply, Request, Route
from callboard.registry.findable import NameWarnings
from callboard.wire.consul_body import SERVICE
from callboard.wire.consul_go import parse_bool, quote
from callboard.wire.consul_json import AgentService, encode
from callboard.wire.url import Query

_YES: Final = frozenset({"", "true"})
"""What turns `replace-existing-checks` on; anything else, also `1`, Consul takes for no."""


def connect_of(caller: Caller) -> Connect:
    """Where a check of this caller is dialled: at its own address when it names its own loopback."""
    return partial(probe_address, peer=caller.peer, local=caller.local)


def enable_of(query: Query) -> bool:
    """The obligatory parameter of maintenance. Raises `ConsulError`."""
    text = query.get("enable")
    if text is None:
        raise bad_request("Missing value for enable")
    value = parse_bool(text)
    if value is None:
        raise bad_request(f"Invalid value for enable: {quote(text)}")
    return value


class AgentServices:
    """Handlers of `agent/service` and `agent/maintenance`."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._registry = door.registry
        self._names = NameWarnings()

    def routes(self) -> tuple[Route, ...]:
        """This subject's part of the table."""
        return (
            Route("GET", "/v1/agent/services", self.services),
            Route("GET", "/v1/agent/service/", self.service),
            Route("PUT", "/v1/agent/service/register", self.register, brief=Brief(self._known, self._hear)),
            Route("PUT", "/v1/agent/service/deregister/", self.deregister),
            Route("PUT", "/v1/agent/service/maintenance/", self.maintenance),
            Route("PUT", "/v1/agent/maintenance", self.node_maintenance),
        )

    # -- reads

    def services(self, request: Request) -> Reply:
        """The services on the caller's node, by id, without the server's own."""
        door, query = self._door, request.query
        check_agent(query)
        node, pretty, keep = door.caller(request).key, "pretty" in query, keeper_of(door, query, AGENT_SERVICES)

        def render() -> Content:
            there = (placed.instance for placed in instances_on(door.view, PUBLIC, node))
            shown = (door.scene.agent_service(instance) for instance in there if not door.is_own_service(node, instance.id))
            services = {service.id: service for service in shown if keep(service)}
            return Content(Answer(200, encode(services, pretty=pretty), JSON, POLICY), node_index(door.view, node))

        return Read(f"{request.path}\n{pretty:d}\n{node}\n{filter_text(query)}", (node_topic(node),), render)

    def service(self, request: Request) -> Reply:
        """One service. With the hash a caller has seen, the answer waits until it is another one."""
        door, query, instance = self._door, request.query, request.rest
        check_agent(query)
        node, pretty = door.caller(request).key, "pretty" in query
        topic = services_topic(PUBLIC)
        seen = query.get("hash")
        wait = wait_of(door, query)

        def render() -> Content:
            try:
                answer = self._service_answer(self._find(node, instance), pretty=pretty)
            except ConsulError as error:
                answer = text_answer(error.status, error.text)
            return Content(answer, table_index(door.view, topic))

        same = bool(seen) and self._find(node, instance).content_hash == seen
        after = table_index(door.view, topic) if same else None
        return Read(f"{request.path}\n{pretty:d}\n{node}", (topic,), render, after=after, wait=wait)

    def _find(self, node: str, instance: str) -> AgentService:
        """The service as it is shown. Raises `ConsulError`."""
        found = None if self._door.is_own_service(node, instance) else find_instance(self._door.view, node, instance)
        if found is None or self._door.is_own_service(found.instance.node, instance):
            raise ConsulError(404, f"unknown service ID: {instance}")
        return self._door.scene.hashed_agent_service(found.instance)

    @staticmethod
    def _service_answer(service: AgentService, *, pretty: bool) -> Answer:
        hash_field = (b"X-Consul-ContentHash", str(service.content_hash).encode())
        return Answer(200, encode(service, pretty=pretty), JSON, (*POLICY, hash_field))

    # -- writes

    def register(self, request: Request) -> Reply:
        """Make or replace a service with its checks on the caller's node."""
        query = request.query
        replace_checks = query.get("replace-existing-checks") in _YES
        return self._sign_in(self._who(request), request.body, replace_checks=replace_checks)

    def _who(self, request: Request) -> Caller:
        check_agent(request.query)
        return self._door.caller(request)

    def _known(self, request: Request) -> Caller | None:
        """Nobody before anybody can be served: then that is what is said, whatever else is wrong."""
        return self._who(request) if self._registry.ready else None

    def _hear(self, caller: Caller, _: str, body: bytes) -> Later | None:
        """Without parameters, as nearly always."""
        return self._sign_in(caller, body, replace_checks=False) if self._registry.ready else None

    def _sign_in(self, caller: Caller, data: bytes, *, replace_checks: bool) -> Later:
        door, registry = self._door, self._registry
        body = SERVICE.decode(data)
        instance = agent_instance(body)
        connect = connect_of(caller)
        checks = agent_checks(body, instance.id, connect)
        sidecar = agent_sidecar(body, instance, connect) if body.connect is not None else None
        specs, allowed = [attached.check for attached in checks], registry.settings.script_checks
        refuse_scripts(specs, allowed=allowed)
        if sidecar is not None:
            refuse_scripts(sidecar.checks, allowed=allowed)
        if caller.key == door.home:
            door.refuse_own(caller.key, instance.id, *[spec.id for spec in specs])
        self._names.look_at(registry.view, instance.namespace, instance.service)
        return door.submit(Register(
            nonce=registry.entropy.nonce(), node=caller.node, instance=instance, checks=checks, replace_checks=replace_checks,
            sidecar=sidecar,
        ))  # fmt: skip

    def deregister(self, request: Request) -> Reply:
        """Remove a service and its checks."""
        target = self._target(request)
        return self._unknown(request.rest) if target is None else self._door.submit(DeregisterInstance(target))

    def maintenance(self, request: Request) -> Reply:
        """Take a service out of service, or back."""
        if not request.rest:
            raise bad_request("Missing service ID")
        enable = enable_of(request.query)
        target = self._target(request)
        return self._unknown(request.rest) if target is None else self._set_maintenance(request, target, enable=enable)

    def node_maintenance(self, request: Request) -> Reply:
        """Take every service of the caller's node out of service, or back."""
        check_agent(request.query)
        return self._set_maintenance(request, None, enable=enable_of(request.query))

    def _set_maintenance(self, request: Request, target: Target | None, *, enable: bool) -> Reply:
        door = self._door
        return door.submit(SetMaintenance(
            nonce=door.registry.entropy.nonce(), node=door.caller(request).node, enable=enable, instance=target,
            reason=request.query.get("reason") or "",
        ))  # fmt: skip

    def _target(self, request: Request) -> Target | None:
        check_agent(request.query)
        return self._door.instance_target(self._door.caller(request), request.rest)

    @staticmethod
    def _unknown(instance: str) -> Answer:
        return refusal_answer(Refusal("unknown_instance", instance))
