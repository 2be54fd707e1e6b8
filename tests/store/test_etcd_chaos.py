"""Three members over three nodes while links are cut and nodes crash and stand still at random: what was acknowledged is there, in order.

One seed among the interop tests; `CALLBOARD_CHAOS_SEED` and `CALLBOARD_CHAOS_S` choose another and how long.
"""

import asyncio
import contextlib
import logging
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from callboard.model.errors import DeposedError, IndeterminateError, UnavailableError
from callboard.model.rows import ORIGIN, Group, Position
from callboard.model.time import Instant
from callboard.net.tasks import spawn
from callboard.store.etcd.store import EtcdStore
from callboard.testing.etcd import Etcd
from callboard.testing.store_suite_kit import Scribe, fold, followed, loaded
from tests.store.etcd_harness import PROMPT, EtcdHarness, head_of, link
from tests.support import PATIENCE_S, run

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]
_log = logging.getLogger(__name__)


@pytest.fixture
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    with Etcd.running(tmp_path_factory.mktemp("etcd"), nodes=3, sound=True) as etcd:
        yield etcd


@dataclass
class History:
    """What the members say happened."""

    acknowledged: dict[bytes, Group] = field(default_factory=dict)
    refused: set[bytes] = field(default_factory=set)
    """Marks of groups that were surely not applied, and not sent again."""
    terms: int = 0


class Member:
    """Leads when it can, writes while it leads, and follows all the time."""

    def __init__(self, name: str, store: EtcdStore, history: History, stop: asyncio.Event) -> None:
        self.name = name
        self.store = store
        self.history = history
        self.stop = stop
        self.heard: list[Group] = []
        self.turn = 0

    async def lead(self) -> None:
        while not self.stop.is_set():
            self.turn += 1
            leadership = await self.store.campaign(self.name)
            self.history.terms += 1
            with contextlib.suppress(UnavailableError, DeposedError):
                scribe = Scribe(self.store, leadership, await self.store.head(), f"{self.name}.{self.turn}")
                await self.write(scribe)
            await leadership.resign()

    async def write(self, scribe: Scribe) -> None:
        number = 0
        while not self.stop.is_set() and scribe.leadership.confirmed_until() != Instant(0):
            number += 1
            size = 400 if number % 25 == 0 else 1 + number % 9
            rows = {f"k/{(number * 7 + place) % 600}": b"%d" % number if place % 5 else None for place in range(size)}
            if not await self.land(scribe, scribe.group(rows)):
                return
            await asyncio.sleep(0.01)

    async def land(self, scribe: Scribe, group: Group) -> bool:
        """As a leader does: after an unknown end the same again, until it is known."""
        doubtful = False
        while not self.stop.is_set():
            try:
                await scribe.commit(group)
            except IndeterminateError:
                doubtful = True
            except UnavailableError:
                if not doubtful:
                    self.history.refused.add(group.mark)
                    return True
            except DeposedError:
                if not doubtful:
                    self.history.refused.add(group.mark)
                return False
            else:
                self.history.acknowledged[group.mark] = group
                return True
            await asyncio.sleep(0.05)
        return False

    async def follow(self) -> None:
        with contextlib.suppress(UnavailableError):
            async for group in self.store.follow(ORIGIN):
                self.heard.append(group)


async def disturb(etcd: Etcd, harness: EtcdHarness, members: list[Member], chance: random.Random, until: float) -> int:
    """Faults, one or two at a time, each healed again."""
    count = 0
    while time.monotonic() < until:
        await asyncio.sleep(chance.uniform(0.3, 1.5))
        count += 1
        fault = chance.choice(["cut", "refuse", "one link", "kill", "pause", "leader"])
        for_s = chance.uniform(0.5, 6.0)
        if fault in {"cut", "refuse"}:
            store = chance.choice(members).store
            link(harness, store, "cut" if fault == "cut" else "refuse")
            await asyncio.sleep(for_s)
            link(harness, store, "open")
        elif fault == "one link":
            proxy = chance.choice(harness.links(chance.choice(members).store))
            proxy.set_mode("cut")
            await asyncio.sleep(for_s)
            proxy.set_mode("open")
        else:
            node = await asyncio.to_thread(etcd.leader) if fault == "leader" else chance.choice(etcd.nodes)
            await asyncio.to_thread(node.pause if fault == "pause" else node.kill)
            await asyncio.sleep(for_s)
            await asyncio.to_thread(node.resume if fault == "pause" else node.start)
    return count


def test_what_was_acknowledged_is_there_after_random_faults(three: Etcd) -> None:
    seed = int(os.environ.get("CALLBOARD_CHAOS_SEED", "1"))
    span_s = float(os.environ.get("CALLBOARD_CHAOS_S", "40"))
    chance = random.Random(seed)

    async def work() -> None:
        limits = {**PROMPT, "history_max_count": 0, "database_max_bytes": 1 << 30, "leader_ttl_s": 3, "commit_timeout_ms": 1_500}
        harness = EtcdHarness(three, **limits)
        try:
            stop, history = asyncio.Event(), History()
            members = [Member(f"m{number}", await harness.open(), history, stop) for number in range(3)]
            leading = [spawn(member.lead(), name=member.name) for member in members]
            tasks = [*leading, *(spawn(member.follow(), name=member.name) for member in members)]
            faults = await disturb(three, harness, members, chance, time.monotonic() + span_s)
            await asyncio.to_thread(three.wait)
            before = len(history.acknowledged)
            async with asyncio.timeout(PATIENCE_S):
                while len(history.acknowledged) < before + 20:  # noqa: ASYNC110  # what several do is looked at
                    await asyncio.sleep(0.1)
            stop.set()
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(*leading)  # each leads once more, and finds that it is to stop
                head = await head_of(members[0].store)
            async with asyncio.timeout(PATIENCE_S):
                while any(not member.heard or member.heard[-1].position != head for member in members):
                    assert not [task for task in tasks if task.done() and not task.cancelled() and task.exception()]
                    await asyncio.sleep(0.1)
            judge(history, members, await followed(members[0].store, ORIGIN, head, PATIENCE_S), await loaded(members[1].store))
            _log.info("seed %d: %d faults, %d terms, %d groups acknowledged", seed, faults, history.terms, len(history.acknowledged))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            await harness.close()

    run(work())


def judge(history: History, members: list[Member], groups: list[Group], state: tuple[Position, object]) -> None:
    """One history, told to everybody, with all that was acknowledged and nothing that was refused."""
    marks = [group.mark for group in groups]
    assert len(set(marks)) == len(marks), "a group came twice"
    for earlier, later in zip([None, *groups], groups, strict=False):
        assert later.after == (ORIGIN if earlier is None else earlier.position), "a gap"
    told = {group.mark: group for group in groups}
    for mark, group in history.acknowledged.items():
        assert told.get(mark) == group, f"{mark!r} was acknowledged and is lost or changed"
    assert not history.refused & set(marks), "a group that was surely not applied is there"
    for member in members:
        assert member.heard == groups, f"{member.name} heard something else"
    assert state == (groups[-1].position, fold(groups))
