"""Leases that are kept alive in threads of their own, with connections of their own, and only while the event loop turns.

A loop that hangs must lose its lead, however well its process does; a loop that is only busy must not lose it. So the loop stamps the time
every tenth of a second, and the thread renews while the stamp is young. The time a lease is good for is counted from before the renewal was
sent, less a margin, on a clock that runs in suspend. A thread lives as long as its lease, the connections as long as the store.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import Final

from callboard.model.errors import UnavailableError
from callboard.model.time import MILLISECOND, SECOND, Instant
from callboard.net import threads
from callboard.net.tasks import Tasks
from callboard.store.etcd.client import Client
from callboard.store.etcd.failures import Cause, EtcdError
from callboard.store.etcd.messages import MESSAGES
from callboard.store.etcd.settings import EtcdSettings
from callboard.store.etcd.speaker import Speaker
from callboard.store.etcd.stats import EtcdStats

_TICK_S: Final = 0.1
_RENEWALS_COUNT: Final = 4
"""How often a lease is renewed in its time when all is well."""
_TRY_SHARE: Final = 2
"""One try may take one part in so many of the lease's time,"""
_HEDGE_SHARE: Final = 10
"""and asks once more, the next endpoint, whenever one part in so many has passed without an answer."""
_STALE_SHARE: Final = 2
"""The loop hangs when it has not turned for one part in so many of the lease's time."""
_RETRY_SHARE: Final = 20


class Lease:
    """One lease of etcd. `confirmed` is written by the thread, `over` by the loop alone."""

    def __init__(self, number: int, ttl_s: int, confirmed: Instant, now: Callable[[], Instant]) -> None:
        self.number = number
        self.ttl = ttl_s * SECOND
        self.confirmed = confirmed
        self.next_renewal = now() + self.ttl // _RENEWALS_COUNT
        self.over = asyncio.Event()
        self._now = now

    def confirmed_until(self) -> Instant:
        """The moment up to which it surely lasts; 0 once it is over."""
        confirmed = self.confirmed
        return Instant(0) if self.over.is_set() or self._now() >= confirmed else confirmed


class Renewer:
    """Keeps leases. All methods are called on the loop."""

    def __init__(self, client: Client, settings: EtcdSettings, tasks: Tasks, now: Callable[[], Instant], stats: EtcdStats) -> None:
        self._client = client
        self._settings = settings
        self._tasks = tasks
        self._now = now
        self._leases: dict[Lease, threading.Thread] = {}  # noqa: TID251  # only a type
        self._stamp = Instant(0)
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._speaker = Speaker(settings, now)
        self._running = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._wake = threading.Condition()
        self._stats = stats

    async def grant(self, ttl_s: int) -> Lease:
        """A new lease, kept from now on. Raises `EtcdError`."""
        if self._client.closed.is_set():
            raise EtcdError(Cause.UNSENT, "the store is not open")
        before = self._now()
        answer = await self._client.write("LeaseGrant", MESSAGES["LeaseGrantRequest"](TTL=ttl_s), self._settings.commit_timeout_ms)
        lease = Lease(answer.ID, answer.TTL, self._counted(before, answer.TTL), self._now)
        self._keep(lease)
        return lease

    def _counted(self, before: Instant, ttl_s: int) -> Instant:
        return Instant(before + ttl_s * SECOND - self._settings.lease_margin_ms * MILLISECOND)

    def _keep(self, lease: Lease) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._tick()
        self._running += 1
        self._quiet.clear()
        self._leases[lease] = threads.start(partial(self._run, lease), name="etcd-lease")

    def end(self, lease: Lease) -> None:
        """Keep it no longer; whoever waits for its end is told."""
        self._leases.pop(lease, None)
        with self._wake:
            lease.over.set()
            self._wake.notify_all()

    async def revoke(self, lease: Lease) -> None:
        """End it, at etcd too if that answers; else it runs out there."""
        self.end(lease)
        with contextlib.suppress(EtcdError):
            await self._client.write("LeaseRevoke", MESSAGES["LeaseRevokeRequest"](ID=lease.number), self._settings.connect_timeout_ms)

    async def close(self) -> None:
        """Revoke what is kept, as far as etcd answers soon, and end the threads."""
        leases = list(self._leases)
        for lease in leases:
            self.end(lease)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.connect_timeout_ms / 1000):
                await asyncio.gather(*(self.revoke(lease) for lease in leases))
        if self._timer is not None:
            self._timer.cancel()
        self._speaker.close()  # ends the calls that threads may be in
        await self._quiet.wait()

    def _tick(self) -> None:
        """The loop turns: say so, and end what has run out. It may last longer at etcd, when only answers were lost: it is revoked."""
        assert self._loop is not None
        now = self._stamp = self._now()
        for lease in list(self._leases):
            if now >= lease.confirmed:
                self.end(lease)
                self._tasks.spawn(self.revoke(lease), name="etcd-revoke")
        self._timer = self._loop.call_later(_TICK_S, self._tick)

    def _left(self) -> None:
        """A thread has ended."""
        self._running -= 1
        if not self._running:
            self._quiet.set()

    # --- in the thread of one lease -----------------------------------------------------------------------------------------------------

    def _run(self, lease: Lease) -> None:
        try:
            while self._wait(lease):
                self._renew(lease)
        finally:
            self._tell(self._left)

    def _tell(self, act: Callable[[], None]) -> None:
        """Have the loop do something."""
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(act)

    def _wait(self, lease: Lease) -> bool:
        """Wait until it is to be renewed; False when it is over."""
        with self._wake:
            while not lease.over.is_set():
                now = self._now()
                if now < lease.next_renewal:
                    self._wake.wait((lease.next_renewal - now) / SECOND)
                elif now - self._stamp <= lease.ttl // _STALE_SHARE:
                    return True
                else:
                    self._stats.renewals_held += 1
                    lease.next_renewal = now + lease.ttl // _RETRY_SHARE
            return False

    def _renew(self, lease: Lease) -> None:
        """Renew it, once."""
        before = self._now()
        try:
            ttl_s = self._speaker.keep_alive(lease.number, lease.ttl / _HEDGE_SHARE / SECOND, lease.ttl / _TRY_SHARE / SECOND)
        except (EtcdError, UnavailableError):
            self._stats.renewal_failures += 1
            lease.next_renewal = Instant(self._now() + lease.ttl // _RETRY_SHARE)
            return
        if ttl_s <= 0:
            lease.next_renewal = Instant(before + lease.ttl)
            self._tell(partial(self.end, lease))
            return
        self._stats.renewals += 1
        lease.confirmed = self._counted(before, ttl_s)
        lease.next_renewal = Instant(before + lease.ttl // _RENEWALS_COUNT)


class Held:
    """A key that one lease keeps in etcd, with the value that makes it this process' own."""

    def __init__(self, value: bytes, lease: Lease, renewer: Renewer) -> None:
        self.value = value
        self._lease = lease
        self._renewer = renewer

    @property
    def is_over(self) -> bool:
        """Whether it has ended, for whatever reason."""
        return self._lease.confirmed_until() == 0

    def confirmed_until(self) -> Instant | None:
        """The moment up to which the key is surely there; 0 when it is over."""
        return self._lease.confirmed_until()

    async def lost(self) -> None:
        """Return when it is over."""
        await self._lease.over.wait()

    async def give_up(self) -> None:
        """End it, and remove the key."""
        await self._renewer.revoke(self._lease)

    def end(self) -> None:
        """It is over at etcd already."""
        self._renewer.end(self._lease)
