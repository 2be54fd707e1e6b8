"""Brings a worker's commands and heartbeats to the process that holds the engine, over the channel there is. It lives as long as that."""

import asyncio

from callboard.model.members import Card
from callboard.net.channel import ChannelError, FailedError
from callboard.registry.peers import UnreachableError
from callboard.server.workers.words import Carry, encode
from callboard.store.unix.store import UnixStore


class ChannelCourier:
    """A `Courier` that knows one address."""

    def __init__(self, store: UnixStore) -> None:
        self._store = store

    async def exchange(self, to: Card, message: bytes, timeout_s: float) -> bytes:
        """One message, one answer. Raises `UnreachableError`."""
        if to.worker_of:
            raise UnreachableError(f"member {to.name} is a worker, and takes no messages", sent=False)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._store.beside(encode(Carry(message)))
        except TimeoutError:
            raise UnreachableError(f"the process that holds the engine has not answered within {timeout_s:g} s") from None
        except ChannelError as error:
            raise UnreachableError(str(error), sent=error.sent) from error
        except FailedError as error:
            raise UnreachableError(error.told.decode(errors="replace")) from error

    async def close(self) -> None:
        """The channel is the store's."""
