"""What the etcd store does when etcd, the way to it, or its own process fails. One node here; three nodes in test_etcd_nodes."""

import asyncio
import contextlib
import itertools
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from callboard.model.errors import (
    CompactedError,
    DeposedError,
    DivergedError,
    FullError,
    IndeterminateError,
    UnavailableError,
)
from callboard.model.rows import ORIGIN, Group, Position
from callboard.net.tasks import spawn
from callboard.store.etcd.client import Client
from callboard.store.etcd.failures import Cause, EtcdError
from callboard.store.etcd.settings import EtcdSettings
from callboard.testing.etcd import Etcd
from callboard.testing.proxy import Mode
from callboard.testing.store_suite_kit import Rows, Scribe, card, followed, loaded, next_of, seen
from tests.store.etcd_harness import fresh_prefix, harness_of, link, make_store, restart, settings_of
from tests.support import PATIENCE_S, Stopwatch, poll_until, run

_PROMPT_MAX_S = 30.0
"""Of what takes a second or two, and would wait for minutes if it waited for an answer."""
_log = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    with Etcd.running(tmp_path_factory.mktemp("etcd")) as running:
        yield running


# --- Fenced, Durable: an end that is not known -------------------------------------------------------------------------------------------


def test_a_group_without_an_answer_is_indeterminate_and_lands_once(etcd: Etcd) -> None:
    """etcd stands still with the group in its hands; it lands when etcd goes on, and is answered with its position."""

    async def work() -> None:
        async with harness_of(etcd, leader_ttl_s=30, commit_timeout_ms=500, read_timeout_ms=500) as harness:
            store = await harness.open()
            scribe = await Scribe.elect(store)
            await land(scribe, {"before": b"1"})
            group = scribe.group({"k": b"1"})
            etcd.nodes[0].pause()
            try:
                for _ in range(2):
                    with pytest.raises(IndeterminateError):
                        await store.commit(group, scribe.leadership)
            finally:
                etcd.nodes[0].resume()
            await land(scribe, group)
            await land(scribe, {"later": b"1"})
            assert await followed(store, ORIGIN, scribe.head, PATIENCE_S) == scribe.groups

    run(work())


def test_a_late_group_of_a_deposed_leader_never_lands(etcd: Etcd) -> None:
    """It waits in the network while another is elected and writes, and arrives then."""

    async def work() -> None:
        async with harness_of(etcd, leader_ttl_s=6, commit_timeout_ms=500) as harness:
            store, other = await harness.open(), await harness.open()
            first = await Scribe.elect(store)
            await land(first, {"before": b"1"})
            late = first.group({"late": b"1"})
            link(harness, store, "cut")
            with pytest.raises(IndeterminateError):
                await store.commit(late, first.leadership)
            second = await asyncio.wait_for(Scribe.elect(other, "second"), PATIENCE_S)
            link(harness, store, "open")
            await asyncio.sleep(0.5)
            assert await other.head() == second.head == first.head
            await land(second, {"good": b"1"})
            with pytest.raises(DeposedError):
                await store.commit(late, first.leadership)
            assert await followed(other, ORIGIN, second.head, PATIENCE_S) == [*first.groups, *second.groups]

    run(work())


def test_without_a_connection_a_group_is_surely_not_applied(etcd: Etcd) -> None:
    async def work() -> None:
        async with harness_of(etcd, leader_ttl_s=60) as harness:
            store = await harness.open()
            scribe = await Scribe.elect(store)
            group = scribe.group({"k": b"1"})
            link(harness, store, "refuse")
            with pytest.raises(UnavailableError):
                await over_unknown_ends(scribe, group)
            link(harness, store, "open")
            await land(scribe, group)
            assert await followed(store, ORIGIN, scribe.head, PATIENCE_S) == [group]

    run(work())


async def over_unknown_ends(scribe: Scribe, group: Group) -> None:
    """Send it until it is said what became of it: a moment after the end of its connections etcd's client may not know of that."""
    while True:
        with contextlib.suppress(IndeterminateError):
            await scribe.commit(group)
            return


# --- OneHistory --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edit", ["row", "head removed", "group", "all removed"])
def test_who_edits_by_hand_is_noticed_by_those_who_wait_and_those_who_return(etcd: Etcd, edit: str) -> None:
    async def work() -> None:
        async with harness_of(etcd) as harness:
            store = await harness.open()
            scribe = await Scribe.elect(store)
            await scribe.write_many(3)
            position = (await store.load()).position
            waiting = spawn(next_of(store.follow(scribe.head), PATIENCE_S), name="follower")
            await asyncio.sleep(0.2)
            data = f"{harness.prefix}/data/"
            if edit == "row":
                await asyncio.to_thread(etcd.put, f"{data}rows/k/1", "7 x")
            elif edit == "group":
                await asyncio.to_thread(etcd.put, f"{data}group", "{}")
            elif edit == "head removed":
                await asyncio.to_thread(etcd.remove, f"{data}head")
            else:
                await asyncio.to_thread(etcd.remove, data, f"{harness.prefix}/data0")
            with pytest.raises(DivergedError):
                await waiting
            with pytest.raises(DivergedError):
                await next_of(store.follow(position), PATIENCE_S)

    run(work())


def test_a_quiet_registry_can_be_followed_after_others_have_made_etcd_compact(etcd: Etcd) -> None:
    async def work() -> None:
        async with harness_of(etcd, leader_ttl_s=60) as harness:
            store = await harness.open()
            scribe = await Scribe.elect(store)
            await scribe.write_many(3)
            old = await store.head()
            position = (await store.load()).position
            feed = store.follow(position)
            first = spawn(next_of(feed, PATIENCE_S), name="follower")
            for number in range(20):
                await asyncio.to_thread(etcd.put, "others/key", str(number))
            await asyncio.to_thread(etcd.compact)
            await asyncio.to_thread(restart, etcd)
            returned = spawn(next_of(store.follow(old), PATIENCE_S), name="returned")
            with pytest.raises(CompactedError):
                await next_of(store.follow(scribe.positions[1]), PATIENCE_S)
            await asyncio.sleep(0.5)
            group = await land(scribe, {"next": b"1"})
            assert await first == await returned == group

    run(work())


async def land(scribe: Scribe, rows: Rows | Group) -> Group:
    """One more group, as a leader does it: the same again while its end is not known, or etcd is not there."""
    group = rows if isinstance(rows, Group) else scribe.group(rows)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(UnavailableError, IndeterminateError):
                await scribe.commit(group)
                return group
            await asyncio.sleep(0.1)


def test_a_silent_etcd_is_noticed_soon(etcd: Etcd) -> None:
    """Within eight seconds on a machine that has time; gRPC by itself would wait for a minute. When it speaks again, nothing was missed."""

    async def work() -> float:
        async with harness_of(etcd, leader_ttl_s=60, check_interval_ms=120_000, keepalive_timeout_ms=2_000) as harness:
            store, other = await harness.open(), await harness.open()
            scribe = await Scribe.elect(store)
            await scribe.write_many(1)
            feed = other.follow(scribe.head)
            waiting = spawn(next_of(feed, PATIENCE_S), name="follower")
            await asyncio.sleep(0.5)
            restarts = other.stats.feed_restarts
            link(harness, other, "cut")
            with Stopwatch() as watch:
                while other.stats.feed_restarts == restarts:  # noqa: ASYNC110  # a counter rings no bell
                    await asyncio.sleep(0.05)
            group = await scribe.write({"next": b"1"})
            link(harness, other, "open")
            assert await waiting == group
            return watch.seconds

    silent_s = run(work())
    _log.info("noticed after %.2f s", silent_s)
    assert silent_s < _PROMPT_MAX_S


def test_a_watch_that_stands_still_is_found_out(etcd: Etcd) -> None:
    """Its connection answers pings, but nothing comes: meta/head is asked, and the watch begun anew."""

    async def work() -> None:
        async with harness_of(etcd) as harness:
            store, other = await harness.open(), await harness.open()
            scribe = await Scribe.elect(store)
            await scribe.write_many(1)
            feed = other.follow(scribe.head)
            waiting = spawn(next_of(feed, PATIENCE_S), name="follower")
            await asyncio.sleep(0.3)
            with _deaf_streams():
                group = await scribe.write({"next": b"1"})
                await asyncio.sleep(1.5)
            assert await waiting == group

    run(work())


def test_a_watch_that_begins_slowly_is_not_given_up_for_ever(etcd: Etcd) -> None:
    """What there is to tell takes etcd longer than the check waits, each time anew."""

    async def work() -> None:
        store = make_store(settings_of(etcd, fresh_prefix(), check_interval_ms=1))
        await store.open()
        try:
            scribe = await Scribe.elect(store)
            for turn in range(2):
                await scribe.write({f"k/{number}": b"%d" % turn * 200 for number in range(1_000)})
            assert await followed(store, ORIGIN, scribe.head, 3 * PATIENCE_S) == scribe.groups
        finally:
            await store.close()

    run(work())


@contextlib.contextmanager
def _deaf_streams() -> Iterator[None]:
    from callboard.store.etcd.client import Stream

    sound = Stream.next

    async def deaf(self: Stream, timeout_s: float) -> None:
        await asyncio.sleep(timeout_s)

    Stream.next = deaf  # type: ignore[method-assign]
    try:
        yield
    finally:
        Stream.next = sound  # type: ignore[method-assign]


# --- Limits, opening and closing ---------------------------------------------------------------------------------------------------------


def test_a_full_etcd_takes_nothing_and_says_what_to_do(etcd: Etcd, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Its own quota, past ours: the lead lasts, reads are answered, and it goes on when there is room again."""

    async def work(small: Etcd) -> None:
        async with harness_of(small, database_max_bytes=1 << 40, leader_ttl_s=60) as harness:
            store = await harness.open()
            scribe = await Scribe.elect(store)
            await asyncio.to_thread(_put_others, small)
            with pytest.raises(FullError, match="alarm disarm"):
                await _fill(scribe)
            with pytest.raises(FullError):
                await scribe.write({"fill/0/0": None})
            assert (await loaded(store))[0] == scribe.head
            assert await store.commit(scribe.group({}), scribe.leadership) == scribe.head
            await asyncio.to_thread(_make_room, small)
            await scribe.write({"fill/0/0": None})

    with Etcd.running(tmp_path_factory.mktemp("small"), flags=["--quota-backend-bytes", "6000000"]) as small:
        run(work(small))


def test_a_group_that_was_applied_by_an_etcd_that_says_it_is_full_is_acknowledged(etcd: Etcd, monkeypatch: pytest.MonkeyPatch) -> None:
    """etcd answers "space exceeded" also to the transaction with which it passed its quota, after applying it."""
    sound = Client.write

    async def write(client: Client, method: str, request: Any, timeout_ms: int) -> Any:
        answer = await sound(client, method, request, timeout_ms)
        if method == "Txn" and request.success:
            raise EtcdError(Cause.FULL, "etcdserver: mvcc: database space exceeded")
        return answer

    async def work() -> None:
        async with harness_of(etcd) as harness:
            store = await harness.open()
            scribe = await Scribe.elect(store)
            await scribe.write_many(1)
            with monkeypatch.context() as patch:
                patch.setattr(Client, "write", write)
                await scribe.write({"k": b"1"})
            await scribe.write({"k": b"2"})
            assert await followed(store, ORIGIN, scribe.head, PATIENCE_S) == scribe.groups

    run(work())


def _put_others(etcd: Etcd) -> None:
    for number in range(300):
        etcd.put(f"others/{number}", "x" * 10_000)


async def _fill(scribe: Scribe) -> None:
    for number in itertools.count():
        await scribe.write({f"fill/{number}/{place}": b"x" * 4000 for place in range(20)})


def _make_room(etcd: Etcd) -> None:
    etcd.remove("others/", "others0")
    etcd.make_room()


@pytest.mark.parametrize("operations", [40, 300])
def test_the_size_of_a_transaction_is_asked_of_etcd(operations: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    async def work(etcd: Etcd) -> int:
        store = make_store(settings_of(etcd, fresh_prefix()))
        await store.open()
        try:
            scribe = await Scribe.elect(store)
            await scribe.write({f"k/{number}": b"1" for number in range(store.caps.group_rows)})
            return store.caps.group_rows
        finally:
            await store.close()

    with Etcd.running(tmp_path_factory.mktemp("etcd"), flags=["--max-txn-ops", str(operations)]) as etcd:
        assert run(work(etcd)) == operations - 2


def test_an_etcd_that_is_not_there_is_told_in_time_and_by_address() -> None:
    async def work() -> None:
        store = make_store(EtcdSettings(endpoints=("127.0.0.1:1",), open_timeout_ms=1_500))
        with Stopwatch() as watch, pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1\b"):
            await store.open()
        assert watch.seconds < 9  # without the setting it would be ten
        await store.close()
        assert not store.health().reachable

    run(work())


@pytest.mark.parametrize("mode", ["open", "cut", "refuse"])
def test_a_store_closes_promptly_and_leaves_no_thread(etcd: Etcd, mode: Mode) -> None:
    async def work() -> None:
        async with harness_of(etcd) as harness:
            store = await harness.open()
            scribe = await Scribe.elect(store)
            await store.join(card("a"))
            feed = spawn(anext(store.follow(scribe.head), None), name="follower")
            members = store.members()
            await seen(members, ["a"], PATIENCE_S)
            link(harness, store, mode)
            async with asyncio.timeout(_PROMPT_MAX_S):
                await store.close()
            assert await asyncio.wait_for(feed, PATIENCE_S) is None
            await asyncio.to_thread(poll_until, lambda: not [each for each in threading.enumerate() if each.name == "etcd-lease"])
            assert {task.get_name() for task in asyncio.all_tasks()} & {"etcd-watch", "etcd-lead", "etcd-condition"} == set()

    run(work())


def test_two_registries_and_other_programs_share_an_etcd(etcd: Etcd) -> None:
    async def work() -> None:
        async with harness_of(etcd) as one, harness_of(etcd) as two:
            first, second = await Scribe.elect(await one.open()), await Scribe.elect(await two.open())
            await first.write({"k": b"1"})
            await asyncio.to_thread(etcd.put, f"{one.prefix}x/data/rows/k", "not ours")
            await second.write({"k": b"2"})
            for scribe in (first, second):
                assert await followed(scribe.store, ORIGIN, scribe.head, PATIENCE_S) == scribe.groups
                assert len((await loaded(scribe.store))[1]) == 1

    run(work())


def test_a_position_found_in_the_history_is_the_one_that_was_told(etcd: Etcd) -> None:
    """With what is remembered and without, so that the search and the memory are held to each other."""

    async def work() -> None:
        async with harness_of(etcd) as harness:
            store, other = await harness.open(), await harness.open()
            scribe = await Scribe.elect(store)
            for number in range(12):
                await scribe.write({f"k/{number}": b"1"})
                await asyncio.to_thread(etcd.put, "others/key", str(number))
            for place, position in enumerate(scribe.positions):
                bare = Position(position.revision, position.mark)
                for asked in (store, other):
                    assert await followed(asked, bare, scribe.head, PATIENCE_S) == scribe.groups[place:]

    run(work())
