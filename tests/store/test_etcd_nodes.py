"""The etcd store over three nodes that crash and stand still, and over TLS with users. Verdicts need an etcd that is sound itself."""

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping

import msgspec
import pytest

from callboard.model.errors import DeposedError, IndeterminateError, UnavailableError
from callboard.model.rows import ORIGIN, Group, Key, Row
from callboard.net.tasks import spawn
from callboard.store.contract import Membership, Store
from callboard.store.etcd.store import EtcdStore
from callboard.testing.etcd import Etcd, Node
from callboard.testing.store_suite_kit import Scribe, card, fold, followed, loaded, next_of, seen
from tests.store.etcd_harness import PATIENT, PROMPT, fresh_prefix, head_of, make_store, restart, settings_of
from tests.support import PATIENCE_S, Standstill, run

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]
LEADER_TTL_S, MEMBER_TTL_S = 4, 10
RESUMED_MAX_S = 30.0
"""A second election of etcd's and a slow disk included; what is not tried again never comes."""
_log = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    with Etcd.running(tmp_path_factory.mktemp("etcd"), nodes=3, sound=True) as etcd:
        yield etcd


@pytest.fixture
def three(running: Etcd) -> Iterator[Etcd]:
    """All nodes are well before and after."""
    yield running
    for node in running.nodes:
        with contextlib.suppress(Exception):
            node.resume()
        if not node.alive():
            node.start()
    running.wait()


@contextlib.asynccontextmanager
async def stores(etcd: Etcd, count: int = 2, **changes: object) -> AsyncIterator[list[EtcdStore]]:
    """Members on a prefix of their own; `first` names the node that the first member asks first."""
    settings = settings_of(etcd, fresh_prefix(), **{**PROMPT, "leader_ttl_s": LEADER_TTL_S, "member_ttl_s": MEMBER_TTL_S, **changes})
    opened = [make_store(settings) for _ in range(count)]
    try:
        for store in opened:
            await store.open()
        yield opened
    finally:
        for store in opened:
            await store.close()


async def write_through(scribe: Scribe, until: asyncio.Event) -> float:
    """Write group after group until told to stop. Answers the longest that one took, with the campaign where the lead was lost."""
    longest, number = 0.0, 0
    while not until.is_set():
        number += 1
        group = scribe.group({f"k/{number % 50}": b"%d" % number, f"n/{number}": b"x"})
        begun = time.monotonic()
        await write_leading(scribe, group)
        longest = max(longest, time.monotonic() - begun)
    return longest


async def write_leading(scribe: Scribe, group: Group) -> None:
    """Land a group as a leader does: after an unknown end the same again; with a new campaign where the lead was lost."""
    doubtful = False
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await scribe.commit(group)
                return
            except IndeterminateError:
                doubtful = True
            except DeposedError:
                await stand_again(scribe, group, doubtful=doubtful)
                if scribe.head == group.position:
                    return
            except UnavailableError:
                pass
            await asyncio.sleep(0.05)


async def stand_again(scribe: Scribe, group: Group, *, doubtful: bool) -> None:
    """Campaign anew when the lease ran out, as on a slow machine while the nodes elect. Nobody else wrote, so the head must stand.

    Unless the end of `group` was not known: it may have landed before the lease ran out.
    """
    _log.info("the lead was lost, and is sought again")
    scribe.leadership = await scribe.store.campaign("first")
    head = await head_of(scribe.store)
    if doubtful and head.mark == group.mark:
        scribe.head = group.position
        scribe.groups.append(group)
    assert (head.revision, head.mark) == (scribe.head.revision, scribe.head.mark), "an acknowledged group is lost, or a refused one landed"


async def elected(store: Store, name: str = "first") -> Scribe:
    """A leader at the head."""
    async with asyncio.timeout(PATIENCE_S):
        return Scribe(store, await store.campaign(name), await head_of(store), name)


async def check(store: Store, scribe: Scribe) -> None:
    """Every acknowledged group, once, in order, for a follower and for a load."""
    assert await followed(store, ORIGIN, scribe.head, 2 * PATIENCE_S) == scribe.groups  # it may be a hundred thousand changes
    assert await loaded(store) == (scribe.head, fold(scribe.groups))


async def through_a_fault(etcd: Etcd, node: Node, fault: str) -> tuple[float, float]:
    """Groups are written and followed while `node` crashes or stands still. Answers the longest write and the longest silence."""
    with Standstill() as machine:
        async with stores(etcd) as (store, other):
            scribe = await elected(store)
            membership = await store.join(card("first"))
            stop = asyncio.Event()
            writing = spawn(write_through(scribe, stop), name="writer")
            heard: list[float] = []
            following = spawn(listen(other, heard), name="follower")
            await asyncio.sleep(1.0)
            await asyncio.to_thread(node.kill if fault == "kill" else node.pause)
            await asyncio.sleep(12.0 if fault == "pause" else 6.0)
            await asyncio.to_thread(node.start if fault == "kill" else node.resume)
            await asyncio.sleep(1.0)
            stop.set()
            longest = await writing
            async with asyncio.timeout(PATIENCE_S):
                while len(heard) < len(scribe.groups):  # noqa: ASYNC110  # a list rings no bell
                    await asyncio.sleep(0.05)
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
            await still_present(membership, store, longest + machine.longest_s)
            await check(other, scribe)
            return longest, max(late - early for early, late in itertools.pairwise(heard))


async def still_present(membership: Membership, store: EtcdStore, longest_s: float) -> None:
    """It lasted over the fault, unless etcd itself took nothing, and the machine stood still, for so long that it may have run out.

    Up to a quarter of its time has passed since it was renewed, and two tenths pass until an endpoint that answers is asked again.
    Then it can be made anew.
    """
    if longest_s > 0.4 * MEMBER_TTL_S:
        _log.info("nothing could be written for %.2f s", longest_s)
        async with asyncio.timeout(PATIENCE_S):
            membership = await joined(store)
    assert membership.confirmed_until() != 0


async def joined(store: EtcdStore) -> Membership:
    """Present, as soon as etcd takes it."""
    while True:
        with contextlib.suppress(UnavailableError):
            return await store.join(card("first"))


async def listen(store: EtcdStore, heard: list[float]) -> None:
    """When each group was heard."""
    async for _ in store.follow(ORIGIN):
        heard.append(time.monotonic())  # noqa: PERF401  # it never ends


@pytest.mark.parametrize("fault", ["kill", "pause"])
@pytest.mark.parametrize("which", ["leader", "follower", "endpoint"])
def test_no_acknowledged_group_is_lost_when_a_node_fails(three: Etcd, fault: str, which: str) -> None:
    """`endpoint`: the one that all members use, whether it leads or not. Writes resume within the lease and a few seconds."""
    leader = three.leader()
    followers = [node for node in three.nodes if node is not leader]
    node = {"leader": leader, "follower": followers[-1], "endpoint": three.nodes[0]}[which]
    longest_s, silent_s = run(through_a_fault(three, node, fault))
    _log.info("%s %s: longest write %.2f s, longest silence %.2f s", which, fault, longest_s, silent_s)
    assert longest_s < RESUMED_MAX_S
    assert silent_s < RESUMED_MAX_S


def test_a_follower_on_a_node_without_the_others_is_told_and_goes_on(three: Etcd) -> None:
    """Two of three are down: nothing can be written; when they are back, nothing was missed."""

    async def work() -> None:
        async with stores(three) as (store, other):
            scribe = await elected(store)
            await write_leading(scribe, scribe.group({"k": b"1"}))
            feed = spawn(next_of(other.follow(scribe.head), 3 * PATIENCE_S), name="follower")
            await asyncio.sleep(0.5)
            restarts = other.stats.feed_restarts
            for node in three.nodes[1:]:
                await asyncio.to_thread(node.kill)
            async with asyncio.timeout(PATIENCE_S):
                while other.stats.feed_restarts == restarts:  # noqa: ASYNC110  # a counter rings no bell
                    await asyncio.sleep(0.05)
            with pytest.raises((UnavailableError, IndeterminateError, DeposedError)):
                await store.commit(scribe.group({"lost": b"1"}), scribe.leadership)
            async with asyncio.timeout(PATIENCE_S):
                await scribe.leadership.lost()
            for node in three.nodes[1:]:
                await asyncio.to_thread(node.start)
            await asyncio.to_thread(three.wait)
            second = await elected(other, "second")
            lost = second.head != scribe.head
            group = second.group({"next": b"1"})
            await write_leading(second, group)
            assert await feed == group or lost

    run(work())


def test_a_large_group_lands_whole_or_not_at_all_while_the_etcd_leader_crashes(three: Etcd) -> None:
    async def work() -> None:
        async with stores(three) as (store, other):
            scribe = await elected(store)
            for turn in range(3):
                group = scribe.group({f"k/{number}": b"%d" % turn * 200 for number in range(20_000)})
                landing = spawn(write_leading(scribe, group), name="large")
                await asyncio.sleep(0.15 * (turn + 1))
                node = await asyncio.to_thread(three.leader)
                await asyncio.to_thread(node.kill)
                values = {row.value for row in (await _load(other)).values()}
                assert len(values) <= 1, "a load shows half a group"
                await landing
                await asyncio.to_thread(node.start)
                await asyncio.to_thread(three.wait)
            await check(other, scribe)

    run(work())


async def _load(store: EtcdStore) -> Mapping[Key, Row]:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(UnavailableError):
                return (await loaded(store))[1]


# --- TLS and users -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    flags = ["--auth-token-ttl", "2"]
    with Etcd.running(tmp_path_factory.mktemp("etcd"), secure=True, sound=True, flags=flags) as etcd:
        yield etcd


def test_a_token_that_has_run_out_is_fetched_anew(secure: Etcd) -> None:
    async def work() -> None:
        async with stores(secure, **PATIENT) as (store, other):
            scribe = await Scribe.elect(store)
            members = other.members()
            membership = await store.join(card("first"))
            await seen(members, ["first"], PATIENCE_S)
            feed = other.follow(scribe.head)
            for _ in range(3):
                await asyncio.sleep(4)
                group = scribe.group({"k": b"1"})
                await scribe.commit(group)
                assert await next_of(feed, PATIENCE_S) == group
                assert await store.head() == scribe.head
            assert membership.confirmed_until() != 0
            assert scribe.leadership.confirmed_until() != 0
            await asyncio.to_thread(restart, secure)
            await write_leading(scribe, scribe.group({"k": b"2"}))
            assert await next_of(feed, PATIENCE_S) == scribe.groups[-1]

    run(work())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"password_path": "/dev/null"}, "check user and password_path"),
        ({"prefix": "elsewhere"}, "the rights on the prefix"),
        ({"password_path": "/nowhere"}, "/nowhere cannot be read"),
        ({"tls_ca_path": "/nowhere"}, "/nowhere cannot be read"),
        ({"tls_ca_path": ""}, "did not answer"),
    ],
)
def test_what_etcd_refuses_is_said_with_the_setting(secure: Etcd, change: dict[str, str], says: str) -> None:
    async def work() -> None:
        store = make_store(msgspec.structs.replace(settings_of(secure, fresh_prefix(), open_timeout_ms=3_000), **change))
        try:
            with pytest.raises(UnavailableError, match=says):
                await store.open()
        finally:
            await store.close()

    run(work())
