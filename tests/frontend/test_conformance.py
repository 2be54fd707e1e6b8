import pytest

from callboard.server.frontends import FRONTENDS
from callboard.testing.frontend_suite import Case, cases_of, check
from callboard.testing.frontend_suite_harnesses import HARNESSES
from callboard.testing.frontend_suite_kit import Harness
from tests.frontend.console.harness import ConsoleHarness
from tests.frontend.dns_harness import DnsHarness
from tests.frontend.peer_harness import PeerHarness

ALL: tuple[Harness, ...] = (*HARNESSES, ConsoleHarness(), DnsHarness(), PeerHarness())
PLAYED = [pytest.param(harness, case, id=f"{harness.plugin.name}-{case}") for harness in ALL for case in cases_of(harness)]


@pytest.mark.parametrize(("harness", "case"), PLAYED)
def test_conformance(harness: Harness, case: Case) -> None:
    check(case, harness, ALL)


def test_every_frontend_of_the_table_is_played() -> None:
    assert {harness.plugin.name for harness in ALL} == {plugin.name for plugin in FRONTENDS}
