"""The parameter `filter` of reads: an expression that keeps some items of an answer. It is judged before any data is read."""

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from callboard.core.catalog.queries import Found
from callboard.core.filtering import STEPS_MAX_COUNT, Filter
from callboard.frontend.consul.door import Door
from callboard.frontend.consul.errors import ConsulError
from callboard.frontend.consul.translate_answers import Scene
from callboard.frontend.consul.translate_filter import Root, Shown
from callboard.model.errors import InvalidError
from callboard.wire.consul_json import ServiceHealth
from callboard.wire.url import Query

PARAMETER: Final = "filter"
T = TypeVar("T")


def filter_text(query: Query) -> str:
    """The expression as it was sent, for the key of the answer it shapes."""
    return query.get(PARAMETER) or ""


def filter_of(door: Door, query: Query, root: Root[T]) -> Callable[[T], bool] | None:
    """Whether an item is kept, None for no filter. Raises `ConsulError` for one that is not understood, or asks what there is not."""
    text = filter_text(query)
    if not text:
        return None
    try:
        return _Keeper(door, door.filters.get(text, root))
    except InvalidError as error:
        raise ConsulError(500, f"Failed to create boolean expression evaluator: {error}") from None


def keeper_of(door: Door, query: Query, root: Root[T]) -> Callable[[T], bool]:
    """The same, where no filter keeps everything."""
    keeps = filter_of(door, query, root)
    return keeps if keeps is not None else _keep


def health_entries(scene: Scene, found: Iterable[Found], keeps: Callable[[Shown], bool] | None) -> list[ServiceHealth]:
    """Instances as health answers show them, those that a filter keeps."""
    if keeps is None:
        return [scene.health(one) for one in found]
    entries = ((one, scene.health(one)) for one in found)
    return [entry for one, entry in entries if keeps(Shown(scene.node(one.node), entry.service, entry.checks))]


class _Keeper:
    """A filter over the items of one answer, however often that is made anew: never twice of the same view."""

    __slots__ = ("_door", "_filter", "_left", "_revision")

    def __init__(self, door: Door, compiled: Filter) -> None:
        self._door = door
        self._filter = compiled
        self._left = STEPS_MAX_COUNT
        self._revision = door.view.revision

    def __call__(self, item: object) -> bool:
        revision = self._door.view.revision
        if revision != self._revision:
            self._revision, self._left = revision, STEPS_MAX_COUNT
        kept, self._left = self._filter.judge(item, self._left)
        return kept


def _keep(_item: object) -> bool:
    return True
