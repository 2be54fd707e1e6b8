"""Who is present: one leased key per member, with its card.

A membership lives until its lease has run out, its key is gone, or it leaves.
"""

import contextlib
from collections.abc import AsyncGenerator, Callable

import msgspec
from msgspec import Struct

from callboard.model.errors import NameTakenError
from callboard.model.members import Card
from callboard.net.tasks import Tasks
from callboard.store.etcd.client import Client, unavailable
from callboard.store.etcd.codec import Keyspace
from callboard.store.etcd.election import claim
from callboard.store.etcd.failures import EtcdError
from callboard.store.etcd.leases import Held, Lease, Renewer
from callboard.store.etcd.requests import delete, holds, transaction
from callboard.store.etcd.settings import EtcdSettings
from callboard.store.etcd.watching import Observer


class Present(Struct, frozen=True):
    """A member's key. `nonce` makes it this one membership's, and no other's."""

    card: Card
    nonce: str


_decoder = msgspec.json.Decoder(Present)


class EtcdMembership(Held):
    """The presence of one member."""

    def __init__(self, card: Card, value: bytes, lease: Lease, renewer: Renewer) -> None:
        super().__init__(value, lease, renewer)
        self.card = card

    async def leave(self) -> None:
        await self.give_up()


class Presence:
    """Joins, and tells who is there."""

    def __init__(
        self, client: Client, keys: Keyspace, renewer: Renewer, tasks: Tasks, nonce: Callable[[], str], settings: EtcdSettings
    ) -> None:
        self._client = client
        self._keys = keys
        self._renewer = renewer
        self._tasks = tasks
        self._nonce = nonce
        self._settings = settings
        self._last: EtcdMembership | None = None
        """The one that was made last; it may be over."""

    async def join(self, card: Card) -> EtcdMembership:
        """Present from now on. A process that joins again ends its own earlier membership. Raises `NameTakenError`, `UnavailableError`."""
        try:
            return await self._join(card)
        except EtcdError as error:
            raise unavailable(error) from error

    async def _join(self, card: Card) -> EtcdMembership:
        key, value = self._keys.member(card.name), msgspec.json.encode(Present(card, self._nonce()))
        lease = await self._renewer.grant(self._settings.member_ttl_s)
        joined = False
        try:
            while not joined:
                there = await claim(self._client, key, value, lease, self._settings)
                joined = there == value
                if not joined:
                    await self._replace(key, there, card)
        finally:
            if not joined:
                self._renewer.end(lease)
                self._tasks.spawn(self._renewer.revoke(lease), name="etcd-revoke")
        if self._last is not None and self._last.card.name == card.name:
            self._last.end()  # its key is gone; the watch would tell it a moment later
        membership = self._last = EtcdMembership(card, value, lease, self._renewer)
        self._tasks.spawn(self._guard(membership), name="etcd-presence")
        return membership

    async def _replace(self, key: bytes, there: bytes, card: Card) -> None:
        """Remove an earlier membership of our own. Raises `NameTakenError` when it is another's, `EtcdError`."""
        earlier = _read(there)
        if earlier is None or earlier.nonce != card.nonce:
            raise NameTakenError(card.name, earlier.url if earlier is not None else "")
        await self._client.write("Txn", transaction([holds(key, there)], [delete(key)]), self._settings.commit_timeout_ms)

    async def _guard(self, membership: EtcdMembership) -> None:
        """End `membership` when its key is gone."""
        key = self._keys.member(membership.card.name)
        async with contextlib.aclosing(Observer(self._client, self._settings, key).states()) as states:
            async for state in states:
                if membership.is_over:
                    return
                if state.get(key) != membership.value:
                    membership.end()
                    return

    async def members(self) -> AsyncGenerator[tuple[Card, ...]]:
        """Who is present, by name, now and after each change. Ends when the store is closed."""
        keys = self._keys
        told: tuple[Card, ...] | None = None
        async with contextlib.aclosing(Observer(self._client, self._settings, keys.members, keys.members_end).states()) as states:
            async for state in states:
                cards = (_read(state[key]) for key in sorted(state))
                present = tuple(sorted((card for card in cards if card is not None), key=lambda card: card.name))
                if present != told:
                    told = present
                    yield present


def _read(value: bytes) -> Card | None:
    """The card in a member's key; None when it is none."""
    try:
        return _decoder.decode(value).card
    except (msgspec.DecodeError, ValueError):
        return None
