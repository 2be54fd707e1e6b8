"""Two programs at once: what the older one would drop is refused until it has left, and a new store begins with the newest."""

from msgspec.structs import replace

from callboard.core.catalog.commands import Register
from callboard.model.instance import InstanceSpec, NodeSpec
from callboard.model.service import NamedPort
from callboard.testing.clock import VirtualClock
from tests.registry.cluster import cluster, outcome_of
from tests.registry.stage import played

PORTS = (NamedPort("http", 80, default=True), NamedPort("admin", 81))
PLAIN = Register(nonce="r", node=NodeSpec(name="n1", address="10.0.0.1"), instance=InstanceSpec(service="web", id="a", port=80))
NAMED = replace(PLAIN, instance=InstanceSpec(service="web", id="a", ports=PORTS))


def test_what_an_older_member_would_drop_waits_until_it_has_left() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock, "a") as made:
            newer = await made.start("n", level=2)
            refused = await outcome_of(newer.submit(NAMED))
            assert refused.refusal is not None
            assert (refused.refusal.reason, "an older server is present" in refused.refusal.detail) == ("unavailable", True)
            assert (await outcome_of(newer.submit(PLAIN))).refusal is None
            await made.stop("a")
            await made.wait(5)
            assert (await outcome_of(newer.submit(NAMED))).refusal is None
            placed = newer.view.placed("public", "n1", "a")
            assert placed is not None
            assert placed.instance.ports == PORTS

    played(play)


def test_a_new_store_begins_with_what_its_first_leader_speaks() -> None:
    async def play(clock: VirtualClock) -> None:
        async with cluster(clock, "") as made:
            first = await made.start("n", level=2)
            assert first.view.epoch.level == 2
            assert (await outcome_of(first.submit(NAMED))).refusal is None

    played(play)
