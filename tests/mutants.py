"""Mutants: a rule is broken in the running program, and a named property must find it."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from callboard.model.errors import StoreError

Patch = pytest.MonkeyPatch
_SEARCH = settings(
    max_examples=3_000, derandomize=True, database=None, deadline=None, phases=[Phase.generate], report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck), print_blob=False,
)  # fmt: skip


def found(test: Callable[..., None], arguments: Sequence[Any]) -> bool:
    """Whether a test finds fault with the program as it is now. `arguments` are its strategies when it was made with `given`."""
    if hasattr(test, "hypothesis"):
        inner = test.hypothesis.inner_test

        def search(drawn: tuple[Any, ...]) -> None:
            inner(*drawn)

        test, arguments = _SEARCH(given(st.tuples(*arguments))(search)), ()
    try:
        test(*arguments)
    except (AssertionError, LookupError, StoreError):
        return True
    return False
