"""Watchers and readers: clients that follow the catalog through one member after another, and hold what they are told against the truth.

Ordered, Unique, Atomic, Reliable, Resumable and Bookmark are judged on every group each of them is told. They live for a run.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Final

from callboard.core.catalog.changes import Changes
from callboard.model.errors import CompactedError
from callboard.model.rows import ZERO, Key, Refusal, Revision, check_key, instance_key
from callboard.registry.registry import Registry
from callboard.testing.simulation.blame import Blame
from callboard.testing.simulation.judge import Judge
from callboard.testing.simulation.process import Process
from callboard.testing.simulation.truth import Truth
from callboard.testing.simulation.wires import Answer, Line

_SILENCE_S: Final = 2.0
_STAYS_MAX_COUNT: Final = 3
Rows = dict[Key, Revision]


def rows_of(registry: Registry) -> Rows:
    """What a view shows of instances and their checks: keys and revisions."""
    rows: Rows = {}
    for namespace, space in registry.view.spaces.items():
        for there in space.by_node.values():
            for placed in there.values():
                instance = placed.instance
                rows[instance_key(namespace, instance.node, instance.id)] = instance.modified
                for check in placed.checks:
                    rows[check_key(namespace, check.node, check.id)] = check.modified
    for node, checks in registry.view.node_checks.items():
        for check in checks.values():
            rows[check_key(check.namespace, node, check.id)] = check.modified
    return rows


class Watcher:
    """Follows everything, keeps its own picture, and moves to another member when it is cut off or feels like it."""

    def __init__(
        self, name: str, judge: Judge, blame: Blame, chance: random.Random, find: Callable[[str], Process | None], members: Sequence[str]
    ) -> None:
        self.name = name
        self.rows: Rows = {}
        self.revision: Revision = ZERO
        self.groups = 0
        self.resumed = 0
        self._judge = judge
        self._blame = blame
        self._chance = chance
        self._find = find
        self._members = members
        self._process: Process | None = None
        self._end: Callable[[], None] = lambda: None
        self._rewinds = 0
        self._visit = 0

    @property
    def _truth(self) -> Truth:
        return self._judge.truth

    async def live(self) -> None:
        """For ever."""
        while True:
            process = self._find(self._chance.choice(list(self._members)))
            if process is None or not process.ready:
                await asyncio.sleep(0.5)
                continue
            process.loop.call_soon(self._resume, process, context=process.context)
            await asyncio.sleep(self._chance.uniform(1.0, 6.0))
            for _ in range(_STAYS_MAX_COUNT):
                if self._process is process and process.alive and self._chance.random() < 0.5:
                    await asyncio.sleep(_SILENCE_S)
            self._leave()

    def _leave(self) -> None:
        self._process = None
        self._end()
        self._end = lambda: None

    def _resume(self, process: Process) -> None:
        """As a door does it: wait for where the client is, then everything after it, then what comes."""
        registry = process.registry
        if registry is None or not process.ready or self._process is not None:
            return
        self._process = process
        self._visit += 1
        visit = self._visit
        if self._rewinds != self._truth.rewinds:
            self.revision, self._rewinds = ZERO, self._truth.rewinds
        seen = self.revision

        def reached(arrived: bool) -> None:  # noqa: FBT001  # the shape of a callback
            if self._process is not process or self._visit != visit:
                return
            self._blame.note(
                self.name,
                f"resumes after {seen} at {process.name}, which shows {registry.revision}{'' if arrived else ', not yet that far'}",
            )
            self._begin(process, registry)

        registry.reached(seen).then(reached)

    def _begin(self, process: Process, registry: Registry) -> None:
        if registry.revision < self.revision:
            self._process = None  # it is behind, and says so: another member is asked
            return
        if not self._catch_up(registry):
            self.rows, self.revision = rows_of(registry), registry.revision
        self._judge_picture()
        self._end = registry.subscribe(lambda changes: self._told(process, registry, changes))

    def _catch_up(self, registry: Registry) -> bool:
        """Take everything after what it has; False when it must begin anew."""
        if not self.revision:
            return False
        try:
            for changes in registry.changes_after(self.revision):
                self._take(changes)
        except CompactedError:
            return False
        self.resumed += 1
        return True

    def _told(self, process: Process, registry: Registry, changes: Changes) -> None:
        if self._process is not process:
            return
        self._take(changes)
        if registry.stats.reloads or self.groups % 8 == 0:
            self._judge_picture()

    # -- judging

    def _take(self, changes: Changes) -> None:
        """One group, or, where a member has loaded anew, all that differs."""
        truth, after = self._truth, self.revision
        self.groups += 1
        put: Rows = {}
        gone: set[Key] = set()
        for change in changes.instances:
            some = change.after or change.before
            assert some is not None
            _note(put, gone, instance_key(some.namespace, some.node, some.id), change.after.modified if change.after is not None else None)
        for turn in changes.checks:
            check = turn.after or turn.before
            assert check is not None
            _note(put, gone, check_key(check.namespace, check.node, check.id), turn.after.modified if turn.after is not None else None)
        again = changes.revision < after or (changes.revision == after and bool(put or gone))
        if again and self._rewinds == truth.rewinds:
            self._blame.blame("Ordered", f"{self.name} is told {changes.revision} after {after}")
        self.rows.update(put)
        for key in gone:
            self.rows.pop(key, None)
        self.revision = changes.revision
        if self._rewinds == truth.rewinds:
            self._judge_group(after, changes.revision, put, gone)

    def _judge_group(self, after: Revision, revision: Revision, put: Rows, gone: set[Key]) -> None:
        truth = self._truth
        place, before = truth.place(revision), truth.place(after)
        if place is None or before is None:
            return
        expected = truth.groups[place]
        if place == before + 1:
            if frozenset(put.items()) != expected.changed or frozenset(gone) != expected.removed:
                self._blame.blame("Atomic", f"{self.name} is told {put} and {gone} of {revision}, which is {expected}")
        elif any(landed.changed or landed.removed for landed in truth.groups[before + 1 : place]):
            self._judge_picture()

    def _judge_picture(self) -> None:
        """Its picture is what the catalog was at that revision."""
        truth = self._truth
        if self._rewinds != truth.rewinds or truth.place(self.revision) is None:
            return
        wrong = [key for key, revision in self.rows.items() if truth.revision_of(key, self.revision) != revision]
        missing = [key for key in truth.all_keys() if key not in self.rows and truth.state(key, self.revision) is not None]
        if wrong or missing:
            self._blame.blame("Reliable", f"{self.name} at {self.revision}: wrong {wrong}, missing {missing}")

    def judge_rest(self) -> None:
        """At rest, and connected, it has everything."""
        process = self._process
        if process is not None and process.registry is not None and process.ready:
            if self.revision != process.registry.revision and self.revision:
                self._blame.blame("Reliable", f"{self.name} stands at {self.revision}, its member at {process.registry.revision}")
            self._judge_picture()


def _note(put: Rows, gone: set[Key], key: Key, revision: Revision | None) -> None:
    """The last word on a key counts."""
    if revision is None:
        put.pop(key, None)
        gone.add(key)
    else:
        gone.discard(key)
        put[key] = revision


class Reader:
    """Reads, consistent ones too."""

    def __init__(self, judge: Judge, blame: Blame, chance: random.Random, line: Line[str], members: Sequence[str]) -> None:
        self.consistent = 0
        self._judge = judge
        self._blame = blame
        self._chance = chance
        self._line = line
        self._members = members

    async def live(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(self._chance.uniform(0.3, 1.5))
            await self._line.ask(self._chance.choice(list(self._members)), self._read, 3.0)

    def _read(self, process: Process, answer: Answer[str]) -> None:
        registry = process.registry
        if registry is None or not process.ready:
            answer("503")
            return
        floor, rewinds = self._judge.truth.acknowledged, self._judge.truth.rewinds

        def fresh(refusal: Refusal | None) -> None:
            if refusal is None:
                self.consistent += 1
                judged = rewinds == self._judge.truth.rewinds and self._judge.ends.leases_hold
                if registry.revision < floor and judged:
                    self._blame.blame("Consistent", f"{process.name} reads at {registry.revision}, {floor} was acknowledged before")
            answer("200")

        registry.fresh().then(fresh)
