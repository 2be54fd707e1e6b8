"""Every guarantee has a store that breaks it, and the suite says so by the guarantee's name."""

from collections.abc import Callable
from pathlib import Path

import pytest

from callboard.model.errors import CompactedError, DivergedError
from callboard.store.contract import Store
from callboard.testing.store_suite import CASES, Case, NotConformingError, check
from callboard.testing.store_suite_kit import Harness
from tests.store import mutants, mutants_members, mutants_parts
from tests.store.harnesses import MemoryHarness, SqliteHarness
from tests.store.mutants import MutantHarness, Passing
from tests.store.mutants_parts import InParts
from tests.support import run

Mutate = Callable[[Store], Passing]

MUTANTS: dict[str, tuple[str, Mutate]] = {
    "groups reordered": ("Ordered", mutants.Reordered),
    "groups repeated": ("Unique", mutants.Repeated),
    "a group sent again lands twice": ("Unique", mutants.LandsTwice),
    "groups torn": ("Atomic", mutants.Torn),
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
    "outcomes lost": ("Told", mutants.WithoutOutcomes),
    "a membership that is over looks confirmed": ("Present", mutants_members.PresentForEver),
    "presence is a row": ("Present", mutants_members.PresenceIsARow),
    "members told once": ("Present", mutants_members.ToldOnce),
    "healthy for ever": ("Closed", mutants_members.HealthyForEver),
    "a group in parts is many": ("Atomic", mutants_parts.PartsAreGroups),
    "parts lost": ("Atomic", mutants_parts.PartsLost),
    "a group in parts sent again lands twice": ("Unique", mutants_parts.PartsLandTwice),
    "parts published without a fence": ("Fenced", mutants_parts.PartsUnfenced),
}
"""Found with one member."""
SHARED: dict[str, tuple[str, Mutate]] = {
    "outcomes told only to the leader": ("Told", mutants_members.ToldOnlyToTheLeader),
    "a member deaf to the others' groups": ("Reliable", mutants_members.DeafToOthers),
    "a deposed member commits": ("Fenced", mutants_members.any_member_of_an_engine()),
    "a deposed leader stays confirmed": ("Lease", mutants_members.DeposedUnknowing),
    "members never missed": ("Present", mutants_members.NeverMissed),
    "members that see themselves alone": ("Present", mutants_members.SeesItselfAlone),
    "two members of one name": ("Lease", mutants_members.TwoOfOneName),
}
"""Found with several members on one engine."""


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


@pytest.mark.parametrize("name", SHARED)
def test_the_suite_names_the_guarantee_a_mutant_of_several_members_breaks(name: str) -> None:
    guarantee, mutate = SHARED[name]
    alone = SqliteHarness.deviations
    cases = tuple(case for case in CASES if case.guarantee == guarantee and case.name in alone)
    assert broken(lambda: MutantHarness(MemoryHarness(), mutate, patience_s=0.3), cases) == {guarantee}


def test_every_guarantee_has_a_mutant() -> None:
    assert {guarantee for guarantee, _ in MUTANTS.values()} == {case.guarantee for case in CASES}


@pytest.mark.parametrize("wrap", [Passing, InParts])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_wrapping_itself_breaks_nothing(case: Case, wrap: Mutate) -> None:
    run(check(case, MutantHarness(MemoryHarness(), wrap, patience_s=20.0)))
