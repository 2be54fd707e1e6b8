"""What every endpoint reads from a request in the same way: namespace, the caller's node, which instance, how new, how long to wait.

An `Asking` lives as long as the server; it remembers callers, because a heartbeat should cost a look-up and not a parse.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from callboard.core.callers import HEADER, caller_node
from callboard.core.catalog.commands import Target
from callboard.core.catalog.view import View
from callboard.frontend.native.answering import INDEX, standing
from callboard.frontend.native.errors import refusal_answer
from callboard.frontend.native.settings import NativeSettings
from callboard.frontend.native.translate import Caller
from callboard.model import names
from callboard.model.errors import InvalidError
from callboard.model.rows import Refusal, Revision
from callboard.model.time import MILLISECOND, Duration
from callboard.model.topics import Topic
from callboard.net.http.message import Content, Read, Reply, Request, after
from callboard.registry.itself import CHECK, SERVICE
from callboard.registry.registry import Registry
from callboard.wire import parameters
from callboard.wire.url import Query

NAMESPACE: Final = "namespace"
NODE: Final = "node"
CONSISTENCIES: Final = ("default", "stale", "consistent")


class Asking:
    """One per server, shared by its parts."""

    def __init__(self, registry: Registry, settings: NativeSettings) -> None:
        self.registry = registry
        self.settings = settings
        self.own = (registry.home.node.lower(), SERVICE)
        """Place of the servers' own entry."""
        self._callers: dict[tuple[str, str, str], Caller] = {}
        self._standing = partial(standing, registry)

    @property
    def view(self) -> View:
        """The view as it is now; ask again after every wait."""
        return self.registry.view

    def caller(self, request: Request, said: str = "") -> Caller:
        """Who asks; its node is what the body `said`, else the parameter, else the header, else the caller's own."""
        named = said or request.query.get(NODE) or request.headers.get(HEADER, "")
        known = (request.peer, request.local, named)
        caller = self._callers.get(known)
        if caller is None:
            caller = Caller(caller_node(self.registry.home, request.peer, request.local, named), request.peer, request.local)
            if len(self._callers) >= self.settings.callers_max_count:
                self._callers.clear()
            self._callers[known] = caller
        return caller

    def target(self, request: Request) -> Target:
        """The instance the path names: on the node of `?node=` and nowhere else; without it on the caller's, else wherever it is alone."""
        instance = names.name("id", request.rest)
        node = self.caller(request).node.name.lower()
        return Target(node, instance, namespace_of(request.query), anywhere=not request.query.get(NODE))

    def target_to_change(self, request: Request) -> Target:
        """The same for a write. The server's own entry is none of a caller's business."""
        target = self.target(request)
        if target.namespace == names.PUBLIC and target.id == SERVICE:
            self.refuse_own(target.node, target.id)
            return Target(target.node, target.id)
        return target

    def refuse_own(self, node: str, instance: str, *checks: str) -> None:
        """Raise `InvalidError` for what would replace or remove an entry of the server's own; `node` in lower case, namespace public."""
        if (node, instance) == self.own:
            raise InvalidError("id", f"{instance!r} on node {node} is the server's own; choose another")
        if node == self.own[0] and CHECK in checks:
            raise InvalidError("checks", f"the id {CHECK!r} on node {node} is the server's own; choose another")

    def read(self, query: Query, key: str, topics: tuple[Topic, ...], render: Callable[[], Content]) -> Reply:
        """The reply that `render` makes, as new as was asked for. Raises `InvalidError`.

        A caller that wants it consistent waits until the view shows everything acknowledged before; one that has seen a later index
        elsewhere, until the view has that. A wait for the next answer begins after that, and so ends with one that is no older.
        """
        seen, wait = self._waiting(query)
        consistency = query.get("consistency") or "default"
        if consistency not in CONSISTENCIES:
            raise InvalidError("consistency", f"must be one of {', '.join(CONSISTENCIES)}")
        registry, fresh = self.registry, consistency == "consistent"
        read = Read(key, topics, render, INDEX, seen, wait, standing=self._standing, by_line=not fresh)
        if fresh:
            return after(registry.fresh(), partial(_when_fresh, read))
        if seen and seen > registry.revision:
            return after(registry.reached(Revision(seen)), lambda _: read)
        return read

    def _waiting(self, query: Query) -> tuple[int | None, Duration]:
        """The index the caller has seen, and how long it wants to wait for a higher one."""
        seen = parameters.number(query, "after")
        wait_ms = parameters.number(query, "wait_ms")
        if wait_ms is None:
            wait_ms = self.settings.wait_default_ms
        return seen, Duration(min(wait_ms, self.settings.wait_max_ms) * MILLISECOND)


def _when_fresh(read: Read, refusal: Refusal | None) -> Reply:
    return read if refusal is None else refusal_answer(refusal)


def namespace_of(query: Query, said: str = "") -> str:
    """What the body `said`, else the parameter, else `public`."""
    return names.namespace(said or query.get(NAMESPACE) or "")
