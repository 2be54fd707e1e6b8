"""Which nodes and instances stand at an address: an index for reverse look-ups, so that none of them walks through the catalog.

It is built at the first reverse question, for most servers are never asked one, and kept up with every change from then on. What it names
are candidates: whoever answers looks at the view whether they are still there. It lives as long as the cache of answers. Pure.
"""

from collections.abc import Collection, Hashable
from typing import TypeVar

from callboard.core.catalog.changes import Changes
from callboard.core.catalog.queries import placed_in
from callboard.core.catalog.view import Place, View
from callboard.model.instance import Instance, Node
from callboard.model.names import PUBLIC
from callboard.model.topics import Topic
from callboard.wire.dns_records import packed_address

H = TypeVar("H", bound=Hashable)


def address_topic(address: bytes) -> Topic:
    """Who has an address; a topic of this room alone."""
    return Topic("dns/" + address.hex())


class AddressIndex:
    """The nodes (by key) and the places of instances at each packed address."""

    __slots__ = ("_built", "_instances", "_nodes")

    def __init__(self) -> None:
        self._built = False
        self._nodes: dict[bytes, set[str]] = {}
        self._instances: dict[bytes, set[Place]] = {}

    def nodes(self, view: View, address: bytes) -> list[str]:
        """The nodes that may have this address, in order."""
        self._build(view)
        return sorted(self._nodes.get(address, ()))

    def instances(self, view: View, address: bytes) -> list[Place]:
        """The instances that may have this address of their own, in order."""
        self._build(view)
        return sorted(self._instances.get(address, ()))

    def _build(self, view: View) -> None:
        if self._built:
            return
        self._built = True
        for key, node in view.nodes.items():
            _add(self._nodes, _of_node(node), key)
        for placed in placed_in(view, PUBLIC):
            instance = placed.instance
            _add(self._instances, _of_instance(instance), (instance.node, instance.id))

    def apply(self, changes: Changes) -> Collection[Topic]:
        """Take what changed; answers the topics of the addresses that have other names now."""
        if not self._built:
            return ()
        touched: set[bytes] = set()
        for node in changes.nodes:
            before, after = _of_node(node.before), _of_node(node.after)
            key = (node.after or node.before or _NOBODY).name.lower()
            _move(self._nodes, before, after, key, touched)
        for change in changes.instances:
            instance = change.after or change.before
            if instance is None or instance.namespace != PUBLIC:
                continue
            was, now = _of_instance(change.before), _of_instance(change.after)
            _move(self._instances, was, now, (instance.node, instance.id), touched)
        return [address_topic(address) for address in touched]


_NOBODY = Node(name="", address="", nonce="")


def _of_node(node: Node | None) -> bytes | None:
    return packed_address(node.address) if node is not None else None


def _of_instance(instance: Instance | None) -> bytes | None:
    return packed_address(instance.address) if instance is not None else None


def _add(index: dict[bytes, set[H]], address: bytes | None, holder: H) -> None:
    if address is not None:
        index.setdefault(address, set()).add(holder)


def _move(index: dict[bytes, set[H]], before: bytes | None, after: bytes | None, holder: H, touched: set[bytes]) -> None:
    """Both addresses are touched even when they are one: the name of what stands there may be another."""
    if before is not None and before != after and (there := index.get(before)) is not None:
        there.discard(holder)
        if not there:
            del index[before]
    _add(index, after, holder)
    touched.update(address for address in (before, after) if address is not None)
