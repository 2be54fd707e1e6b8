"""Groups in parts over etcd: whoever dies at whichever step, the group is there whole or not at all, and the next leader tidies up."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from callboard.model.errors import DeposedError, IndeterminateError, StoreError, UnavailableError
from callboard.model.rows import ORIGIN, Group, Position
from callboard.store.etcd.client import Client
from callboard.store.etcd.failures import Cause, EtcdError
from callboard.store.etcd.store import EtcdStore
from callboard.testing.etcd import Etcd
from callboard.testing.store_suite_kit import Scribe, fold, followed, loaded, next_of
from tests.store.etcd_harness import EtcdHarness
from tests.support import PATIENCE_S, run

ROWS = 400


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    with Etcd.running(tmp_path_factory.mktemp("etcd")) as running:
        yield running


class Dying:
    """The calls of one member: after `steps` writes it is dead, and the last one may have been applied or not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ports: list[int], steps: int, *, applied: bool) -> None:
        self.count = 0
        self.dead = False
        sound = Client.write
        ours = {f"127.0.0.1:{port}" for port in ports}

        async def write(client: Client, method: str, request: Any, timeout_ms: int) -> Any:
            if client.endpoint.address not in ours or method == "LeaseRevoke":
                return await sound(client, method, request, timeout_ms)
            if self.dead:
                raise EtcdError(Cause.UNSENT, "dead")
            if method == "Txn" and any(operation.WhichOneof("request") != "request_range" for operation in request.success):
                self.count += 1
                self.dead = self.count > steps
            if self.dead and not applied:
                raise EtcdError(Cause.UNKNOWN, "dead")
            answer = await sound(client, method, request, timeout_ms)
            if self.dead:
                raise EtcdError(Cause.UNKNOWN, "dead")
            return answer

        monkeypatch.setattr(Client, "write", write)


def large(scribe: Scribe, value: bytes = b"new") -> Group:
    """Puts, puts again, and removals of what is there and what is not."""
    rows: dict[str, bytes | None] = {f"k/{number}": value for number in range(0, ROWS, 2)}
    rows |= {f"k/{number}": None for number in range(1, ROWS, 4)}
    rows |= {f"more/{number}": value * 20 for number in range(100)} | {"absent": None}
    return scribe.group(rows)


async def begin(store: EtcdStore) -> Scribe:
    scribe = await Scribe.elect(store)
    for start in range(0, ROWS, 100):
        await scribe.write({f"k/{number}": b"old" for number in range(start, start + 100)})
    return scribe


def ports(harness: EtcdHarness, store: EtcdStore) -> list[int]:
    return [proxy.port for proxy in harness.links(store)]


async def die(etcd: Etcd, monkeypatch: pytest.MonkeyPatch, steps: int, *, applied: bool) -> bool:
    """One member dies after so many writes of a large group and one behind it; another goes on. Answers whether it died at all."""
    harness = EtcdHarness(etcd, request_max_bytes=65_536, parts_parallel_count=2, group_max_rows=50, value_max_bytes=2000)
    try:
        store, other = await harness.open(), await harness.open()
        first = await begin(store)
        before, follower = first.head, other.follow(first.head)
        group = large(first)
        with monkeypatch.context() as patch:
            dying = Dying(patch, ports(harness, store), steps, applied=applied)
            landed, small = await _write_both(first, group)
            await asyncio.sleep(0)
            await harness.depose()
            second = await asyncio.wait_for(Scribe.elect(other, "second"), PATIENCE_S)
            with pytest.raises(StoreError):
                await store.commit(first.group({"late": b"1"}, after=second.head), first.leadership)
        groups = _what_landed(first, group, small, second.head)
        assert not landed or group in groups, "an acknowledged group is lost"
        assert await loaded(other) == (second.head, fold(groups)), "a load shows half a group"
        await second.write({"next": b"1"})
        assert await asyncio.to_thread(etcd.keys, f"{harness.prefix}/stage/", f"{harness.prefix}/stage0") == [], "a stage was left"
        await second.write({"k/0": b"overwritten"})
        groups += second.groups
        assert await loaded(other) == (second.head, fold(groups))
        assert await followed(other, ORIGIN, second.head, PATIENCE_S) == groups
        if before != second.groups[0].after:
            assert await next_of(follower, PATIENCE_S) == group
        return dying.dead
    finally:
        await harness.close()


async def _write_both(scribe: Scribe, group: Group) -> tuple[bool, Group | None]:
    """The large group and a small one behind it, as far as it goes."""
    small = None
    try:
        await scribe.store.commit(group, scribe.leadership)
    except (IndeterminateError, UnavailableError, DeposedError):
        return False, None
    scribe.head = group.position
    small = scribe.group({"behind": b"1"})
    try:
        await scribe.store.commit(small, scribe.leadership)
    except (IndeterminateError, UnavailableError, DeposedError):
        return True, small
    return True, small


def _what_landed(scribe: Scribe, group: Group, small: Group | None, head: Position) -> list[Group]:
    """Which groups there are, going by the mark at the head."""
    if small is not None and head == small.position:
        return [*scribe.groups, group, small]
    if head == group.position:
        return [*scribe.groups, group]
    assert head == scribe.groups[-1].position
    return list(scribe.groups)


@pytest.mark.parametrize("applied", [False, True], ids=["not applied", "applied"])
def test_a_member_that_dies_at_any_step_leaves_a_group_whole_or_not_at_all(
    etcd: Etcd, monkeypatch: pytest.MonkeyPatch, applied: bool
) -> None:
    steps = 0
    while run(die(etcd, monkeypatch, steps, applied=applied)):
        steps += 1
    assert steps > 10  # parts, the publishing, the merge in steps, the removal of the stage, the small group


def test_a_large_group_without_an_answer_may_be_sent_again(etcd: Etcd, monkeypatch: pytest.MonkeyPatch) -> None:
    """At whichever step the answer was lost, applied or not: it lands once."""

    async def work(step: int, *, applied: bool) -> bool:
        harness = EtcdHarness(etcd, request_max_bytes=65_536, parts_parallel_count=1, value_max_bytes=2000)
        try:
            store = await harness.open()
            scribe = await begin(store)
            group = large(scribe)
            with monkeypatch.context() as patch:
                dying = Dying(patch, ports(harness, store), step, applied=applied)
                with_error = False
                try:
                    await store.commit(group, scribe.leadership)
                except (IndeterminateError, UnavailableError):
                    with_error = True
                dying.dead = False
            if with_error:
                assert await store.commit(group, scribe.leadership) == group.position
            scribe.head = group.position
            scribe.groups.append(group)
            await scribe.write({"behind": b"1"})
            assert await followed(store, ORIGIN, scribe.head, PATIENCE_S) == scribe.groups
            assert await loaded(store) == (scribe.head, fold(scribe.groups))
            return dying.count > step
        finally:
            await harness.close()

    for applied in (False, True):
        step = 0
        while run(work(step, applied=applied)) and step < 8:
            step += 1


def test_outcomes_that_are_too_many_for_a_transaction_are_carried_too(etcd: Etcd) -> None:
    from dataclasses import replace

    from callboard.model.rows import CommandId, Outcome

    async def work() -> None:
        harness = EtcdHarness(etcd)
        try:
            store = await harness.open()
            scribe = await Scribe.elect(store)
            few = scribe.group({"k": b"1"})
            many = tuple(Outcome(CommandId("door", number), few.last, changed=True, node="n" * 40) for number in range(3_000))
            group = replace(few, outcomes=many)
            await scribe.commit(group)
            assert (await followed(store, ORIGIN, scribe.head, PATIENCE_S))[0].outcomes == many
            assert store.stats.stages == 1
        finally:
            await harness.close()

    run(work())
