"""The conformance suite of stores: every guarantee of `callboard.store.contract`, by name, over any engine.

A store's author writes a `Harness` and runs `check` over `CASES`, for example:

    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_conformance(case, tmp_path):
        asyncio.run(check(case, MyHarness(tmp_path)))

What a store cannot do is declared in `Harness.deviations`, by case and with the reason; nothing is skipped.
"""

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from callboard.testing import store_suite_commit as commit
from callboard.testing import store_suite_feed as feed
from callboard.testing import store_suite_members as members
from callboard.testing import store_suite_parts as parts
from callboard.testing.store_suite_kit import Harness


class Case(NamedTuple):
    """One property that belongs to a guarantee."""

    guarantee: str
    run: Callable[[Harness], Awaitable[None]]

    @property
    def name(self) -> str:
        """What deviations are declared by."""
        return getattr(self.run, "__name__", "")

    def __str__(self) -> str:
        return f"{self.guarantee}-{self.name}"


CASES: Final = (
    Case("Ordered", feed.groups_come_in_commit_order),
    Case("Unique", feed.no_group_comes_twice),
    Case("Unique", feed.a_group_sent_again_lands_once),
    Case("Atomic", feed.a_group_is_followed_whole),
    Case("Atomic", feed.a_group_is_loaded_whole),
    Case("Atomic", parts.a_larger_group_is_followed_whole),
    Case("Atomic", parts.a_larger_group_is_loaded_whole),
    Case("Unique", parts.a_larger_group_sent_again_lands_once),
    Case("Reliable", feed.every_group_is_followed_from_every_position),
    Case("Reliable", feed.a_slow_follower_misses_nothing),
    Case("Reliable", feed.groups_without_rows_are_not_followed),
    Case("Reliable", members.every_member_follows_the_same_groups),
    Case("Reliable", members.a_waiting_member_is_woken),
    Case("Reliable", members.a_member_that_closes_leaves_the_others_alone),
    Case("Told", members.outcomes_are_followed),
    Case("Told", members.every_member_is_told_the_outcomes),
    Case("OneHistory", feed.a_position_of_another_history_diverges),
    Case("OneHistory", feed.a_position_no_longer_kept_is_compacted),
    Case("OneHistory", feed.an_overtaken_follower_is_told),
    Case("OneHistory", feed.who_waits_on_a_rewound_engine_is_told),
    Case("OneHistory", feed.who_returns_to_a_rewound_engine_is_told),
    Case("Snapshot", feed.a_load_is_one_position),
    Case("Snapshot", feed.load_then_follow_has_no_gap_and_no_repeat),
    Case("Snapshot", feed.a_load_has_every_row_but_meta_head),
    Case("Snapshot", members.a_member_that_comes_later_has_everything),
    Case("Durable", commit.an_acknowledged_group_survives_a_kill),
    Case("Durable", commit.a_closed_store_opens_as_it_was),
    Case("Fenced", commit.a_group_that_does_not_follow_meta_head_is_refused),
    Case("Fenced", commit.of_two_groups_after_one_position_one_lands),
    Case("Fenced", commit.a_leader_that_resigned_is_refused),
    Case("Fenced", commit.a_late_group_does_not_land_under_the_next_leader),
    Case("Fenced", commit.a_deposed_member_is_refused),
    Case("Fenced", members.a_deposed_leaders_late_group_never_lands),
    Case("Fenced", parts.a_larger_group_is_fenced),
    Case("Fenced", parts.a_deposed_leaders_larger_group_is_whole_or_nowhere),
    Case("Head", commit.head_is_at_or_after_every_acknowledged_group),
    Case("Head", commit.head_is_the_same_for_every_member),
    Case("Lease", commit.one_leads_at_a_time),
    Case("Lease", commit.one_member_leads_at_a_time),
    Case("Lease", commit.a_closed_store_leads_no_more),
    Case("Lease", members.a_deposed_leader_is_told),
    Case("Lease", members.one_name_is_present_once),
    Case("Lease", members.who_joins_again_is_present_once),
    Case("Present", members.who_joins_is_seen_until_it_leaves),
    Case("Present", members.presence_is_no_row),
    Case("Present", members.every_member_sees_everyone),
    Case("Present", members.who_leaves_is_missed_by_everyone),
    Case("Present", members.who_is_expelled_is_told_and_missed),
    Case("Limits", commit.what_is_too_large_is_refused_whole),
    Case("Limits", commit.a_full_engine_takes_removals),
    Case("Limits", commit.a_malformed_group_is_refused),
    Case("Closed", commit.a_closed_store_answers_nothing),
    Case("Closed", commit.an_open_store_is_healthy_and_a_closed_one_is_not),
)


class NotConformingError(AssertionError):
    """The store breaks the guarantee that the message begins with, or deviates otherwise than declared."""


async def check(case: Case, harness: Harness) -> None:
    """Run one case. Raises `NotConformingError`."""
    unknown = set(harness.deviations) - {known.name for known in CASES}
    if unknown:
        raise NotConformingError(f"deviations of cases that do not exist: {sorted(unknown)}")
    declared = harness.deviations.get(case.name)
    try:
        await case.run(harness)
    except Exception as error:
        if declared is None:
            raise NotConformingError(f"{case.guarantee}: {case.name.replace('_', ' ')}: {error!r}") from error
    else:
        if declared is not None:
            raise NotConformingError(f"{case.name} is declared as a deviation ({declared}), but it passes")
    finally:
        await harness.close()
