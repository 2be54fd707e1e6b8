"""Guards of the etcd store that are left out, one at a time: the suite must name the guarantee that each holds."""

from collections.abc import Iterator
from typing import Any

import pytest

from callboard.model.errors import CompactedError
from callboard.model.rows import Position
from callboard.store.etcd import feed as feed_module
from callboard.store.etcd.committing import Committer
from callboard.store.etcd.election import Election, EtcdLeadership
from callboard.store.etcd.history import read_head
from callboard.testing.etcd import Etcd
from callboard.testing.store_suite import CASES, NotConformingError, check
from tests.store.etcd_harness import EtcdHarness
from tests.support import run


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    with Etcd.running(tmp_path_factory.mktemp("etcd")) as running:
        yield running


def without_guard(patch: pytest.MonkeyPatch, left_out: int) -> None:
    sound = Committer._guards  # noqa: SLF001  # a mutant is made from the inside

    def guards(self: Committer, after: Position, by: EtcdLeadership) -> list[Any]:
        return [guard for place, guard in enumerate(sound(self, after, by)) if place != left_out]

    patch.setattr(Committer, "_guards", guards)


def no_leader_guard(patch: pytest.MonkeyPatch) -> None:
    without_guard(patch, 0)
    patch.setattr(EtcdLeadership, "is_over", False)


def no_head_guard(patch: pytest.MonkeyPatch) -> None:
    without_guard(patch, 1)


def follow_without_looking(patch: pytest.MonkeyPatch) -> None:
    """The place to follow from is taken to be the end."""

    async def locate(client: Any, keys: Any, _after: Position, cursor: int | None) -> int:
        place = await read_head(client, keys)
        assert place is not None
        return (place.at if cursor is None else cursor) + 1

    patch.setattr(feed_module, "locate", locate)


def elected_without_a_lease(patch: pytest.MonkeyPatch) -> None:
    sound = Election._stand  # noqa: SLF001  # a mutant is made from the inside

    async def stand(self: Election, member: str) -> EtcdLeadership | None:
        leadership = await sound(self, member)
        if leadership is not None:
            leadership.end()
        return leadership

    patch.setattr(Election, "_stand", stand)


def orphans(patch: pytest.MonkeyPatch) -> None:
    """A stage counts before it is published."""

    async def read_stage(*_: object) -> None:
        raise CompactedError(0)

    patch.setattr(feed_module, "read_stage", read_stage)


MUTANTS = {
    "Fenced by the leader": ("Fenced", no_leader_guard),
    "Fenced by meta/head": ("Fenced", no_head_guard),
    "OneHistory": ("OneHistory", follow_without_looking),
    "Lease": ("Lease", elected_without_a_lease),
    "Atomic": ("Atomic", orphans),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_what_is_left_out_is_found_by_its_guarantee(name: str, etcd: Etcd, monkeypatch: pytest.MonkeyPatch) -> None:
    guarantee, mutate = MUTANTS[name]
    mutate(monkeypatch)
    found = False
    for case in CASES:
        if case.guarantee == guarantee and not found:
            harness = EtcdHarness(etcd)
            harness.patience_s = 5.0
            try:
                run(check(case, harness))
            except NotConformingError as error:
                found = str(error).startswith(guarantee)
    assert found
