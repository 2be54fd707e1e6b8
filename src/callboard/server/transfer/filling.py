"""Filling a store: alone on it, leading it, with one group that lands whole or not at all, and read back afterwards."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Final, NamedTuple

from callboard.model.errors import DeposedError, IndeterminateError, TooLargeError
from callboard.model.rows import Group, Key, Revision, Row
from callboard.server.transfer.errors import IncompatibleError, TransferError
from callboard.server.transfer.plan import expected
from callboard.server.transfer.state import Progress, State, digest, take
from callboard.store.contract import Leadership, Store, judge_group

NAME: Final = "transfer"
"""As which member we campaign."""
_SETTLING_MAX_COUNT: Final = 20
_SETTLING_WAIT_S: Final = 0.5
_PLANS_MAX_COUNT: Final = 3


class Patience(NamedTuple):
    """How long to wait for servers that are going: a dead one's membership and lead last until their leases end."""

    gone_s: float = 15.0
    lead_s: float = 15.0


class Filled(NamedTuple):
    """What came of it."""

    rows: int
    replaced: int
    revision: Revision
    digest: str


async def require_alone(store: Store, patience: Patience, progress: Progress, where: str) -> None:
    """Return when no server is present on the store. Raises `TransferError` that names those which stay."""
    names: list[str] = []
    try:
        async with asyncio.timeout(patience.gone_s):
            async with contextlib.aclosing(_members(store)) as members:
                async for cards in members:
                    names = cards
                    if not cards:
                        return
                    progress(f"waiting for {', '.join(names)} to be gone", 0, 0)
    except TimeoutError:
        pass
    raise TransferError(f"servers are running on {where}: {', '.join(names)}; stop all of them first")


async def _members(store: Store) -> AsyncGenerator[list[str], None]:
    async for cards in store.members():
        yield [card.name for card in cards]


@contextlib.asynccontextmanager
async def leading(store: Store, patience: Patience, where: str) -> AsyncIterator[Leadership]:
    """The lead of the store, given back at the end. Raises `TransferError` when another has it."""
    try:
        async with asyncio.timeout(patience.lead_s):
            leadership = await store.campaign(NAME)
    except TimeoutError:
        raise TransferError(f"another server leads {where}; stop all servers on it first") from None
    try:
        yield leadership
    finally:
        await leadership.resign()


async def fill(
    store: Store, plan: Callable[[State], Group], *, replace: bool, patience: Patience, progress: Progress, where: str
) -> Filled:
    """Make the store hold what `plan` makes of its present state.

    Everything slow comes before the campaign: a lead is renewed only while this process is not busy. Raises `TransferError`, `StoreError`;
    nothing is changed then, unless the error says that this is not known.
    """
    await require_alone(store, patience, progress, where)
    for _ in range(_PLANS_MAX_COUNT):
        before = await take(store, progress, "looking at the target")
        if before.rows and not replace:
            raise TransferError(f"{where} is not empty: it holds {before.contents()}; with --replace all of this is removed")
        group = plan(before)
        _judge(group, store)
        progress("writing", 0, len(group.rows))
        async with leading(store, patience, where) as leadership:
            if await store.head() != before.position:
                continue
            await _commit(store, group, leadership)
            progress("writing", len(group.rows), len(group.rows))
        return await _verify(store, group, len(before.rows), progress)
    raise TransferError(f"{where} changes all the time; stop all servers on it first")


def _judge(group: Group, store: Store) -> None:
    try:
        judge_group(group, store.caps)
    except TooLargeError as error:
        raise IncompatibleError(
            f"the target does not take all rows at once: {error}; raise its limits of rows and bytes in one group ([tune.*])"
        ) from error


async def _commit(store: Store, group: Group, leadership: Leadership) -> None:
    """Commit, and again while it is not known whether it landed: it lands at most once."""
    for _ in range(_SETTLING_MAX_COUNT):
        try:
            await store.commit(group, leadership)
        except IndeterminateError:
            await asyncio.sleep(_SETTLING_WAIT_S)
        except DeposedError as error:
            if (await store.head()) == group.position:
                return
            raise TransferError(f"the lead was lost before anything was written ({error}); nothing was changed, try again") from error
        else:
            return
    raise TransferError("whether the rows were written is not known: the store does not answer; look at it before you start a server on it")


async def _verify(store: Store, group: Group, replaced: int, progress: Progress) -> Filled:
    wanted = expected(group)
    after = await take(store, progress, "verifying")
    found = digest(after.rows)
    if after.position != group.position or found != digest(wanted):
        raise TransferError(f"the target holds something else than was written: {_difference(wanted, after)}; do not start a server on it")
    return Filled(len(wanted), replaced, group.last, found)


def _difference(wanted: dict[Key, Row], after: State) -> str:
    odd = next((key for key in {*wanted, *after.rows} if wanted.get(key) != after.rows.get(key)), None)
    return f"row {odd} differs" if odd is not None else f"it is at revision {after.position.revision}"
