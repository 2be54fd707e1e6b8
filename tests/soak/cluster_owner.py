"""The owner of one instance: signs it in, keeps it alive, changes it, signs it out; through any member, with ordinary retries.

Every attempt goes into the history. An owner lives as long as its task; cancelling that is the death of the instance.
"""

import asyncio
import contextlib
import math
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import NamedTuple

import msgspec

from tests.soak.cluster_history import History, Kind, Life, Op, now
from tests.soak.cluster_http import Answer, CallError, Choice, Http

BEATS_PER_TTL = 3
CHANGES_EVERY_S = 40.0
"""How often a steady instance turns, drains or signs in anew."""
TIMEOUT_OF_TTL = 0.2
TIMEOUT_MIN_S, TIMEOUT_MAX_S = 1.0, 3.0


class Shared(NamedTuple):
    """What all clients of a load have in common."""

    ports: Sequence[int]
    http: Http
    history: History
    writing: asyncio.Event
    """Set unless the load holds still: then nobody changes anything, and signs of life go on."""
    tokens: Iterator[int]


class _Written(msgspec.Struct):
    revision: int


class Owner:
    """One instance's client."""

    def __init__(self, shared: Shared, key: str, service: str, ttl_s: float, seed: int) -> None:
        self.key = key
        self.service = service
        self.ttl_s = ttl_s
        self.chance = random.Random(seed)
        self.shared = shared
        self.choice = Choice(shared.ports, self.chance)
        self.status = "passing"
        self._node, _, self._id = key.partition("/")
        self._timeout_s = min(TIMEOUT_MAX_S, max(TIMEOUT_MIN_S, ttl_s * TIMEOUT_OF_TTL)) if ttl_s else TIMEOUT_MIN_S

    async def register(self) -> None:
        """Sign in, or say it all anew; with a token that nobody has written before, at each attempt."""
        await self._until_done("register")
        lives = self.shared.history.lives
        if self.key not in lives:
            lives[self.key] = Life(self.key, self.service, self.ttl_s, now(), math.inf, "lives")

    async def turn(self, status: str) -> None:
        """Say that it is well, or is not."""
        self.status = status
        await self._until_done("turn")

    @contextlib.asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """Signs of life, whatever else is under way meanwhile."""
        beating = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def _beat(self) -> None:
        choice = Choice(self.shared.ports, self.chance)
        while True:
            await asyncio.sleep(self.ttl_s / BEATS_PER_TTL * self.chance.uniform(0.8, 1.0))
            answer = await self._until_done("beat", choice)
            if answer.status == 404:  # ordinary clients sign in again
                await self.register()

    async def drain(self, *, on: bool) -> None:
        """Out of service, or back."""
        await self._until_done("drain" if on else "serve")

    def end(self, how: str) -> None:
        """From now on nobody speaks for it."""
        lives = self.shared.history.lives
        if (life := lives.get(self.key)) is not None and life.how == "lives":
            lives[self.key] = life._replace(ended=now(), how="killed" if how == "killed" else "left")

    async def live(self) -> None:
        """Sign in and stay, with a turn now and then."""
        await self.register()
        async with self.alive():
            while True:
                await asyncio.sleep(self.chance.expovariate(1 / CHANGES_EVERY_S))
                await self.shared.writing.wait()
                await self._change()

    async def _change(self) -> None:
        what = self.chance.choice(("turn", "drain", "register"))
        if self.status != "passing":
            await self.turn("passing")
        elif what == "turn":
            await self.turn(self.chance.choice(("warning", "critical")))
        elif what == "drain":
            await self.drain(on=True)
            await asyncio.sleep(self.chance.uniform(0.0, 2.0))
            await self.drain(on=False)
        else:
            await self.register()

    async def come_and_go(self, stay_s: float) -> None:
        """Sign in, stay for a while, sign out."""
        await self.register()
        async with self.alive():
            await asyncio.sleep(stay_s)
            await self.shared.writing.wait()
            if self.chance.random() < 0.5:
                await self.drain(on=True)
            self.end("left")
        await self._until_done("deregister")

    # -- attempts

    async def _until_done(self, kind: Kind, choice: Choice | None = None) -> Answer:
        asked = choice or self.choice
        while True:
            answer = await self._attempt(kind, asked)
            if answer is not None:
                asked.answered()
                return answer
            await asked.another()

    async def _attempt(self, kind: Kind, choice: Choice) -> Answer | None:
        """One attempt; None when it has to be made again."""
        history, place, begin = self.shared.history, choice.place, now()
        token = f"{next(self.shared.tokens):x}" if kind == "register" else self.status if kind in {"turn", "beat"} else ""
        op = Op(kind, self.key, token, place, begin, math.inf, "unknown")
        method, target, body = self._request(kind, token)
        try:
            answer = await self.shared.http.call(choice.port, method, target, body, timeout_s=self._timeout_s)
        except CallError as error:
            history.ops.append(op._replace(end=now(), verdict=error.verdict))
            return None
        except asyncio.CancelledError:
            history.ops.append(op._replace(end=now()))
            raise
        revision = msgspec.json.decode(answer.body, type=_Written).revision if answer.verdict == "done" else 0
        history.ops.append(op._replace(end=now(), verdict=answer.verdict, revision=revision, status=answer.status))
        return None if answer.verdict in {"refused", "unknown"} else answer

    def _request(self, kind: Kind, token: str) -> tuple[str, str, bytes]:
        where = f"{self._id}?node={self._node}"
        match kind:
            case "register":
                return "PUT", "/api/v1/instances", self._registration(token)
            case "deregister":
                return "DELETE", f"/api/v1/instances/{where}", b""
            case "drain":
                return "PUT", f"/api/v1/drain/{where}", b""
            case "serve":
                return "DELETE", f"/api/v1/drain/{where}", b""
            case "turn" | "beat":
                return "PUT", f"/api/v1/heartbeat/{where}", msgspec.json.encode({"status": self.status})

    def _registration(self, token: str) -> bytes:
        checks = [{"ttl_ms": round(self.ttl_s * 1000), "status": "passing"}] if self.ttl_s else []
        told = {"service": self.service, "id": self._id, "node": self._node, "address": "10.0.0.1", "port": 80}
        return msgspec.json.encode({**told, "meta": {"token": token}, "checks": checks})
