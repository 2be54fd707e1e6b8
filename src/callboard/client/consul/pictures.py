"""What a feed knows of its services, and what changed: whole answers in, differences out. Pure.

Consul answers with all instances of a service each time. A picture lives as long as its feed, over all connections.
"""

from typing import NamedTuple

from msgspec.structs import replace

from callboard.client.machine.picture import Change, Key
from callboard.wire.native import InstanceState


class Told(NamedTuple):
    """An answer about one service. `anew`: nobody knows whether it goes on from the one before."""

    service: str
    instances: tuple[InstanceState, ...]
    revision: int
    anew: bool


class Pictures:
    """Folds the answers of all services of a feed."""

    def __init__(self) -> None:
        self._known: dict[str, dict[Key, InstanceState]] = {}
        self._revision = 0
        self._failing: set[str] = set()
        self._lost = False
        """A failure was told, and since then not that the registry is heard again."""

    def failed(self, service: str) -> None:
        """The registry could not be asked about this service."""
        self._failing.add(service)
        self._lost = True

    def told(self, told: Told) -> list[Change]:
        """The differences that an answer makes. One that is `anew` ends with `ready`, also when there are none."""
        service, self._revision = told.service, told.revision
        known = self._known.setdefault(service, {})
        fresh = {_key(instance): instance for instance in told.instances}
        gone = [key for key in known if key not in fresh]
        changes = [Change(kind="removed", revision=told.revision, instance=known.pop(key), inferred=told.anew) for key in gone]
        changes += [change for key, instance in fresh.items() if (change := _learn(known, key, instance, told.revision)) is not None]
        if told.anew:
            changes.append(Change(kind="ready", revision=told.revision, services=self._complete(service)))
        return [*(replace(change, more=True) for change in changes[:-1]), *changes[-1:]]

    def heard(self, service: str) -> list[Change]:
        """Nothing happened; that is told once after another service could not be asked about."""
        if not self._lost or service not in self._known:
            return []
        self._lost = False
        return [Change(kind="ready", revision=self._revision, services=(service,))]

    def _complete(self, service: str) -> tuple[str, ...]:
        """What is complete with an answer about this service: all there is, when it was the last one that failed."""
        self._lost = False
        if service not in self._failing:
            return (service,)
        self._failing.discard(service)
        return (service,) if self._failing else tuple(self._known)


def _learn(known: dict[Key, InstanceState], key: Key, instance: InstanceState, index: int) -> Change | None:
    before = known.get(key)
    if before == instance:
        return None
    known[key] = instance
    return Change(kind="added" if before is None else "changed", revision=index, instance=instance, before=before)


def _key(instance: InstanceState) -> Key:
    return (instance.namespace, instance.service, instance.node, instance.id)


def merged(before: Told | None, after: Told) -> Told:
    """Two answers about one service, of which nobody saw the first."""
    return after._replace(anew=True) if before is not None and before.anew else after
