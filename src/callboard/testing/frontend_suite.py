"""The conformance suite of frontends: what every protocol served must hold, over each of them and all of them together.

A frontend's author writes a `Harness` and runs `check` over its cases, beside the harnesses of the frontends there are:

    ALL = (*HARNESSES, MyHarness())

    @pytest.mark.parametrize("case", cases_of(MyHarness()), ids=str)
    def test_conformance(case):
        check(case, MyHarness(), ALL)

What a frontend cannot do is declared in `Harness.cannot`, with the reason; nothing is skipped.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from callboard.testing import frontend_suite_catalog as catalog
from callboard.testing import frontend_suite_folder as folder
from callboard.testing import frontend_suite_http as http
from callboard.testing.frontend_suite_kit import Ability, Harness
from callboard.testing.frontend_suite_stage import Stage

EXAMPLES_COUNT: Final = 30
"""Requests that are made up for each route, when nothing else is said."""


class Case(NamedTuple):
    """One property, and the abilities without which it means nothing."""

    subject: str
    run: Callable[[Stage], None]
    needs: Ability | None = None

    def __str__(self) -> str:
        return f"{self.subject}-{getattr(self.run, '__name__', '')}"


CASES: Final = (
    Case("Agreement", catalog.registered_through_it_found_through_all, Ability.REGISTER),
    Case("Agreement", catalog.registered_through_any_found_through_it, Ability.FIND),
    Case("Agreement", catalog.several_instances_are_told_apart, Ability.FIND),
    Case("Agreement", catalog.an_unknown_service_has_no_instances, Ability.FIND),
    Case("Agreement", catalog.deregistered_through_it_gone_everywhere, Ability.DEREGISTER),
    Case("Agreement", catalog.the_servers_own_entry_is_safe, Ability.REGISTER),
    Case("Health", catalog.a_critical_instance_is_not_handed_out, Ability.FIND),
    Case("Health", catalog.an_instance_in_maintenance_is_not_handed_out, Ability.FIND),
    Case("Health", catalog.a_draining_instance_is_not_handed_out, Ability.FIND),
    Case("Health", catalog.a_heartbeat_through_it_revives, Ability.HEARTBEAT),
    Case("Errors", http.an_unknown_path_is_told_in_its_own_form, Ability.HTTP),
    Case("Errors", http.a_wrong_method_is_told_in_its_own_form, Ability.HTTP),
    Case("Errors", http.what_http_refuses_is_told_in_its_own_form, Ability.HTTP),
    Case("Errors", http.without_a_catalog_it_says_so, Ability.HTTP),
    Case("Garbage", http.every_route_has_a_sample_that_works, Ability.HTTP),
    Case("Garbage", http.garbage_breaks_and_changes_nothing, Ability.HTTP),
    Case("Reads", http.reads_name_what_they_depend_on, Ability.HTTP),
    Case("Folder", folder.its_name_is_its_folder),
    Case("Folder", folder.its_defaults_work),
    Case("Folder", folder.what_it_cannot_do_is_declared),
    Case("Folder", folder.its_readme_has_the_headings),
    Case("Folder", folder.its_readme_names_every_setting),
    Case("Folder", folder.its_readme_names_every_route),
    Case("Folder", folder.its_readme_names_every_counter),
)


class NotConformingError(AssertionError):
    """The frontend breaks the property that the message begins with."""


def cases_of(harness: Harness) -> list[Case]:
    """The cases that mean something for a frontend: all but those whose ability it declares not to have."""
    return [case for case in CASES if case.needs is None or case.needs not in harness.cannot]


def check(case: Case, harness: Harness, harnesses: Sequence[Harness], *, examples_count: int = EXAMPLES_COUNT) -> None:
    """Run one case. Raises `NotConformingError`."""
    stage = Stage(harness, harnesses, examples_count)
    try:
        case.run(stage)
    except Exception as error:
        raise NotConformingError(f"{harness.plugin.name}: {case}: {error}") from error
