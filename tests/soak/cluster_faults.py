"""What is done to a cluster under load. Each fault breaks something, waits, mends it, and says in a few words what it was.

A fault is a coroutine over a stage; how long and whom is drawn from the stage's seed. `dooms` says what it may do to expiry: `FaultRow`.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Literal, NamedTuple, TypeVar

from callboard.testing.cluster import CLIENT, Cluster, Member
from callboard.testing.cluster_engine import EngineNode, Process

T = TypeVar("T")
SLOW_MS: Final = 200
OUTAGE_S: Final = 120.0
"""How long the whole engine is away."""


class Stage:
    """The cluster, and the seed of what happens to it."""

    def __init__(self, cluster: Cluster, chance: random.Random) -> None:
        self.cluster = cluster
        self.chance = chance

    @staticmethod
    async def off(work: Callable[..., T], *values: Any) -> T:
        """Do what blocks in a thread, for the load runs on this loop."""
        return await asyncio.to_thread(work, *values)

    async def leader(self) -> Member:
        """Of the cluster."""
        return await self.off(self.cluster.leader)

    async def follower(self) -> Member:
        """One of the others."""
        return self.chance.choice(await self.off(self.cluster.followers))

    async def engine_leader(self) -> EngineNode:
        """Of the engine."""
        return await self.off(self.cluster.engine.leader)

    async def engine_follower(self) -> EngineNode:
        """One of the others."""
        return self.chance.choice(await self.off(self.cluster.engine.followers))

    async def any_member(self) -> Member:
        """The leader as often as not."""
        return await (self.leader() if self.chance.random() < 0.5 else self.follower())

    def others(self, member: Member) -> list[str]:
        """Names of the other members."""
        return [name for name in self.cluster.names if name != member.name]

    async def wait(self, least_s: float, most_s: float) -> float:
        """Let it last; answers how long."""
        seconds = self.chance.uniform(least_s, most_s)
        await asyncio.sleep(seconds)
        return seconds

    async def mend(self) -> None:
        """Every link is open, everything runs: whatever a fault left behind."""
        network, cluster = self.cluster.network, self.cluster
        await self.off(network.heal)
        for process in (*cluster.engine.nodes, *cluster.members):
            if process.paused:
                process.resume()
        await self.off(cluster.engine.start)
        await self.off(cluster.start)


Doing = Callable[[Stage], Awaitable[str]]


class Fault(NamedTuple):
    """One line of the table."""

    do: Doing
    dooms: Literal["", "member", "leader", "engine"]
    weight: int = 2
    long: bool = False
    """Takes minutes: once in a long run, never in a short one."""


async def _killed(stage: Stage, member: Member) -> str:
    await stage.off(member.kill)
    seconds = await stage.wait(0.5, 15)
    await stage.off(member.start)
    return f"{member.name} away {seconds:.1f} s"


async def _paused(stage: Stage, process: Process, least_s: float, most_s: float) -> str:
    await stage.off(process.pause)
    seconds = await stage.wait(least_s, most_s)
    await stage.off(process.resume)
    return f"{process.name} stood still {seconds:.1f} s"


async def _node_killed(stage: Stage, node: EngineNode) -> str:
    await stage.off(node.kill)
    seconds = await stage.wait(1, 15)
    await stage.off(stage.cluster.engine.start, node)
    return f"{node.name} away {seconds:.1f} s"


async def _cut(stage: Stage, what: str, *pairs: tuple[Iterable[str], Iterable[str]], least_s: float = 3, most_s: float = 25) -> str:
    with stage.cluster.network.healed():
        for sources, dests in pairs:
            await stage.off(stage.cluster.network.cut, list(sources), list(dests))
        seconds = await stage.wait(least_s, most_s)
    return f"{what}, {seconds:.1f} s"


async def leader_killed(stage: Stage) -> str:
    return await _killed(stage, await stage.leader())


async def follower_killed(stage: Stage) -> str:
    return await _killed(stage, await stage.follower())


async def leader_paused(stage: Stage) -> str:
    return await _paused(stage, await stage.leader(), 3, 25)


async def follower_paused(stage: Stage) -> str:
    return await _paused(stage, await stage.follower(), 3, 25)


async def leader_stopped(stage: Stage) -> str:
    member = await stage.leader()
    seconds = await stage.off(member.stop)
    await stage.wait(0.5, 5)
    await stage.off(member.start)
    return f"{member.name} left in {seconds:.2f} s"


async def two_members_killed(stage: Stage) -> str:
    both = [await stage.leader(), await stage.follower()]
    for member in both:
        await stage.off(member.kill)
    seconds = await stage.wait(1, 10)
    for member in both:
        await stage.off(member.start)
    return f"{both[0].name} and {both[1].name} away {seconds:.1f} s"


async def rolling_restart(stage: Stage) -> str:
    longest = 0.0
    for member in stage.cluster.members:
        longest = max(longest, await stage.off(member.stop))
        await stage.off(member.start)
        await asyncio.sleep(1)
    return f"each left within {longest:.2f} s"


async def engine_leader_killed(stage: Stage) -> str:
    return await _node_killed(stage, await stage.engine_leader())


async def engine_follower_killed(stage: Stage) -> str:
    return await _node_killed(stage, await stage.engine_follower())


async def engine_leader_paused(stage: Stage) -> str:
    return await _paused(stage, await stage.engine_leader(), 3, 15)


async def engine_follower_paused(stage: Stage) -> str:
    return await _paused(stage, await stage.engine_follower(), 3, 15)


async def engine_without_quorum(stage: Stage) -> str:
    nodes = [await stage.engine_leader(), await stage.engine_follower()]
    for node in nodes:
        await stage.off(node.kill)
    seconds = await stage.wait(3, 20)
    for node in nodes:
        await stage.off(stage.cluster.engine.start, node)
    return f"two engine nodes away {seconds:.1f} s"


async def engine_down(stage: Stage) -> str:
    nodes, killed = stage.cluster.engine.nodes, stage.chance.random() < 0.5
    for node in nodes:
        await stage.off(node.kill if killed else node.pause)
    await asyncio.sleep(OUTAGE_S)
    for node in nodes:
        await stage.off(*((stage.cluster.engine.start, node) if killed else (node.resume,)))
    return f"whole engine {'killed' if killed else 'paused'} {OUTAGE_S:.0f} s"


async def engine_leader_cut(stage: Stage) -> str:
    node = await stage.engine_leader()
    others = [name for name in stage.cluster.engine.names if name != node.name]
    return await _cut(stage, f"{node.name} from the other nodes", ([node.name], others))


async def engine_one_way(stage: Stage) -> str:
    node, network = await stage.engine_leader(), stage.cluster.network
    with network.healed():
        for name in stage.cluster.engine.names:
            if name != node.name:
                await stage.off(network.cut_one_way, name, node.name)
        seconds = await stage.wait(3, 15)
    return f"{node.name} hears none of the other nodes, {seconds:.1f} s"


async def leader_cut_from_engine(stage: Stage) -> str:
    member = await stage.leader()
    return await _cut(stage, f"{member.name} from the engine", ([member.name], stage.cluster.engine.names))


async def follower_cut_from_engine(stage: Stage) -> str:
    member = await stage.follower()
    return await _cut(stage, f"{member.name} from the engine", ([member.name], stage.cluster.engine.names))


async def member_engine_one_way(stage: Stage) -> str:
    member, network, deaf = await stage.any_member(), stage.cluster.network, stage.chance.random() < 0.5
    with network.healed():
        for name in stage.cluster.engine.names:
            await stage.off(network.cut_one_way, *((name, member.name) if deaf else (member.name, name)))
        seconds = await stage.wait(3, 20)
    return f"{member.name} {'hears nothing from' if deaf else 'is not heard by'} the engine, {seconds:.1f} s"


async def one_engine_link_cut(stage: Stage) -> str:
    member, node = await stage.any_member(), stage.chance.choice(stage.cluster.engine.nodes)
    return await _cut(stage, f"{member.name} from {node.name}", ([member.name], [node.name]))


async def member_link_cut(stage: Stage) -> str:
    leader, other = await stage.leader(), await stage.follower()
    return await _cut(stage, f"{leader.name} from {other.name}", ([leader.name], [other.name]))


async def members_apart(stage: Stage) -> str:
    names = stage.cluster.names
    return await _cut(stage, "every member from every other", *(([name], [other for other in names if other != name]) for name in names))


async def member_link_one_way(stage: Stage) -> str:
    leader, other, network = await stage.leader(), await stage.follower(), stage.cluster.network
    pair = (leader.name, other.name) if stage.chance.random() < 0.5 else (other.name, leader.name)
    with network.healed():
        await stage.off(network.cut_one_way, *pair)
        seconds = await stage.wait(3, 25)
    return f"nothing from {pair[0]} to {pair[1]}, {seconds:.1f} s"


async def client_link_cut(stage: Stage) -> str:
    member = await stage.any_member()
    return await _cut(stage, f"clients from {member.name}", ([CLIENT], [member.name]))


async def machine_cut(stage: Stage) -> str:
    """A machine with a member and an engine node, cut off from the two others; clients reach both sides."""
    place = stage.chance.randrange(len(stage.cluster.members))
    member, node = stage.cluster.members[place], stage.cluster.engine.nodes[place]
    outside = [*stage.others(member), *(name for name in stage.cluster.engine.names if name != node.name)]
    return await _cut(stage, f"{member.name} with {node.name} from the others", ([member.name, node.name], outside))


async def member_alone(stage: Stage) -> str:
    """One member's machine without any network."""
    member = await stage.any_member()
    return await _cut(stage, f"{member.name} from everybody", ([member.name], [*stage.others(member), *stage.cluster.engine.names, CLIENT]))


async def slow_links(stage: Stage) -> str:
    cluster = stage.cluster
    which = stage.chance.choice(("member-engine", "member-member", "engine-engine"))
    sides = {"member": cluster.names, "engine": cluster.engine.names}
    with cluster.network.healed():
        await stage.off(cluster.network.slow, *(sides[side] for side in which.split("-")), SLOW_MS)
        seconds = await stage.wait(5, 20)
    return f"{which} links {SLOW_MS} ms slower, {seconds:.1f} s"


async def watch_stalled(stage: Stage) -> str:
    """The engine says nothing more on the connections that a member has; they stay open, and new ones work."""
    member, network = await stage.any_member(), stage.cluster.network
    with network.healed():
        counts = [await stage.off(network.freeze, member.name, name) for name in stage.cluster.engine.names]
        seconds = await stage.wait(8, 25)
    return f"{sum(counts)} connections of {member.name} with the engine are silent, {seconds:.1f} s"


async def flapping(stage: Stage) -> str:
    member = await stage.any_member()
    for _ in range(4):
        await _cut(stage, "", ([member.name], [*stage.others(member), *stage.cluster.engine.names]), least_s=0.5, most_s=3)
        await stage.wait(0.5, 2)
    return f"{member.name} cut off and back four times"


async def leaders_killed(stage: Stage) -> str:
    member, node = await stage.leader(), await stage.engine_leader()
    await stage.off(member.kill)
    await stage.off(node.kill)
    seconds = await stage.wait(2, 10)
    await stage.off(stage.cluster.engine.start, node)
    await stage.off(member.start)
    return f"{member.name} and {node.name} away {seconds:.1f} s"


FAULTS: Final[dict[str, Fault]] = {
    "leader killed": Fault(leader_killed, "leader", 4),
    "follower killed": Fault(follower_killed, "member"),
    "leader paused": Fault(leader_paused, "leader", 4),
    "follower paused": Fault(follower_paused, "member"),
    "leader stopped": Fault(leader_stopped, "leader"),
    "two members killed": Fault(two_members_killed, "engine", 1),
    "rolling restart": Fault(rolling_restart, "engine", 1),
    "engine leader killed": Fault(engine_leader_killed, "leader", 3),
    "engine follower killed": Fault(engine_follower_killed, "", 1),
    "engine leader paused": Fault(engine_leader_paused, "leader"),
    "engine follower paused": Fault(engine_follower_paused, "leader", 1),
    "engine without quorum": Fault(engine_without_quorum, "engine", 1),
    "engine leader cut off": Fault(engine_leader_cut, "leader", 3),
    "engine leader deaf": Fault(engine_one_way, "leader"),
    "leader cut from engine": Fault(leader_cut_from_engine, "leader", 3),
    "follower cut from engine": Fault(follower_cut_from_engine, "member"),
    "member-engine one way": Fault(member_engine_one_way, "leader"),
    "one engine link cut": Fault(one_engine_link_cut, "leader"),
    "member link cut": Fault(member_link_cut, "member"),
    "members apart": Fault(members_apart, "engine"),
    "member link one way": Fault(member_link_one_way, "member"),
    "client link cut": Fault(client_link_cut, ""),
    "machine cut off": Fault(machine_cut, "leader", 3),
    "member alone": Fault(member_alone, "leader"),
    "slow links": Fault(slow_links, ""),
    "watch stalled": Fault(watch_stalled, "leader", 3),
    "flapping": Fault(flapping, "engine"),
    "leaders killed": Fault(leaders_killed, "leader"),
    "engine down": Fault(engine_down, "engine", 1, long=True),
}


def each_once(seed: int, *, long: bool) -> list[str]:
    """Every fault, in an order of the seed; those that take minutes only in a long run."""
    names = [name for name, fault in FAULTS.items() if long or not fault.long]
    random.Random(seed).shuffle(names)
    return names


def another(chance: random.Random, before: str) -> str:
    """One by weight, and not the one before."""
    weights = [0 if fault.long or name == before else fault.weight for name, fault in FAULTS.items()]
    return chance.choices(list(FAULTS), weights)[0]
