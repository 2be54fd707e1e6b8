"""Leads and memberships over a real etcd: they last while they are renewed, and end before anybody else has them."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from callboard.model.errors import DeposedError, NameTakenError
from callboard.model.time import Instant
from callboard.net.tasks import spawn
from callboard.testing.etcd import Etcd
from callboard.testing.store_suite_kit import Scribe, card, seen
from tests.store.etcd_harness import harness_of, link, now, restart
from tests.support import PATIENCE_S, poll_until, run


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    with Etcd.running(tmp_path_factory.mktemp("etcd")) as running:
        yield running


def test_a_leader_cut_off_from_etcd_stops_before_another_is_elected(etcd: Etcd) -> None:
    async def work() -> None:
        async with harness_of(etcd, leader_ttl_s=5) as harness:
            store, other = await harness.open(), await harness.open()
            first = await Scribe.elect(store)
            await first.write_many(2)
            campaign = spawn(other.campaign("second"), name="second")
            link(harness, store, "cut")
            async with asyncio.timeout(PATIENCE_S):
                await first.leadership.lost()
                stopped = now()
                assert first.leadership.confirmed_until() == Instant(0)
                await campaign
            assert stopped < now()
            with pytest.raises(DeposedError):
                await store.commit(first.group({"late": b"1"}), first.leadership)

    run(work())


def test_a_lease_lasts_while_the_loop_turns_and_etcd_answers(etcd: Etcd) -> None:
    async def work() -> None:
        async with harness_of(etcd, leader_ttl_s=6, member_ttl_s=6) as harness:
            store = await harness.open()
            leadership, membership = await store.campaign("first"), await store.join(card("first"))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(8):
                    await asyncio.wait(
                        {spawn(leadership.lost(), name="l"), spawn(membership.lost(), name="m")}, return_when=asyncio.FIRST_COMPLETED
                    )
            for lease in (leadership, membership):
                until = lease.confirmed_until()
                assert until is not None
                assert until > now()

    run(work())


def test_a_loop_that_hangs_loses_the_lead(etcd: Etcd) -> None:
    async def work() -> None:
        async with harness_of(etcd, leader_ttl_s=2) as harness:
            store, other = await harness.open(), await harness.open()
            leadership = await store.campaign("first")
            campaign = spawn(other.campaign("second"), name="second")
            await asyncio.sleep(0.3)
            time.sleep(3.2)  # noqa: ASYNC251  # this is the fault
            poll_until(lambda: store.stats.renewals_held)  # it goes on, until the thread has looked
            assert leadership.confirmed_until() == Instant(0)
            async with asyncio.timeout(PATIENCE_S):
                await leadership.lost()
                await campaign

    run(work())


def test_a_name_is_free_again_when_its_lease_has_run_out(etcd: Etcd) -> None:
    async def work() -> None:
        async with harness_of(etcd, member_ttl_s=6) as harness:
            store, other = await harness.open(), await harness.open()
            await store.join(card("same", "nonce 1"))
            with pytest.raises(NameTakenError):
                await other.join(card("same", "nonce 2"))
            members = other.members()
            await seen(members, ["same"], PATIENCE_S)
            await harness.kill(store)
            await seen(members, [], PATIENCE_S)
            await other.join(card("same", "nonce 2"))
            assert (await seen(members, ["same"], PATIENCE_S))[0].nonce == "nonce 2"

    run(work())


def test_members_go_on_over_a_restart_of_etcd(etcd: Etcd) -> None:
    async def work() -> None:
        async with harness_of(etcd, member_ttl_s=60) as harness:
            store = await harness.open()
            members = store.members()
            await store.join(card("a"))
            await seen(members, ["a"], PATIENCE_S)
            await asyncio.to_thread(restart, etcd)
            await store.join(card("b"))
            await seen(members, ["a", "b"], PATIENCE_S)

    run(work())
