"""The short way of heartbeats: an instance whose TTL checks are what it says, and a deadline for each. Else `heartbeat` is asked.

It lives as long as the server, and remembers the bodies that say what most bodies say.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from callboard.core.catalog.view import View
from callboard.core.liveness import CheckKey
from callboard.frontend.native import asking
from callboard.frontend.native.answering import spelled
from callboard.frontend.native.asking import Asking
from callboard.frontend.native.settings import NativeStats
from callboard.model.check import Status, TtlCheck
from callboard.model.instance import Instance, Placed
from callboard.model.rows import Revision
from callboard.net.http.message import Brief, Request
from callboard.wire import native, parameters
from callboard.wire.native_parameters import TargetParameters

_BODIES_MAX_COUNT: Final = 256
_BODY_MAX_BYTES: Final = 512
_encode: Final = msgspec.json.Encoder().encode
_PARAMETERS: Final = frozenset(TargetParameters.__struct_fields__)


class Where(NamedTuple):
    """Whose instances a caller means. Node in lower case."""

    namespace: str
    node: str


class Beats:
    """Signs of life for instances on the very node that is meant."""

    def __init__(self, ask: Asking, stats: NativeStats) -> None:
        self._ask = ask
        self._registry = ask.registry
        self._stats = stats
        self._renew = ask.registry.renew
        self._renew_all = ask.registry.renewals.renew_all
        self._bodies: dict[bytes, tuple[Status, str | None]] = {b"": (Status.PASSING, None)}
        self.brief = Brief(self._caller, self._hear)

    def remember(self, body: bytes, beat: native.Beat) -> None:
        """What a body said."""
        if len(body) <= _BODY_MAX_BYTES and len(self._bodies) < _BODIES_MAX_COUNT:
            self._bodies[body] = Status(beat.status), beat.output

    def _caller(self, request: Request) -> Where:
        parameters.known_parameters(request.query, _PARAMETERS)
        return self.where(request)

    def where(self, request: Request) -> Where:
        """Where a caller's instances are, unless it says otherwise. Raises `InvalidError`."""
        return Where(asking.namespace_of(request.query), self._ask.caller(request).node.name.lower())

    def _hear(self, where: Where, instance: str, body: bytes) -> bytes | None:
        said = self._bodies.get(body)
        namespace, node = where
        view = self._registry.view
        placed = view.placed(namespace, node, instance)
        if said is None or placed is None:
            return None
        status, output = said
        renewed = False
        for check in placed.checks:
            if isinstance(check.definition, TtlCheck):
                if not self._renew((check.namespace, check.node, check.id), status, check.output if output is None else output):
                    return None
                renewed = True
        if not renewed:
            return None
        self._stats.heartbeats += 1
        return written(view, placed.instance, view.revision, changed=False)

    def hear_all(self, there: Sequence[Placed | None]) -> set[int]:
        """Renew what these instances have, by plain signs of life; answers the places of those that take more than that, or are None."""
        keys: list[CheckKey] = []
        owners: list[int] = []
        left: set[int] = set()
        for place, placed in enumerate(there):
            before = len(keys)
            for check in placed.checks if placed is not None else ():
                if isinstance(check.definition, TtlCheck):
                    if check.status is not Status.PASSING:
                        left.add(place)
                    keys.append((check.namespace, check.node, check.id))
                    owners.append(place)
            if len(keys) == before:
                left.add(place)
        more = self._renew_all(keys)
        return left.union(owners[place] for place in more) if more is not None else set(range(len(there)))


def written(view: View, instance: Instance, revision: Revision, *, changed: bool) -> bytes:
    """The answer to a heartbeat that counted, as JSON."""
    there = spelled(view, instance.node)
    return _encode(
        native.Written(
            id=instance.id, node=there, namespace=instance.namespace, service=instance.service, revision=revision, changed=changed
        )
    )  # fmt: skip


class Meant:
    """From the entries of a batch to the instances of the view that they name, by one look-up per name space and node."""

    def __init__(self, view: View, where: Where) -> None:
        self._view = view
        self._where = where
        self._own = view.on_node(where.namespace, where.node)
        self._known: dict[tuple[str, str], Mapping[str, Placed]] = {}

    def find(self, beat: native.BeatTarget) -> Placed | None:
        """The instance on the very node that is meant, if there is one; then all names of the entry are valid."""
        if not beat.namespace and not beat.node:
            return self._own.get(beat.id)
        there = self._known.get((beat.namespace, beat.node))
        if there is None:
            where = self._where
            there = self._view.on_node(beat.namespace or where.namespace, beat.node.lower() or where.node)
            self._known[beat.namespace, beat.node] = there
        return there.get(beat.id)
