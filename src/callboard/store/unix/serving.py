"""One worker at the engine: its questions are put to the store of this process, its leads and memberships end with its channel.

What is said beside the store (`beside`) is handed to whoever knows more than rows. It lives as long as the worker's channel.
"""

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Final

from callboard.model.errors import DeposedError, InvalidError, StoreError
from callboard.net.channel import Channel, ChannelError, FailedError
from callboard.net.tasks import Tasks, spawn
from callboard.store.contract import Health, Leadership, Membership
from callboard.store.unix import messages as msg
from callboard.store.unix.holding import HeldStore

BESIDE: Final = "beside"
"""Kind of what is said beside the store."""
Beside = Callable[[bytes], Awaitable[bytes]]


class Serving:
    """The side of the process that holds the engine."""

    def __init__(self, store: HeldStore, beside: Beside) -> None:
        self._store = store
        self._beside = beside
        self._leads: dict[int, Leadership] = {}
        self._memberships: dict[int, Membership] = {}
        self._tasks = Tasks()
        self._channel: Channel | None = None
        self._health: Health | None = None
        self._leaving: asyncio.Task[None] | None = None

    async def open(self, sock: socket.socket) -> Channel:
        """Serve whoever has the other end of that socket."""
        self._channel = await Channel.open(sock, self._store.settings.limits, self)
        self._tasks.spawn(self._tell_health(), name="engine health")
        return self._channel

    async def closed(self) -> None:
        """Close it, and return when nothing of it is left."""
        if self._channel is not None:
            await self._channel.close()
        if self._leaving is not None:
            await self._leaving
        await self._tasks.close()

    # -- as a channel's service

    async def asked(self, kind: str, body: bytes) -> bytes:
        if kind == BESIDE:
            return await self._beside(body)
        try:
            return await self._asked(kind, body)
        except (StoreError, InvalidError) as error:
            raise FailedError(msg.encode_error(error)) from error

    async def _asked(self, kind: str, body: bytes) -> bytes:
        store = self._store
        if kind == "head":
            return msg.encode_position(await store.head())
        if kind == "open":
            await store.head()
            return msg.encode((dataclasses.replace(store.caps, held=False), store.health()))
        if kind == "commit":
            number, group = msg.decode_commit(body)
            lead = self._leads.get(number)
            if lead is None:
                raise DeposedError("this member no longer leads")
            return msg.encode_position(await store.commit(group, lead))
        if kind == "campaign":
            return await self._campaign(msg.decode(body, msg.Named))
        if kind == "join":
            return await self._join(msg.decode(body, msg.Joining))
        return await self._let_go(kind, msg.decode(body, msg.Named))

    def streamed(self, kind: str, body: bytes) -> AsyncIterator[bytes]:
        return self._streamed(kind, body)

    async def _streamed(self, kind: str, body: bytes) -> AsyncGenerator[bytes, None]:
        streams = {"follow": self._follow, "load": self._load, "members": self._members}
        parts = streams[kind](body)
        try:
            async for part in parts:
                yield part
        except StoreError as error:
            raise FailedError(msg.encode_error(error)) from error
        finally:
            await parts.aclose()

    def told(self, kind: str, body: bytes) -> None:
        """A worker tells nothing."""

    def ended(self) -> None:
        """It has gone: what it held is free."""
        if self._leaving is None:
            self._leaving = spawn(self._let_all_go(), name="let go")

    async def _let_all_go(self) -> None:
        for lead in list(self._leads.values()):
            with contextlib.suppress(StoreError):
                await lead.resign()
        for membership in list(self._memberships.values()):
            with contextlib.suppress(StoreError):
                await membership.leave()

    # -- rows

    async def _follow(self, body: bytes) -> AsyncGenerator[bytes, None]:
        async for group in self._store.follow(msg.decode_position(body)):
            yield self._store.encoded(group)

    async def _load(self, _body: bytes) -> AsyncGenerator[bytes, None]:
        snapshot = await self._store.load()
        yield msg.encode_position(snapshot.position)
        async for rows in snapshot.batches:
            yield msg.encode_rows(rows)

    async def _members(self, _body: bytes) -> AsyncGenerator[bytes, None]:
        async for cards in self._store.members():
            yield msg.encode(cards)

    # -- leads and memberships

    async def _campaign(self, wanted: msg.Named) -> bytes:
        lead = await self._store.campaign(wanted.name)
        self._leads[wanted.number] = lead
        self._tasks.spawn(self._watch(lead.lost(), self._leads, wanted.number, "deposed"), name="lead of a worker")
        return b""

    async def _join(self, wanted: msg.Joining) -> bytes:
        membership = await self._store.join(wanted.card)
        self._memberships[wanted.number] = membership
        self._tasks.spawn(self._watch(membership.lost(), self._memberships, wanted.number, "expelled"), name="presence of a worker")
        return b""

    async def _watch(self, lost: Coroutine[Any, Any, None], there: dict[int, Any], number: int, kind: str) -> None:
        await lost
        there.pop(number, None)
        self._tell(kind, msg.encode(msg.Named(number)))

    async def _let_go(self, kind: str, named: msg.Named) -> bytes:
        if kind == "resign" and (lead := self._leads.pop(named.number, None)) is not None:
            await lead.resign()
        elif kind == "leave" and (membership := self._memberships.pop(named.number, None)) is not None:
            await membership.leave()
        return b""

    # -- notes

    async def _tell_health(self) -> None:
        while True:
            await asyncio.sleep(self._store.settings.health_interval_ms / 1_000)
            health = self._store.health()
            if health != self._health:
                self._health = health
                self._tell("health", msg.encode(health))

    def _tell(self, kind: str, body: bytes) -> None:
        if self._channel is not None:
            with contextlib.suppress(ChannelError):
                self._channel.tell(kind, body)
