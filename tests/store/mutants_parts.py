"""Stores that say they carry large groups in parts: one does it soundly, the others with one fault each."""

import asyncio
from dataclasses import replace

from callboard.model.errors import DeposedError
from callboard.model.rows import Group, Position, Revision
from callboard.store.contract import Caps, Leadership, Store
from tests.store.mutants import LandsTwice, Passing, Rebased


class InParts(Passing):
    """No fault: the store behind takes these groups at once, and nobody can tell."""

    @property
    def caps(self) -> Caps:
        caps = self.store.caps
        return replace(
            caps,
            group_rows=caps.group_rows // 4,
            group_bytes=caps.group_bytes // 4,
            parts_rows=caps.group_rows,
            parts_bytes=caps.group_bytes,
        )

    def split(self, group: Group) -> list[Group]:
        """As many groups as it takes, the last one with the number and the mark of `group`."""
        size, keys = self.caps.group_rows, list(group.rows)
        shares = [{key: group.rows[key] for key in keys[start : start + size]} for start in range(0, len(keys), size)]
        groups: list[Group] = []
        after = group.after
        for place, rows in enumerate(shares):
            last = place == len(shares) - 1
            at = group.last if last else Revision(after.revision + 1)
            groups.append(Group(after, at, at, group.mark if last else group.mark + b"/%d" % place, rows, group.outcomes if last else ()))
            after = groups[-1].position
        return groups


class PartsAreGroups(InParts):
    """Each part is a group of its own: a reader, and a leader that ends in between, see half of it."""

    async def commit(self, group: Group, by: Leadership) -> Position:
        if len(group.rows) <= self.caps.group_rows:
            return await self.store.commit(group, by)
        position = await self.store.head()
        if position == group.after:
            for part in self.split(group):
                position = await self.store.commit(part, by)
                await asyncio.sleep(0.001)
        elif position != group.position:
            raise DeposedError("the group follows another")
        return position


class PartsLost(InParts):
    """Only the first part lands."""

    async def commit(self, group: Group, by: Leadership) -> Position:
        kept = dict(list(group.rows.items())[: self.caps.group_rows])
        return await self.store.commit(replace(group, rows=kept), by)


class PartsLandTwice(InParts):
    """A group in parts that is sent again is written again."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._twice = LandsTwice(store)

    async def commit(self, group: Group, by: Leadership) -> Position:
        return await (self._twice if len(group.rows) > self.caps.group_rows else self.store).commit(group, by)


class PartsUnfenced(InParts):
    """The moment that publishes the parts is not judged: a leader that has resigned still publishes."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._any = Rebased(store)

    async def commit(self, group: Group, by: Leadership) -> Position:
        return await (self._any if len(group.rows) > self.caps.group_rows else self.store).commit(group, by)
