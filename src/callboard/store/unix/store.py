"""The contract over a socket: every question goes to the process that holds the engine. It lives from `open` to `close`.

When the channel ends the store is over, for good: what it held is free, nothing it says can be new. Who has it starts anew.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

from callboard.model.errors import CallboardError, IndeterminateError, UnavailableError
from callboard.model.members import Card
from callboard.model.rows import Group, Position, Row
from callboard.model.time import Instant
from callboard.net.channel import Channel, ChannelError, FailedError
from callboard.store.contract import Caps, Health, Leadership, Membership, Snapshot, judge_group
from callboard.store.unix import messages as msg
from callboard.store.unix.serving import BESIDE
from callboard.store.unix.settings import UnixSettings
from callboard.store.unix.stats import UnixStats

_CLOSED = "the store is not open"
Beside = Callable[[bytes], Awaitable[bytes]]


class Held:
    """A lead or a membership, as far as this process knows: until it lets go, is told of the end, or has no channel any more."""

    def __init__(self, store: "UnixStore", number: int, kind: str) -> None:
        self._store = store
        self._kind = kind
        self._over = asyncio.Event()
        self.number = number

    def confirmed_until(self) -> Instant | None:
        return Instant(0) if self._over.is_set() else None

    async def lost(self) -> None:
        await self._over.wait()

    async def resign(self) -> None:
        """Give it up."""
        if not self._over.is_set():
            self.end()
            with contextlib.suppress(CallboardError):
                await self._store.ask(self._kind, msg.encode(msg.Named(self.number)))

    async def leave(self) -> None:
        """The same."""
        await self.resign()

    def end(self) -> None:
        """Over."""
        self._over.set()


class UnixStore:
    """One worker's handle. It owns `sock`, one end of a pair whose other end the process with the engine has."""

    def __init__(self, sock: socket.socket, settings: UnixSettings, answer: Beside | None = None) -> None:
        """`answer` is asked what the other process says beside the store."""
        self.stats = UnixStats()
        self._sock = sock
        self._settings = settings
        self._answer = answer
        self._channel: Channel | None = None
        self._caps = Caps(0, 0, 0, durable=False, shared=True)
        self._health = Health(reachable=False, detail=_CLOSED)
        self._held: dict[int, Held] = {}
        self._count = 0
        self._closed = True
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the process with the engine has gone, or has closed the channel."""

    @property
    def caps(self) -> Caps:
        return self._caps

    async def connect(self) -> None:
        """Only the channel: what is said beside the store needs no more."""
        if self._channel is None:
            self._channel = await Channel.open(self._sock, self._settings.limits, self)

    def limit(self, settings: UnixSettings) -> None:
        """From now on these limits hold."""
        self._settings = settings
        if self._channel is not None:
            self._channel.limit(settings.limits)

    async def open(self) -> None:
        await self.connect()
        self._closed = False
        try:
            caps, self._health = msg.decode(await self.ask("open"), tuple[Caps, Health])
        except BaseException:
            await self.close()
            raise
        self._caps = caps

    async def close(self) -> None:
        self._closed = True
        self._health = Health(reachable=False, detail=_CLOSED)
        if self._channel is not None:
            await self._channel.close()

    async def abort(self) -> None:
        """As when this process dies."""
        if self._channel is not None:
            self._channel.abort()

    def _require_open(self) -> Channel:
        if self._closed or self._channel is None:
            raise UnavailableError(_CLOSED)
        return self._channel

    # -- asking

    async def ask(self, kind: str, body: bytes = b"") -> bytes:
        """Of the process with the engine. Raises what that raised, `UnavailableError` when there is no answer."""
        channel = self._require_open()
        try:
            return await channel.ask(kind, body)
        except FailedError as error:
            raise msg.decode_error(error.told) from error
        except ChannelError as error:
            raise UnavailableError(f"the process that holds the engine does not answer: {error}") from error

    async def beside(self, body: bytes) -> bytes:
        """Say something that is not about rows. Raises `ChannelError`."""
        if self._channel is None:
            raise ChannelError(_CLOSED, sent=False)
        return await self._channel.ask(BESIDE, body)

    async def _stream(self, kind: str, body: bytes = b"") -> AsyncGenerator[bytes, None]:
        """The parts of an answer; they end without a word when this store is closed."""
        parts = self._require_open().stream(kind, body)
        try:
            async for part in parts:
                if self._closed:
                    return
                yield part
        except FailedError as error:
            raise msg.decode_error(error.told) from error
        except ChannelError as error:
            if not self._closed:
                raise UnavailableError(f"the process that holds the engine has gone: {error}") from error
        finally:
            await parts.aclose()

    # -- reading

    async def load(self) -> Snapshot:
        self._require_open()
        parts = self._stream("load")
        try:
            first = await anext(parts)
        except StopAsyncIteration:
            raise UnavailableError(_CLOSED) from None
        self.stats.loads += 1
        return Snapshot(msg.decode_position(first), _batches(parts))

    async def follow(self, after: Position) -> AsyncIterator[Group]:
        stats = self.stats
        async with contextlib.aclosing(self._stream("follow", msg.encode_position(after))) as parts:
            async for part in parts:
                group = msg.decode_group(part)
                stats.groups += 1
                stats.rows += len(group.rows)
                yield group

    async def head(self) -> Position:
        self.stats.heads += 1
        return msg.decode_position(await self.ask("head"))

    async def members(self) -> AsyncIterator[tuple[Card, ...]]:
        self._require_open()
        async with contextlib.aclosing(self._stream("members")) as parts:
            with contextlib.suppress(UnavailableError):  # the channel has ended: nobody tells more
                async for part in parts:
                    yield msg.decode_cards(part)

    def health(self) -> Health:
        return self._health

    # -- leading, joining

    async def campaign(self, member: str) -> Leadership:
        held = self._holding("resign")
        return await self._hold(held, "campaign", msg.encode(msg.Named(held.number, member)))

    async def join(self, card: Card) -> Membership:
        held = self._holding("leave")
        return await self._hold(held, "join", msg.encode(msg.Joining(held.number, card)))

    def _holding(self, kind: str) -> Held:
        self._require_open()
        self._count += 1
        held = self._held[self._count] = Held(self, self._count, kind)
        return held

    async def _hold(self, held: Held, kind: str, body: bytes) -> Held:
        try:
            await self.ask(kind, body)
        except asyncio.CancelledError:
            await asyncio.shield(held.resign())  # it may have been granted just now
            raise
        except BaseException:
            held.end()
            self._held.pop(held.number, None)
            raise
        for earlier in [other for other in self._held.values() if other is not held and other.confirmed_until() is not None]:
            del self._held[earlier.number]
        return held

    async def commit(self, group: Group, by: Leadership) -> Position:
        channel = self._require_open()
        judge_group(group, self._caps)
        number = by.number if isinstance(by, Held) else 0
        try:
            return msg.decode_position(await channel.ask("commit", msg.encode_commit(number, group)))
        except FailedError as error:
            raise msg.decode_error(error.told) from error
        except ChannelError as error:
            if not error.sent:
                raise UnavailableError(str(error)) from error
            raise IndeterminateError(f"the process that holds the engine has gone: {error}") from error

    # -- as a channel's service

    async def asked(self, kind: str, body: bytes) -> bytes:
        """Only what is beside the store is asked of a worker."""
        if self._answer is None or kind != BESIDE:
            raise FailedError(kind.encode())
        return await self._answer(body)

    def streamed(self, kind: str, body: bytes) -> AsyncIterator[bytes]:
        """Nor streamed."""
        raise FailedError(kind.encode())

    def told(self, kind: str, body: bytes) -> None:
        if kind in {"deposed", "expelled"}:
            held = self._held.pop(msg.decode(body, msg.Named).number, None)
            if held is not None:
                held.end()
        elif kind == "health":
            self._health = msg.decode_health(body)

    def ended(self) -> None:
        """The channel is closed: whatever was held is over."""
        held, self._held = self._held, {}
        for each in held.values():
            each.end()
        if not self._closed:
            self._health = Health(reachable=False, detail="the process that holds the engine has gone")
        if not self.over.done():
            self.over.set_result(None)


async def _batches(parts: AsyncGenerator[bytes, None]) -> AsyncIterator[Sequence[Row]]:
    async with contextlib.aclosing(parts):
        async for part in parts:
            yield msg.decode_rows(part)
