"""What a watcher knows, and what changed about it: events of the stream in, differences out.

A difference is derived from what was known before and never from what the stream calls it, so that a resumed stream that repeats itself,
a new picture after a gap, and another server behind the same address all look alike: each instance is added, changed or removed once.
A picture lives as long as its watch, over all its connections.
"""

from typing import Final, Literal

import msgspec
from msgspec import Struct

from callboard.client.machine.sse import SseEvent, StreamError
from callboard.wire.native import InstanceEvent, InstanceState, MarkEvent

Kind = Literal["added", "changed", "removed", "resync", "ready"]
Key = tuple[str, str, str, str]
_MARKS: Final = frozenset({"ready", "resync"})
_TURNS: Final = frozenset({"added", "changed", "removed"})


class Change(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One difference. `ready` says: what came so far adds up to everything there was at `revision`; `resync`: the server did not know any
    more what it had told before, and what follows, to `ready`, are the differences that were missed."""

    kind: Kind
    revision: int
    instance: InstanceState | None = None
    """As it is now; for `removed` as it last was."""
    before: InstanceState | None = None
    """For `changed`: as it was."""
    reason: str = ""
    """For `resync`: why."""
    inferred: bool = False
    """For `removed`: nobody said so; a new picture did not mention it any more."""
    services: tuple[str, ...] = ()
    """For `ready` of a feed: what is complete with it; empty: everything that is followed."""
    more: bool = False
    """Of a feed: others follow at once, so nobody need be told before."""


class Picture:
    """Folds the events of a watch."""

    def __init__(self) -> None:
        self.known: dict[Key, InstanceState] = {}
        """Every instance, as the differences told so far add up to it."""
        self.resume_id = ""
        """What to ask the server to go on from; empty: from the beginning, for the last picture was not seen to its end."""
        self._fresh: dict[Key, InstanceState] | None = {}

    def connected(self) -> None:
        """A new stream begins: a continuation if it was asked for one."""
        if not self.resume_id:
            self._fresh = {}

    def restart(self) -> None:
        """The next stream is asked for everything. What is known stays, and only differences are told."""
        self.resume_id = ""

    def apply(self, event: SseEvent) -> list[Change]:
        """The differences that one event makes. Kinds of events that are not known are passed over. Raises `StreamError`."""
        try:
            if event.event in _MARKS:
                changes = self._mark(event, msgspec.json.decode(event.data, type=MarkEvent))
            elif event.event in _TURNS:
                told = msgspec.json.decode(event.data, type=InstanceEvent)
                changes = self._turn(event.event, told.revision, told.instance)
            else:
                changes = []
        except msgspec.DecodeError as error:
            raise StreamError(f"event {event.event}: {error}") from None
        if self._fresh is None:
            self.resume_id = event.id
        return changes

    def _mark(self, event: SseEvent, mark: MarkEvent) -> list[Change]:
        if event.event == "resync":
            self.resume_id = ""
            self._fresh = {}
            return [Change(kind="resync", revision=mark.revision, reason=mark.reason)]
        changes = [] if self._fresh is None else self._replace(self._fresh, mark.revision)
        self._fresh = None
        return [*changes, Change(kind="ready", revision=mark.revision)]

    def _replace(self, fresh: dict[Key, InstanceState], revision: int) -> list[Change]:
        """Go over to the new picture, instance by instance."""
        gone = [key for key in self.known if key not in fresh]
        changes = [self._forget(key, revision, inferred=True) for key in gone]
        for key, instance in fresh.items():
            changes += self._learn(key, instance, instance.modified)
        return changes

    def _turn(self, kind: str, revision: int, instance: InstanceState) -> list[Change]:
        key = (instance.namespace, instance.service, instance.node, instance.id)
        if self._fresh is not None:
            if kind == "removed":
                self._fresh.pop(key, None)
            else:
                self._fresh[key] = instance
            return []
        if kind == "removed":
            return [self._forget(key, revision)] if key in self.known else []
        return self._learn(key, instance, revision)

    def _learn(self, key: Key, instance: InstanceState, revision: int) -> list[Change]:
        before = self.known.get(key)
        if before == instance:
            return []
        self.known[key] = instance
        return [Change(kind="changed" if before else "added", revision=revision, instance=instance, before=before)]

    def _forget(self, key: Key, revision: int, *, inferred: bool = False) -> Change:
        return Change(kind="removed", revision=revision, instance=self.known.pop(key), inferred=inferred)
