"""`/api/v1/instances`, `/api/v1/drain`: signing in and out, one instance as it stands, and its way out of service."""

from functools import partial

from callboard.core.catalog import queries
from callboard.core.catalog.commands import Command, DeregisterInstance, SetPhase, Target
from callboard.core.catalog.indexes import table_index
from callboard.frontend.native import asking, table
from callboard.frontend.native.answering import Outcomes, json_answer, spelled
from callboard.frontend.native.asking import Asking
from callboard.frontend.native.errors import refusal_answer
from callboard.frontend.native.operations import Served
from callboard.frontend.native.translate import instance_state, locate, registration
from callboard.frontend.native.translate_checks import refuse_scripts
from callboard.model.errors import InvalidError
from callboard.model.instance import Phase
from callboard.model.names import PUBLIC
from callboard.model.rows import Outcome, Refusal
from callboard.model.topics import NODES, Topic, checks_topic, services_topic
from callboard.net.http.message import Answer, Content, Later, Reply, Request
from callboard.registry.findable import NameWarnings
from callboard.wire import native
from callboard.wire import native_decoding as decoding


class Instances:
    """Its handlers; lives as long as the server."""

    def __init__(self, ask: Asking) -> None:
        self._ask = ask
        self._names = NameWarnings()

    def operations(self) -> tuple[Served, ...]:
        """Its lines of the table."""
        return (
            Served(table.REGISTER, self.register),
            Served(table.INSTANCE, self.instance),
            Served(table.DEREGISTER, self.deregister),
            Served(table.DRAIN, partial(self._set_phase, Phase.DRAINING)),
            Served(table.UNDRAIN, partial(self._set_phase, Phase.SERVING)),
        )

    def register(self, request: Request) -> Reply:
        """Make or replace an instance and its checks."""
        body = decoding.decode(request.body, native.Registration)
        limit = self._ask.settings.checks_max_count
        if len(body.checks) > limit:
            raise InvalidError("checks", f"must have at most {limit} entries, has {len(body.checks)}")
        namespace = asking.namespace_of(request.query, body.namespace)
        caller = self._ask.caller(request, body.node)
        command = registration(body, caller, namespace, self._ask.registry.entropy.nonce())
        refuse_scripts(command.checks, allowed=self._ask.registry.settings.script_checks)
        instance = body.id or body.service
        if namespace == PUBLIC:
            self._ask.refuse_own(caller.node.name.lower(), instance, *(attached.check.id for attached in command.checks))
        self._names.look_at(self._ask.view, namespace, body.service)
        return self._write(command, Target("", instance, namespace), body.service)

    def deregister(self, request: Request) -> Reply:
        """Remove an instance and its checks."""
        target = self._ask.target_to_change(request)
        return self._write(DeregisterInstance(target), target)

    def _set_phase(self, phase: Phase, request: Request) -> Reply:
        target = self._ask.target_to_change(request)
        return self._write(SetPhase(target, phase), target)

    def _write(self, command: Command, target: Target, service: str = "") -> Later:
        return Later(Outcomes((self._ask.registry.submit(command),), partial(self._written, target, service)))

    def _written(self, target: Target, service: str, outcomes: list[Outcome]) -> Answer:
        (outcome,) = outcomes
        if outcome.refusal is not None:
            return refusal_answer(outcome.refusal)
        written = native.Written(
            id=target.id, node=spelled(self._ask.view, outcome.node), namespace=target.namespace, service=service,
            revision=outcome.revision, changed=outcome.changed,
        )  # fmt: skip
        return json_answer(written)

    def instance(self, request: Request) -> Reply:
        """One instance as it stands."""
        target = self._ask.target(request)
        topics = _topics_of(target)
        key = repr(("native instance", target.namespace, target.node, target.id, target.anywhere))
        return self._ask.read(request.query, key, topics, partial(self._render, target, topics))

    def _render(self, target: Target, topics: tuple[Topic, ...]) -> Content:
        view = self._ask.view
        placed = locate(view, target)
        answer = refusal_answer(placed) if isinstance(placed, Refusal) else json_answer(instance_state(queries.find(view, placed)))
        return Content(answer, max(table_index(view, topic) for topic in topics))


def _topics_of(target: Target) -> tuple[Topic, ...]:
    """Where an id leads depends on every registration, so the lists are the topics; a body that stays the same wakes nobody."""
    return tuple(dict.fromkeys((services_topic(target.namespace), checks_topic(target.namespace), checks_topic(PUBLIC), NODES)))
