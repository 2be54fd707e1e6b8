"""What every handler of this door needs: the registry, the limits, the caller's node, and the way of a write to its answer.

A `Door` lives as long as the server; it remembers callers, because a heartbeat should cost a look-up and not a parse.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from callboard.core.callers import HEADER, PARAMETER, caller_node
from callboard.core.catalog.commands import Command, Target
from callboard.core.catalog.fragments import Fragments
from callboard.core.catalog.listing import Listing
from callboard.core.catalog.view import View
from callboard.frontend.base import Operations
from callboard.frontend.consul.enterprise import check_headers
from callboard.frontend.consul.errors import POLICY, bad_request, refusal_answer
from callboard.frontend.consul.filters import Filters
from callboard.frontend.consul.settings import ConsulSettings, ConsulStats
from callboard.frontend.consul.translate_answers import Scene, service_tags
from callboard.model.instance import NodeSpec
from callboard.model.rows import Outcome, Refusal
from callboard.net.gradual import Gradually
from callboard.net.http.message import JSON, Answer, Later, Request
from callboard.registry.itself import CHECK, SERVICE
from callboard.registry.registry import Registry
from callboard.registry.submission import Submission
from callboard.wire.consul_go import quote
from callboard.wire.consul_json import encode

DONE: Final = Answer(200, b"", JSON, POLICY)
"""What the agent says to a write."""
TRUE: Final = Answer(200, b"true", JSON, POLICY)
"""What the catalog says to a write."""
Refused = Callable[[Refusal], Answer]


class Caller(NamedTuple):
    """Who calls: the node its agent calls belong to, and from where to where it called."""

    node: NodeSpec
    key: str
    """Name of the node in lower case."""
    peer: str
    local: str


class Answering:
    """The same, where the answer tells something of the outcome."""

    __slots__ = ("_answer", "_submission")

    def __init__(self, submission: Submission, answer: Callable[[Outcome], Answer]) -> None:
        self._submission = submission
        self._answer = answer

    def then(self, callback: Callable[[Answer], None]) -> None:
        """Call back once with the answer."""
        self._submission.then(lambda outcome: callback(self._answer(outcome)))


class Told:
    """An answer that becomes known with the outcome of a command."""

    __slots__ = ("_done", "_refused", "_submission")

    def __init__(self, submission: Submission, done: Answer, refused: Refused) -> None:
        self._submission = submission
        self._done = done
        self._refused = refused

    def then(self, callback: Callable[[Answer], None]) -> None:
        """Call back once with the answer."""

        def tell(outcome: Outcome) -> None:
            callback(self._done if outcome.refusal is None else self._refused(outcome.refusal))

        self._submission.then(tell)


class Door:
    """One per server."""

    def __init__(self, registry: Registry, settings: ConsulSettings) -> None:
        self.registry = registry
        self.settings = settings
        self.stats = ConsulStats()
        self.operations: Operations | None = None
        """What may be asked of the server as a whole; None where there is no server around this frontend."""
        self.home = registry.home.node.lower()
        """The server's own node, in lower case."""
        self.scene = Scene(registry.settings.datacenter, self.home, settings.nodes_max_count)
        self.health_entries = Fragments(lambda found: encode(self.scene.health(found)), settings.fragments_max_bytes)
        """Instances as health answers show them."""
        self.catalog_entries = Fragments(lambda found: encode(self.scene.service_node(found)), settings.fragments_max_bytes)
        """The same for answers of the catalog."""
        self.services = Listing(service_tags, with_health=False)
        """Of each service its names, as they are spelled, with their tags."""
        self.listing = Gradually(lambda namespace: self.services.step(self.view, namespace))
        """The work of the first list."""
        registry.subscribe(lambda changes: self.services.apply(self.view, changes))
        self.filters = Filters(settings.filters_max_count)
        self._callers: dict[tuple[str, str, str], Caller] = {}

    @property
    def view(self) -> View:
        """The view as it is now; ask again after every wait."""
        return self.registry.view

    def operate(self, operations: Operations) -> None:
        """The server says what may be asked of it."""
        self.operations = operations

    def caller(self, request: Request) -> Caller:
        """The node a call of the agent belongs to. Raises `InvalidError`, or `ConsulError` for a namespace."""
        headers = request.headers
        check_headers(headers)
        named = request.query.get(PARAMETER) or headers.get(HEADER, "")
        known = (request.peer, request.local, named)
        caller = self._callers.get(known)
        return caller if caller is not None else self._remember(*known)

    def _remember(self, peer: str, local: str, named: str) -> Caller:
        node = caller_node(self.registry.home, peer, local, named)
        caller = Caller(node, node.name.lower(), peer, local)
        if len(self._callers) >= self.settings.callers_max_count:
            self._callers.clear()
        self._callers[peer, local, named] = caller
        return caller

    def is_own_service(self, node: str, instance: str) -> bool:
        """Whether this is the entry by which the server itself shows up; `node` in lower case."""
        return instance == SERVICE and node == self.home

    def is_own_check(self, node: str, check: str) -> bool:
        """Whether this is the check by which the server itself shows up; `node` in lower case."""
        return check == CHECK and node == self.home

    def refuse_own(self, node: str, instance: str, *checks: str) -> None:
        """Raise `ConsulError` for a write that would replace or remove an entry of the server's own."""
        if self.is_own_service(node, instance):
            raise bad_request(f"service ID {quote(instance)} on node {quote(node)} is the server's own; choose another ID")
        for check in checks:
            if self.is_own_check(node, check):
                raise bad_request(f"check ID {quote(check)} on node {quote(node)} is the server's own; choose another ID")

    def instance_target(self, caller: Caller, instance: str) -> Target | None:
        """The instance a caller means: on its own node, else wherever it is unique; never the server's own entry (None)."""
        if self.is_own_service(caller.key, instance):
            return None
        return Target(caller.node.name, instance, anywhere=instance != SERVICE)

    def check_target(self, caller: Caller, check: str) -> Target | None:
        """The same for a check."""
        if self.is_own_check(caller.key, check):
            return None
        return Target(caller.node.name, check, anywhere=check != CHECK)

    def submit(self, command: Command, done: Answer = DONE, refused: Refused = refusal_answer) -> Later:
        """Write, and answer when it is durable and this member's view shows it."""
        return Later(Told(self.registry.submit(command), done, refused))
