"""Instances as a door shows them, kept as JSON: an answer after a change encodes what has changed, and joins the rest.

A service is kept from its second rendering on, for most are rendered once and then answered from memory. What is kept is compared with the
view at each rendering, by identity, so nobody has to tell what changed. It lives as long as the door; when there are too many bytes, the
services that were rendered longest ago go. Pure.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import Final, NamedTuple

from msgspec import Raw

from callboard.core.catalog import queries
from callboard.core.catalog.queries import Found
from callboard.core.catalog.view import Place, View
from callboard.model.check import Check
from callboard.model.instance import Node, Placed

_OVERHEAD_BYTES: Final = 600
"""What an instance takes beside its JSON."""
_SERVICE_BYTES: Final = 400
"""What a service takes beside its instances."""
_weight_of: Final = attrgetter("weight")


class Fragment(NamedTuple):
    """One instance, right as long as the view holds the very same values."""

    placed: Placed
    of_node: tuple[Check, ...]
    """Checks of its node."""
    found: Found
    passing: bool
    entry: Raw
    weight: int


class _Kept:
    """The fragments of one service, by node and id."""

    __slots__ = ("fragments", "weight")

    def __init__(self) -> None:
        self.fragments: dict[Place, Fragment] = {}
        self.weight = 0


class Fragments:
    """The services that are rendered again and again."""

    __slots__ = ("_bytes", "_encode", "_max_bytes", "_services")

    def __init__(self, encode: Callable[[Found], bytes], max_bytes: int) -> None:
        """`encode` makes the same of equal instances."""
        self._encode = encode
        self._max_bytes = max_bytes
        self._bytes = 0
        self._services: OrderedDict[tuple[str, str], _Kept] = OrderedDict()

    @property
    def weight(self) -> int:
        """How many bytes are kept."""
        return self._bytes

    def of_service(self, view: View, namespace: str, service: str) -> list[Fragment]:
        """Every instance of a service, by node and id."""
        members, name = view.of_service(namespace, service), (namespace, service.lower())
        kept = self._services.get(name)
        if kept is None:
            if members:
                self._keep(self._services.setdefault(name, _Kept()), {})
            return [fragment for _, fragment in self._renewed(view, members, {})]
        self._services.move_to_end(name)
        fragments = dict(self._renewed(view, members, kept.fragments))
        self._keep(kept, fragments)
        return list(fragments.values())

    def _renewed(self, view: View, members: Mapping[Place, Placed], known: Mapping[Place, Fragment]) -> Iterator[tuple[Place, Fragment]]:
        """Those that are right, and new ones instead of the others."""
        of_node: tuple[Check, ...] = ()
        node: Node | None = None
        for place in known if known.keys() == members.keys() else sorted(members):
            placed, fragment, there = members[place], known.get(place), view.nodes[place[0]]
            if there is not node:
                node, of_node = there, tuple(queries.checks_of_node(view, place[0])) if place[0] in view.node_checks else ()
            if fragment is None or fragment.placed is not placed or fragment.found.node is not there or fragment.of_node != of_node:
                fragment = self._made(placed, there, of_node)
            yield place, fragment

    def _made(self, placed: Placed, node: Node, of_node: tuple[Check, ...]) -> Fragment:
        found = Found(node, placed.instance, of_node + placed.checks)
        encoded = self._encode(found)
        return Fragment(placed, of_node, found, found.passing, Raw(encoded), _OVERHEAD_BYTES + len(encoded))

    def _keep(self, kept: _Kept, fragments: dict[Place, Fragment]) -> None:
        """What there is of a service from now on; the others make room."""
        weight = _SERVICE_BYTES + sum(map(_weight_of, fragments.values()))
        if weight > self._max_bytes:  # all the others together are worth more
            fragments, weight = {}, _SERVICE_BYTES
        self._bytes += weight - kept.weight
        kept.fragments, kept.weight = fragments, weight
        while self._bytes > self._max_bytes:
            self._bytes -= self._services.popitem(last=False)[1].weight
