"""Nothing acknowledged is lost, whatever the store does."""

from hypothesis import given
from hypothesis import strategies as st

from callboard.testing.clock import VirtualClock
from callboard.testing.loop import run_virtual
from tests.registry.clients import live_through


@given(st.integers(0, 2**32))
def test_nothing_acknowledged_is_lost_and_nobody_is_told_too_early(seed: int) -> None:
    clock = VirtualClock()
    run_virtual(live_through(clock, seed), clock)
