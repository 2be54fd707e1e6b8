"""This member's place among the others: join, stay, and join again when the store let it go. It lives from `open` to `close`."""

import asyncio
import contextlib
import logging

from callboard.model.errors import LockedError, StoreError
from callboard.model.members import Card
from callboard.model.time import MILLISECOND
from callboard.registry.means import Means
from callboard.store.contract import Membership

_log = logging.getLogger(__name__)


class Presence:
    """One membership after the other, of one card."""

    def __init__(self, means: Means) -> None:
        self._store = means.store
        self._settings = means.settings
        self._clock = means.clock
        self._membership: Membership | None = None
        self._joined = asyncio.Event()

    async def stay(self, card: Card) -> None:
        """Join, and join again whenever the store let this member go, for ever.

        The name may still be that of this server's last process, until its lease ends. Raises `LockedError` when it does not end: then
        another server has this name.
        """
        taken_since = self._clock.now()
        while True:
            try:
                self._membership = await self._store.join(card)
            except LockedError as error:
                if self._clock.now() - taken_since > self._settings.name_wait_ms * MILLISECOND:
                    raise
                _log.info("joining later: %s", error)
            except StoreError as error:
                taken_since = self._clock.now()
                _log.warning("cannot join: %s", error)
            else:
                self._joined.set()
                await self._membership.lost()
                self._membership = None
                self._joined.clear()
                taken_since = self._clock.now()
                _log.warning("the store let go of this member (a pause, or no connection); joining again")
            await asyncio.sleep(self._settings.retry_wait_ms / 1_000)

    def confirmed(self) -> bool:
        """Whether this member is surely present now."""
        if self._membership is None:
            return False
        until = self._membership.confirmed_until()
        return until is None or until > self._clock.now()

    async def joined(self) -> None:
        """Return when the others can see this member."""
        await self._joined.wait()

    async def leave(self) -> None:
        """The others are told at once, if the store can be reached. Call it when `stay` has ended."""
        membership, self._membership = self._membership, None
        if membership is not None:
            with contextlib.suppress(StoreError):
                await membership.leave()
