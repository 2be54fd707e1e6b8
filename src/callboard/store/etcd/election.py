"""The lead: one key under a lease. Whoever made it leads, and every group is guarded by its value.

A leadership lives until its lease has run out, its key is gone, or it is given up. Leased keys are outside rows, feed and revision.
"""

import asyncio
import contextlib
from collections.abc import Callable

import msgspec
from msgspec import Struct

from callboard.model.errors import UnavailableError
from callboard.net.tasks import Tasks
from callboard.store.etcd.client import Client
from callboard.store.etcd.codec import Keyspace
from callboard.store.etcd.failures import Cause, EtcdError
from callboard.store.etcd.leases import Held, Lease, Renewer
from callboard.store.etcd.requests import absent, get, got, put, transaction
from callboard.store.etcd.settings import EtcdSettings
from callboard.store.etcd.waiting import Backoff
from callboard.store.etcd.watching import Observer


class Claim(Struct, frozen=True):
    """The leader's key. `nonce` makes it this one leadership's, and no other's."""

    member: str
    nonce: str


class EtcdLeadership(Held):
    """The lead of one member."""

    def __init__(self, member: str, value: bytes, lease: Lease, renewer: Renewer) -> None:
        super().__init__(value, lease, renewer)
        self.member = member
        self.prepared = False
        """Whether what an earlier leader left undone has been settled."""

    async def resign(self) -> None:
        await self.give_up()


class Election:
    """Campaigns of one member; they queue."""

    def __init__(
        self, client: Client, keys: Keyspace, renewer: Renewer, tasks: Tasks, nonce: Callable[[], str], settings: EtcdSettings
    ) -> None:
        self._client = client
        self._keys = keys
        self._renewer = renewer
        self._tasks = tasks
        self._nonce = nonce
        self._settings = settings
        self._turn = asyncio.Lock()

    async def campaign(self, member: str) -> EtcdLeadership:
        """Returns when elected. Raises `UnavailableError` when the store is closed; waits over every other failure."""
        async with self._turn:
            backoff = Backoff(self._settings, self._client.closed)
            while True:
                await self._vacant()
                if self._client.closed.is_set():
                    raise UnavailableError("the store is not open")
                with contextlib.suppress(EtcdError):
                    leadership = await self._stand(member)
                    if leadership is not None and self._client.closed.is_set():
                        await leadership.resign()
                    elif leadership is not None:
                        self._tasks.spawn(self._guard(leadership), name="etcd-lead")
                        return leadership
                await backoff.wait()

    async def _vacant(self) -> None:
        """Return when nobody leads, or the store is closed."""
        observer = Observer(self._client, self._settings, self._keys.leader)
        async with contextlib.aclosing(observer.states()) as states:
            async for state in states:
                if not state:
                    return

    async def _stand(self, member: str) -> EtcdLeadership | None:
        """Try to make the leader's key; None when another was first. Raises `EtcdError`."""
        value = msgspec.json.encode(Claim(member, self._nonce()))
        lease = await self._renewer.grant(self._settings.leader_ttl_s)
        elected = False
        try:
            elected = await claim(self._client, self._keys.leader, value, lease, self._settings) == value
        finally:
            if not elected:
                self._renewer.end(lease)
                self._tasks.spawn(self._renewer.revoke(lease), name="etcd-revoke")
        return EtcdLeadership(member, value, lease, self._renewer) if elected else None

    async def _guard(self, leadership: EtcdLeadership) -> None:
        """End `leadership` when its key is gone."""
        observer = Observer(self._client, self._settings, self._keys.leader)
        async with contextlib.aclosing(observer.states()) as states:
            async for state in states:
                if leadership.is_over:
                    return
                if state.get(self._keys.leader) != leadership.value:
                    leadership.end()
                    return


async def claim(client: Client, key: bytes, value: bytes, lease: Lease, settings: EtcdSettings) -> bytes:
    """Make a key under a lease unless it is there; answers what it holds then. Raises `EtcdError`.

    An unanswered try is made again: with the same value under the same lease it is the same key, whichever of them landed.
    """
    backoff = Backoff(settings, client.closed)
    while True:
        try:
            request = transaction([absent(key)], [put(key, value, lease.number)], [get(key)])
            answer = await client.write("Txn", request, settings.commit_timeout_ms)
        except EtcdError as error:
            if error.cause is not Cause.UNKNOWN or lease.over.is_set() or client.closed.is_set():
                raise
            await backoff.wait()
            continue
        return value if answer.succeeded else got(answer, 0)[0].value
