"""A rule of a restore is broken, and a test of this room must find it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from callboard.model.rows import GLOBAL_FLOOR, Group, Key, Revision
from callboard.server.transfer import filling, plan
from callboard.server.transfer.errors import TransferError
from callboard.server.transfer.state import State
from tests.core.histories import histories
from tests.mutants import Patch, found
from tests.transfer import stage, test_moving

Mutant = Callable[[Patch], None]


def planning(change: Callable[[Group, State, State], Group]) -> Mutant:
    """Another plan than the one that was made."""

    def break_it(patch: Patch) -> None:
        def moved(source: State, target: State, **named: Any) -> Group:  # as it is given
            return change(plan.moved(source, target, **named), source, target)

        patch.setattr(stage, "moved", moved)

    return break_it


def _without(group: Group, *keys: str) -> Group:
    return replace(group, rows={key: row for key, row in group.rows.items() if key not in keys})


def _only_above_the_target(group: Group, _source: State, target: State) -> Group:
    at = Revision(target.position.revision + 1)
    return replace(group, first=at, last=at)


def _old_rows_stay(group: Group, _source: State, _target: State) -> Group:
    return replace(group, rows={key: row for key, row in group.rows.items() if row is not None})


def _new_revisions(group: Group, _source: State, _target: State) -> Group:
    return replace(group, rows={key: row._replace(revision=group.last) if row else None for key, row in group.rows.items()})


def _unverified(patch: Patch) -> None:
    async def verify(_store: object, group: Group, replaced: int, _progress: object) -> filling.Filled:
        return filling.Filled(len(group.rows), replaced, group.last, "")

    patch.setattr(filling, "_verify", verify)


def _beside_servers(patch: Patch) -> None:
    async def alone(*_arguments: object) -> None:
        return

    patch.setattr(filling, "require_alone", alone)


def _term_goes_back(patch: Patch) -> None:
    patch.setattr(plan, "_later", lambda source, _target: source)


MUTANTS: dict[str, tuple[Mutant, Callable[..., None], tuple[Any, ...]]] = {
    "the global floor stays": (
        planning(lambda group, _source, _target: _without(group, GLOBAL_FLOOR)),
        test_moving.test_answers_are_those_of_the_source_and_no_index_falls,
        (histories, histories),
    ),
    "the head is above the target only": (
        planning(_only_above_the_target), test_moving.test_answers_are_those_of_the_source_and_no_index_falls, (histories, histories)
    ),
    "old rows stay": (planning(_old_rows_stay), test_moving.test_a_store_that_is_not_empty_is_left_alone_and_its_contents_are_named, ()),
    "rows lose their revisions": (planning(_new_revisions), test_moving.test_a_store_holds_what_it_was_filled_with, (histories,)),
    "a row is left out": (
        planning(lambda group, _source, _target: _without(group, Key("n/a"))), test_moving.test_a_server_that_goes_is_waited_for, ()
    ),
    "nothing is read back": (_unverified, test_moving.test_a_store_that_holds_something_else_afterwards_is_told, ()),
    "servers may run": (_beside_servers, test_moving.test_a_store_with_servers_on_it_is_left_alone_and_they_are_named, ()),
    "the term goes back": (_term_goes_back, test_moving.test_the_number_of_terms_does_not_go_back, ()),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_rule_is_found(name: str, monkeypatch: Patch) -> None:
    break_it, test, arguments = MUTANTS[name]
    break_it(monkeypatch)
    assert found_or_told(test, arguments)


def found_or_told(test: Callable[..., None], arguments: tuple[Any, ...]) -> bool:
    """Whether the test fails: by itself, by what pytest raises where an error was due, or for the restore itself notices."""
    try:
        return found(test, arguments)
    except (pytest.fail.Exception, TransferError):
        return True
