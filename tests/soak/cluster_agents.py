"""Many live instances at little cost: agents, each of which speaks for a hundred instances of its host in one batch of heartbeats.

Part of a load; every instance has a life in its history, so the checker watches over each of them.
"""

import asyncio
import random

import msgspec

from callboard.wire.native import Renewed
from tests.soak.cluster_history import Op, now
from tests.soak.cluster_http import CallError, Choice
from tests.soak.cluster_owner import BEATS_PER_TTL, TIMEOUT_MAX_S, Owner, Shared

PER_AGENT_COUNT = 100


class Agent:
    """One host."""

    def __init__(self, shared: Shared, number: int, services: int, ttl_s: float, seed: int) -> None:
        self._shared = shared
        self._chance = random.Random(seed)
        self._choice = Choice(shared.ports, self._chance)
        self._ttl_s = ttl_s
        node = f"host-{number}"
        self.owners = tuple(
            Owner(shared, f"{node}/many-{number}-{each}", f"svc-{each % services}", ttl_s, self._chance.getrandbits(32))
            for each in range(PER_AGENT_COUNT)
        )
        beats = [dict(zip(("node", "id"), owner.key.split("/"), strict=True)) for owner in self.owners]
        self._body = msgspec.json.encode({"beats": beats})
        self._by_id = {owner.key.partition("/")[2]: owner for owner in self.owners}

    async def live(self) -> None:
        """Sign all in, and keep them alive."""
        for owner in self.owners:
            await owner.register()
        while True:
            await asyncio.sleep(self._ttl_s / BEATS_PER_TTL * self._chance.uniform(0.8, 1.0))
            await self._beat()

    async def _beat(self) -> None:
        while True:
            begin, place = now(), self._choice.place
            try:
                answer = await self._shared.http.call(self._choice.port, "POST", "/api/v1/heartbeats", self._body, timeout_s=TIMEOUT_MAX_S)
            except CallError:
                await self._choice.another()
                continue
            if answer.status == 200:
                break
            await self._choice.another()
        self._choice.answered()
        for unknown in msgspec.json.decode(answer.body, type=Renewed).unknown:
            owner = self._by_id[unknown.id]
            self._shared.history.ops.append(Op("beat", owner.key, "", place, begin, now(), "failed", 0, 404))
            await owner.register()
