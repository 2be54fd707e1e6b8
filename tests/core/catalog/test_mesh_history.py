"""The properties of histories once more, where instances speak for services, have sidecars, and catalog and agent disagree on tags."""

from typing import Any

import pytest
from hypothesis import given

from tests.core.catalog import test_history as history
from tests.core.histories import Maker, mesh_histories

PROPERTIES: list[Any] = [
    history.test_answers_equal_those_of_the_naive_catalog,
    history.test_an_index_rises_when_its_answer_changed_and_never_falls,
    history.test_an_index_is_the_same_after_a_reload_and_does_not_fall_later,
    history.test_what_changes_nothing_writes_nothing,
]


@pytest.mark.parametrize("prop", PROPERTIES, ids=lambda prop: prop.__name__)
@given(makers=mesh_histories)
def test_what_holds_of_any_history_holds_in_a_mesh(prop: Any, makers: list[Maker]) -> None:
    prop.hypothesis.inner_test(makers)
