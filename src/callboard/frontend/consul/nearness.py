"""The parameter `near` of reads: the order of an answer by how far its nodes are from one of them.

Coordinates change the order of the next answer and wake nobody who waits for another one: where things are is not what was asked.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from callboard.frontend.consul.door import Door
from callboard.frontend.consul.translate_distance import by_distance
from callboard.model.topics import COORDINATES, Topic
from callboard.net.http.message import Request

PARAMETER: Final = "near"
_AGENT: Final = "_agent"
T = TypeVar("T")


class Near(NamedTuple):
    """The node that an answer begins at, in lower case; empty when the order is not asked for."""

    door: Door
    source: str

    @property
    def topics(self) -> tuple[Topic, ...]:
        """What else an ordered answer is made of."""
        return (COORDINATES,) if self.source else ()

    def ordered(self, items: list[T], node_of: Callable[[T], str]) -> list[T]:
        """The items in the order that was asked for; `node_of` in lower case."""
        return by_distance(items, node_of, self.door.view.coordinates, self.source) if self.source else items


def near_of(door: Door, request: Request) -> Near:
    """What a caller said; `_agent` is the node of the caller."""
    near = request.query.get(PARAMETER) or ""
    return Near(door, door.caller(request).key if near == _AGENT else near.lower())
