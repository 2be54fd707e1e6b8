"""Which instances of a large service have a tag, or a port of a name: so that a question for one that nobody has costs a look-up.

Else a stream of made-up tags would be a walk through the whole service for each. It is built for a service when somebody asks, kept until
one of its instances changes, and names places: whoever answers takes the instances from the view. It lives as long as the cache of answers.
Pure.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from callboard.core.catalog.changes import Changes
from callboard.core.catalog.view import Place
from callboard.model.instance import Placed
from callboard.model.names import PUBLIC

_SMALL_COUNT: Final = 64
"""A service with so many instances is walked through."""
_SERVICES_MAX_COUNT: Final = 256
"""Services that are kept; those asked about longest ago go first."""

Members = Mapping[Place, Placed]


class _Places(NamedTuple):
    """Of one service, by tags and by names of ports in lower case."""

    tags: dict[str, list[Place]]
    ports: dict[str, list[Place]]


class Selections:
    """The instances of services by tag and by name of a port."""

    __slots__ = ("_services",)

    def __init__(self) -> None:
        self._services: OrderedDict[str, _Places] = OrderedDict()

    def with_tag(self, service: str, members: Members, tag: str) -> list[Placed]:
        """Those of the members of a service that have the tag, whatever its case; `tag` in lower case."""
        if len(members) <= _SMALL_COUNT:
            return [placed for placed in members.values() if any(own.lower() == tag for own in placed.instance.tags)]
        return _there(members, self._places(service, members).tags.get(tag, ()))

    def with_port(self, service: str, members: Members, port: str) -> list[Placed]:
        """The same for a port of that name."""
        if len(members) <= _SMALL_COUNT:
            return [placed for placed in members.values() if any(own.name.lower() == port for own in placed.instance.ports)]
        return _there(members, self._places(service, members).ports.get(port, ()))

    def apply(self, changes: Changes) -> None:
        """Take what changed."""
        if not self._services:
            return
        for change in changes.instances:
            for instance in (change.before, change.after):
                if instance is not None and instance.namespace == PUBLIC:
                    self._services.pop(instance.service.lower(), None)

    def _places(self, service: str, members: Members) -> _Places:
        name = service.lower()
        places = self._services.get(name)
        if places is None:
            if len(self._services) >= _SERVICES_MAX_COUNT:
                self._services.popitem(last=False)
            places = self._services[name] = _gather(members)
        else:
            self._services.move_to_end(name)
        return places


def _there(members: Members, places: Iterable[Place]) -> list[Placed]:
    return [members[place] for place in places if place in members]


def _gather(members: Members) -> _Places:
    places = _Places({}, {})
    for place, placed in members.items():
        instance = placed.instance
        for tag in {own.lower() for own in instance.tags}:
            places.tags.setdefault(tag, []).append(place)
        for port in {own.name.lower() for own in instance.ports}:
            places.ports.setdefault(port, []).append(place)
    return places
