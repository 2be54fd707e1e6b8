"""The conformance suite of pickers: what `callboard.balance.picker.Picker` promises, over any policy.

A policy's author runs `check` over `CASES` with what makes a picker from endpoints, for example:

    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_conformance(case):
        check(case, MyPicker)

What a policy does not do is declared by case and with the reason (`DEVIATIONS` has those of our own); nothing is skipped.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from callboard.testing import picker_suite_choice as choice
from callboard.testing import picker_suite_load as load
from callboard.testing.picker_suite_kit import Make


class Case(NamedTuple):
    """One property that belongs to a guarantee."""

    guarantee: str
    run: Callable[[Make], None]

    @property
    def name(self) -> str:
        """What deviations are declared by."""
        return getattr(self.run, "__name__", "")

    def __str__(self) -> str:
        return f"{self.guarantee}-{self.name}"


CASES: Final = (
    Case("Given", choice.only_given_endpoints_are_picked),
    Case("Given", choice.every_endpoint_is_picked),
    Case("Given", choice.of_none_nobody_is_picked),
    Case("Given", choice.of_one_that_one_is_picked),
    Case("Given", choice.of_thousands_many_are_picked),
    Case("Given", choice.any_chance_and_any_moment_will_do),
    Case("Avoided", choice.nobody_avoided_is_picked),
    Case("Avoided", choice.when_all_are_avoided_nobody_is_picked),
    Case("Avoided", choice.the_share_of_who_is_avoided_goes_to_all_others),
    Case("Weights", choice.shares_follow_the_weights),
    Case("Weights", choice.who_weighs_more_is_picked_more),
    Case("Weights", choice.weight_0_waits_until_nobody_else_is_left),
    Case("Weights", choice.when_all_weigh_0_all_are_picked),
    Case("Fixed", choice.the_set_does_not_change_with_the_list_it_was_made_of),
    Case("Fixed", choice.a_successor_does_not_change_its_predecessor),
    Case("Closed", load.a_call_counts_until_it_is_done),
    Case("Closed", load.what_is_done_is_not_in_flight),
    Case("Closed", load.done_twice_is_done_once),
    Case("Successor", load.a_successor_picks_its_own_endpoints),
    Case("Successor", load.calls_under_way_count_on_in_a_successor),
    Case("Successor", load.calls_of_a_predecessor_close_in_its_successor),
    Case("Successor", load.who_is_gone_is_forgotten),
    Case("Threads", load.several_threads_pick_at_once),
    Case("Sinkhole", load.who_fails_at_once_is_not_flooded),
)

_COUNTS_NOTHING: Final = {
    "a_call_counts_until_it_is_done": "the next turn does not depend on calls under way, so none are counted",
    "calls_under_way_count_on_in_a_successor": "the next turn does not depend on calls under way, so none are counted",
}
DEVIATIONS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "weighted_random": _COUNTS_NOTHING,
        "smooth_wrr": _COUNTS_NOTHING,
        "p2c": {"who_fails_at_once_is_not_flooded": "who fails at once has least under way: outlier detection has to put it out"},
        "peak_ewma": {"shares_follow_the_weights": "shares follow latency first; a weight bounds what an endpoint is asked to do"},
    }
)
"""What our own policies do not do, by name."""


class NotConformingError(AssertionError):
    """The policy breaks the guarantee that the message begins with, or deviates otherwise than declared."""


def check(case: Case, make: Make, deviations: Mapping[str, str] = MappingProxyType({})) -> None:
    """Run one case. Raises `NotConformingError`."""
    unknown = set(deviations) - {known.name for known in CASES}
    if unknown:
        raise NotConformingError(f"deviations of cases that do not exist: {sorted(unknown)}")
    declared = deviations.get(case.name)
    try:
        case.run(make)
    except Exception as error:
        if declared is None:
            raise NotConformingError(f"{case.guarantee}: {case.name.replace('_', ' ')}: {error!r}") from error
    else:
        if declared is not None:
            raise NotConformingError(f"{case.name} is declared as a deviation ({declared}), but it passes")
