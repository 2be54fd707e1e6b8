"""Every guarantee has a store that breaks it, and the suite says so by the guarantee's name."""

from collections.abc import Callable
from pathlib import Path

import pytest

from callboard.model.errors import CompactedError, DivergedError
from callboard.store.contract import Store
from callboard.testing.store_suite import CASES, Case, NotConformingError, check
from callboard.testing.store_suite_kit import Harness
from tests.store import mutants
from tests.store.harnesses import MemoryHarness, SqliteHarness
from tests.store.mutants import MutantHarness, Passing
from tests.support import run

Mutate = Callable[[Store], Passing]

MUTANTS: dict[str, tuple[str, Mutate]] = {
    "groups reordered": ("Ordered", mutants.Reordered),
    "groups repeated": ("Unique", mutants.Repeated),
    "a group sent again lands twice": ("Unique", mutants.LandsTwice),
    "groups torn": ("Atomic", mutants.Torn),
    "outcomes lost": ("Atomic", mutants.WithoutOutcomes),
    "a load shows half a group": ("Atomic", mutants.LoadedInHalves),
    "a group dropped": ("Reliable", mutants.Dropped),
    "silence after a rewind": ("OneHistory", mutants.silent(DivergedError)),
    "silence after compaction": ("OneHistory", mutants.silent(CompactedError)),
    "led over the gap": ("OneHistory", mutants.LedOverTheGap),
    "a load at two positions": ("Snapshot", mutants.LoadedInHalves),
    "a load without meta rows": ("Snapshot", mutants.WithoutMetaRows),
    "acknowledged before durable": ("Durable", mutants.AcknowledgedEarly),
    "no guard on meta/head": ("Fenced", mutants.Rebased),
    "fenced reads not judged": ("Fenced", mutants.UnfencedReads),
    "no guard on the leader": ("Fenced", mutants.AnyLeader),
    "a stale head": ("Head", mutants.StaleHead),
    "two leaders": ("Lease", mutants.TwoLeaders),
    "a lost lead looks confirmed": ("Lease", mutants.ConfirmedForEver),
    "takes less than it says": ("Limits", mutants.SmallerThanItSays),
    "full for good": ("Limits", mutants.FullForGood),
    "a feed outlives its store": ("Closed", mutants.OpenForEver),
}


def broken(harness: Callable[[], Harness], cases: tuple[Case, ...]) -> set[str]:
    """The guarantees whose cases fail."""
    found = set()
    for case in cases:
        try:
            run(check(case, harness()))
        except NotConformingError as error:
            found.add(str(error).partition(":")[0])
    return found


@pytest.mark.parametrize("name", MUTANTS)
def test_the_suite_names_the_guarantee_a_mutant_breaks(name: str, tmp_path: Path) -> None:
    guarantee, mutate = MUTANTS[name]
    cases = tuple(case for case in CASES if case.guarantee == guarantee)
    directories = (tmp_path / str(number) for number in range(len(cases)))
    assert broken(lambda: MutantHarness(SqliteHarness(next(directories)), mutate), cases) == {guarantee}


def test_every_guarantee_has_a_mutant() -> None:
    assert {guarantee for guarantee, _ in MUTANTS.values()} == {case.guarantee for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_wrapping_itself_breaks_nothing(case: Case) -> None:
    run(check(case, MutantHarness(MemoryHarness(), Passing, patience_s=20.0)))
