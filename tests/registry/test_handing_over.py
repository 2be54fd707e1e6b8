"""Handing the lead over, and a catalog that is replaced, where there are several members."""

import asyncio

from callboard.core.catalog import commands as cmd
from callboard.core.catalog.restoring import pack
from callboard.model.rows import Row
from callboard.registry.handing_over import NOBODY
from callboard.registry.messages import HandOver, NotLeading, decode_reply, encode
from callboard.registry.registry import Registry
from callboard.testing.clock import VirtualClock
from callboard.testing.digest import digest
from tests.registry.cluster import cluster, outcome_of, reason
from tests.registry.stage import on_stage, played, registration, ttl


async def handed_over(member: Registry) -> str:
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    member.handing_over.begin().then(told.set_result)
    return await told


async def rows(member: Registry) -> list[Row]:
    return [row async for batch in (await member.load()).batches for row in batch]


def test_no_command_is_lost_and_none_counts_twice_while_the_lead_is_handed_over() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            old = made.leader
            members = list(made.network.members.values())

            async def write(number: int) -> str | None:
                await asyncio.sleep(number * 0.002)
                command = registration(ttl(30), instance=f"i{number}", check=f"c{number}", nonce=f"r{number}")
                return reason(await outcome_of(members[number % 3].submit(command)))

            writing = asyncio.gather(*(write(number) for number in range(300)))
            await made.wait(0.2)
            assert await handed_over(made.followers[0]) == ""
            assert set(await writing) == {None}
            await made.wait(1)
            assert made.leader is not old
            assert len(made.leader.view.on_node("public", "n1")) == 300
            assert len({digest(member.view) for member in members}) == 1

    played(play)


def test_a_member_that_is_alone_keeps_the_lead() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            assert await handed_over(stage.registry) == NOBODY
            assert stage.registry.leading

    played(play)


def test_an_order_of_an_earlier_term_is_not_followed() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock, "ab") as made:
            leader = made.leader
            answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            leader.hear(encode(HandOver(leader.view.term.number - 1))).then(answered.set_result)
            assert decode_reply(await answered) == NotLeading()
            await made.wait(2)
            assert made.leader is leader

    played(play)


def test_a_leader_that_cannot_be_reached_is_told_to_the_caller() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock, "ab") as made:
            made.network.sever("a", "b")
            follower = made.followers[0]
            assert "was not reached" in await handed_over(follower)
            assert made.leader.card.name == "a"

    played(play)


def test_a_restore_reaches_every_member_wherever_it_enters() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock) as made:
            members = list(made.network.members.values())
            await outcome_of(made.leader.submit(registration(ttl(30))))
            packed = pack(await rows(made.leader))
            await outcome_of(made.leader.submit(cmd.DeregisterInstance(cmd.Target("n1", "a"))))
            await outcome_of(made.leader.submit(registration(ttl(30), instance="b", check="c2", nonce="r2")))
            outcome = await outcome_of(made.followers[0].submit(cmd.Restore(packed, "callboard")))
            assert reason(outcome) is None
            await made.wait(0.5)
            assert [set(member.view.on_node("public", "n1")) for member in members] == [{"a"}] * 3
            assert len({digest(member.view) for member in members}) == 1
            await made.wait(60)
            check = made.leader.view.check("public", "n1", "c1")
            assert check is not None
            assert check.status == "critical", "the deadline of what came back runs"

    played(play)
