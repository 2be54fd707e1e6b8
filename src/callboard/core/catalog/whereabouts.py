"""On which nodes an id is, for callers who are on none of them.

Most callers are on the node they speak of, so nothing is kept until somebody asks. Then each question, which has to walk through all nodes,
takes some of their ids into an index, less than the walk costs; when all are in, nobody walks any more. One lives for
instances and one for checks in each namespace of a view. Pure.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

_FEW_NODES_COUNT: Final = 64
"""So many are walked through each time: an index would be no quicker."""
_STEP_MIN_COUNT: Final = 1_000
_NODES_OF_STEP: Final = 16
"""A question takes an id into the index for each so many nodes that it walks through, or the number before, if that is more."""

ByNode = Mapping[str, Mapping[str, object]]
"""What is there: by node (lower case), by id."""


class Whereabouts:
    """Nodes by id. Whoever changes what is there tells: `came`, `went`."""

    __slots__ = ("_complete", "_found", "_left")

    def __init__(self) -> None:
        self._found: dict[str, str | set[str]] = {}
        """Nothing that is not there, and all that came since it was begun."""
        self._left: Iterator[tuple[str, str]] | None = None
        """Nodes and ids that it does not have yet; None before it was begun."""
        self._complete = False

    def nodes(self, name: str, by_node: ByNode) -> Collection[str]:
        """The nodes that have this id, in no order."""
        if not self._complete:
            if len(by_node) > _FEW_NODES_COUNT:
                self._go_on(by_node)
            return [node for node, there in by_node.items() if name in there]
        found = self._found.get(name, ())
        return (found,) if isinstance(found, str) else found

    def _go_on(self, by_node: ByNode) -> None:
        if self._left is None:
            self._left = _all(by_node)
        for _ in range(max(_STEP_MIN_COUNT, len(by_node) // _NODES_OF_STEP)):
            pair = next(self._left, None)
            if pair is None:
                self._complete = True
                return
            node, name = pair
            if name in by_node.get(node, ()):
                self._add(name, node)

    def came(self, name: str, node: str) -> None:
        """A node has an id that it had not."""
        if self._left is not None:
            self._add(name, node)

    def went(self, name: str, node: str) -> None:
        """A node has an id no longer."""
        if self._left is None:
            return
        found = self._found.get(name)
        if isinstance(found, set):
            found.discard(node)
            if len(found) == 1:
                self._found[name] = found.pop()
        elif found == node:
            del self._found[name]

    def _add(self, name: str, node: str) -> None:
        found = self._found.get(name)
        if found is None:
            self._found[name] = node
        elif isinstance(found, set):
            found.add(node)
        elif found != node:
            self._found[name] = {found, node}


def _all(by_node: ByNode) -> Iterator[tuple[str, str]]:
    """Every node of now with every id that it has when its turn comes. What is there may change meanwhile."""
    for node in list(by_node):
        for name in list(by_node.get(node, ())):
            yield node, name
