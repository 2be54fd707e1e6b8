# ruff: noqa: SLF001  # a mutant breaks what is inside, on purpose
"""One mutant per rule of the catalog. Each must be caught by the property that carries the rule's name."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import strategies as st

from callboard.core.catalog import commands as cmd
from callboard.core.catalog import differences, draft, fold, loading, planning, queries, registering
from callboard.core.catalog.aliases import Aliases
from callboard.core.catalog.changes import Changes, CheckChange
from callboard.core.catalog.draft import Draft
from callboard.core.catalog.loading import Loader
from callboard.core.catalog.registering import Decision
from callboard.core.catalog.view import View
from callboard.model.check import Check
from callboard.model.instance import Instance, InstanceSpec, Node, NodeSpec
from callboard.model.rows import GLOBAL_FLOOR, ZERO, Key, Row
from callboard.model.time import Timestamp
from callboard.model.topics import Topic, node_topic, service_topic
from tests.core.catalog import test_aliasing as aliases
from tests.core.catalog import test_differences as reload
from tests.core.catalog import test_history as history
from tests.core.histories import alias_histories, histories, lists_of, mesh_histories
from tests.mutants import Patch, found


class Mutant(NamedTuple):
    rule: str
    breaks: Callable[[Patch], None]
    prop: Callable[..., None]
    strategies: tuple[Any, ...] = (lists_of(24),)
    """Of a property, or the arguments of an example. Shorter histories than the property itself tries: a broken rule shows in them soon."""


def _replace(owner: object, name: str, value: object) -> Callable[[Patch], None]:
    return lambda patch: patch.setattr(owner, name, value)


def _without_floors(method: str) -> Callable[[Patch], None]:
    """A change that raises no floor."""

    def breaks(patch: Patch) -> None:
        real = getattr(Draft, method)

        def put(draft: Draft, *args: Any) -> None:
            with pytest.MonkeyPatch.context() as inner:
                inner.setattr(Draft, "_raise", lambda *_: None)
                real(draft, *args)

        patch.setattr(Draft, method, put)

    return breaks


def _no_topics_of_services(patch: Patch) -> None:
    patch.setattr(fold, "_touch_node", lambda view, node, changes: changes.topics.add(node_topic(node)))


def _expiry_of_any_incarnation(patch: Patch) -> None:
    def expire(draft: Draft, command: cmd.ExpireTtl, now: Timestamp) -> Decision:
        there = draft.check(command.target.namespace, command.target.node.lower(), command.target.id)
        return real(draft, cmd.ExpireTtl(command.target, there.nonce if there is not None else ""), now)

    real = planning._expire
    patch.setitem(planning._PLANS, cmd.ExpireTtl, expire)


def _reap_of_another_time(patch: Patch) -> None:
    def reap(draft: Draft, command: cmd.Reap, now: Timestamp) -> Decision:
        there = draft.check(command.target.namespace, command.target.node.lower(), command.target.id)
        turned = there.turned if there is not None else Timestamp(0)
        return real(draft, cmd.Reap(command.target, command.nonce, turned), now)

    real = planning._reap
    patch.setitem(planning._PLANS, cmd.Reap, reap)


def _probe_of_any_incarnation(patch: Patch) -> None:
    def report(draft: Draft, command: cmd.ReportCheck, now: Timestamp) -> Decision:
        there = draft.check(command.target.namespace, command.target.node.lower(), command.target.id)
        nonce = there.nonce if there is not None and command.nonce else command.nonce
        changed = cmd.ReportCheck(target=command.target, status=command.status, output=command.output, nonce=nonce)
        return real(draft, changed, now)

    real = planning._report
    patch.setitem(planning._PLANS, cmd.ReportCheck, report)


def _writes_the_identical(patch: Patch) -> None:
    def upsert(draft: Draft, *args: Any, **more: Any) -> Node:
        node = real(draft, *args, **more)
        draft.put_node(node)
        return node

    real = registering.upsert_node
    patch.setattr(registering, "upsert_node", upsert)


def _status_is_forgotten(patch: Patch) -> None:
    patch.setattr(registering, "_is_maintenance", lambda definition: object())


def _sweep_forgets_the_global_floor(patch: Patch) -> None:
    def sweep(draft: Draft, topic: str, revision: int) -> None:
        real(draft, topic, revision)  # type: ignore[arg-type]  # passed on
        del draft._rows[GLOBAL_FLOOR]

    real = Draft.sweep_floor
    patch.setattr(Draft, "sweep_floor", sweep)


def _load_forgets_floors(patch: Patch) -> None:
    real = Loader.add
    patch.setattr(Loader, "add", lambda loader, rows: real(loader, [row for row in rows if not row.key.startswith("f/")]))


def _load_keeps_one_check(patch: Patch) -> None:
    real = loading._in_order
    patch.setattr(loading, "_in_order", lambda checks: real(checks[-1:]))


def _implicit_nodes_stay(patch: Patch) -> None:
    patch.setattr(planning, "_tidy", lambda draft, node: None)


def _node_checks_do_not_count(patch: Patch) -> None:
    patch.setattr(queries, "find", lambda view, placed: queries.Found(view.nodes[placed.instance.node], placed.instance, placed.checks))


def _revision_of_creation(patch: Patch) -> None:
    """An index from `created` alone: it does not rise when a row changes."""
    real = Draft._put

    def put(draft: Draft, key: Key, value: Node | Instance | Check) -> None:
        real(draft, key, value)
        row = draft._rows[key]
        if row is not None and value.created != ZERO:
            draft._rows[key] = Row(key, row.value, value.created)

    patch.setattr(Draft, "_put", put)


def _node_and_instance_apart(patch: Patch) -> None:
    """A check that moved is one that came and one that went."""
    real = differences._diff_checks

    def diff(before: View, after: View, namespace: str, node: str, changes: Changes) -> None:
        count = len(changes.checks)
        real(before, after, namespace, node, changes)
        changes.checks[count:] = [
            part
            for change in changes.checks[count:]
            for part in (CheckChange(None, change.after), CheckChange(change.before, None))
        ]  # fmt: skip

    patch.setattr(differences, "_diff_checks", diff)


def _aliases_of_nodes_only(patch: Patch) -> None:
    """The checks of an instance turn its aliases only when its node's do."""
    real = Aliases.looking_at
    patch.setattr(Aliases, "looking_at", lambda aliases, aim: () if aim.instance else real(aliases, aim))


def _aliases_without_the_node(patch: Patch) -> None:
    patch.setattr(Draft, "checks_of_node", lambda draft, node: [])


def _what_goes_is_not_noticed(patch: Patch) -> None:
    """Aliases of an instance that goes go on as if it were there."""
    real = Draft.remove_instance

    def remove(draft: Draft, instance: Instance) -> None:
        before = set(draft.touched)
        real(draft, instance)
        draft.touched = before

    patch.setattr(Draft, "remove_instance", remove)


def _own_topic(instance: Instance) -> tuple[Topic, ...]:
    return (service_topic(instance.namespace, instance.service),)


def _own_tags(_before: Instance | None, spec: InstanceSpec, **_more: bool) -> tuple[tuple[str, ...], bool]:
    return spec.tags, False


INDEX = history.test_an_index_rises_when_its_answer_changed_and_never_falls
ALIASES = aliases.test_every_alias_says_what_stands_behind_it_after_any_history
GONE = aliases.test_an_alias_of_what_is_not_there_is_critical_until_it_comes_and_again_when_it_goes
ANSWERS = history.test_answers_equal_those_of_the_naive_catalog
LOAD = history.test_load_equals_fold_whatever_the_order_of_rows
SWEEP = history.test_a_sweep_of_floors_changes_no_answer_and_lets_no_index_fall
MISSED = reload.test_what_differs_after_a_gap_in_the_feed_is_named_and_nothing_else
EQUAL = reload.test_what_differs_under_equal_indexes_is_named
TAGGED = {"s/public/web", "t/services/public", "t/checks/public", "n/n1"}
MOVED = NodeSpec(name="n1", address="10.0.0.2")
MESH = (mesh_histories,)
TURNING = (alias_histories,)
MUTANTS = [
    Mutant("floor only on removal, not on a change of service", _without_floors("put_instance"), INDEX),
    Mutant("floors forgotten when a check moves", _without_floors("put_check"), INDEX),
    Mutant("floors forgotten when a check goes", _without_floors("remove_check"), INDEX),
    Mutant("floors forgotten when an instance goes", _without_floors("remove_instance"), INDEX),
    Mutant("floors forgotten when a node goes", _without_floors("remove_node"), INDEX),
    Mutant("index from the creation of rows", _revision_of_creation, INDEX),
    Mutant("a node wakes nobody who waits for its services", _no_topics_of_services, INDEX),
    Mutant("a sweep forgets the global floor", _sweep_forgets_the_global_floor, SWEEP, (histories, lists_of(3), st.integers(0, 3))),
    Mutant("a load forgets floors", _load_forgets_floors, history.test_an_index_is_the_same_after_a_reload_and_does_not_fall_later),
    Mutant("a load keeps one check of an instance", _load_keeps_one_check, LOAD, (histories, st.randoms(use_true_random=False))),
    Mutant("an expiry counts for any incarnation", _expiry_of_any_incarnation, ANSWERS),
    Mutant("a reap counts for another critical time", _reap_of_another_time, ANSWERS),
    Mutant("a probe counts for any incarnation", _probe_of_any_incarnation, ANSWERS),
    Mutant("a check loses its status when it is registered again", _status_is_forgotten, ANSWERS),
    Mutant("an implicit node stays when it is empty", _implicit_nodes_stay, ANSWERS),
    Mutant("checks of the node do not count", _node_checks_do_not_count, ANSWERS),
    Mutant("who speaks for a service no longer leaves no floor", _replace(draft, "leaves", lambda *_: False), INDEX, MESH),
    Mutant("a proxy wakes nobody who waits for its service", _replace(fold, "topics_of", _own_topic), INDEX, MESH),
    Mutant("a sidecar stays when its parent goes", _replace(planning, "remove_with_sidecar", Draft.remove_instance), ANSWERS, MESH),
    Mutant("tags that somebody else gave are forgotten", _replace(registering, "_tags", _own_tags), ANSWERS, MESH),
    Mutant("aliases stay as they are", _replace(planning, "settle", lambda *_: None), ALIASES, TURNING),
    Mutant("aliases turn with their node only", _aliases_of_nodes_only, ALIASES, TURNING),
    Mutant("checks of the node do not count for aliases", _aliases_without_the_node, ALIASES, TURNING),
    Mutant("aliases do not notice that something goes", _what_goes_is_not_noticed, GONE, ()),
    Mutant("what is identical is written again", _writes_the_identical, history.test_what_changes_nothing_writes_nothing),
    Mutant("indexes are not compared", _replace(differences, "_suspects", lambda *_: iter(())), MISSED, (histories, lists_of(6))),
    Mutant(
        "lists of services are not compared", _replace(queries, "services", lambda *_: {}),
        EQUAL, ({"tags": ("new",)}, TAGGED),
    ),
    Mutant(
        "what a list of checks shows of an instance is not compared", _replace(differences, "shown_with_checks", lambda _: ""),
        EQUAL, ({"tags": ("new",)}, TAGGED),
    ),
    Mutant(
        "a node's services are not named", _replace(differences, "_services_on", lambda *_: iter(())),
        EQUAL, ({"node": MOVED}, {"t/nodes", "s/public/web", "n/n1"}),
    ),
    Mutant(
        "all that is known is named", _replace(differences, "index_of", lambda view, _: id(view)),
        reload.test_a_load_of_the_same_rows_differs_in_nothing, (histories,),
    ),
    Mutant(
        "a check that moved is two changes", _node_and_instance_apart,
        reload.test_a_check_that_moved_between_its_node_and_an_instance_is_one_change, ("", "a"),
    ),
]  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.rule for mutant in MUTANTS])
def test_each_broken_rule_is_found_by_its_property(mutant: Mutant, monkeypatch: Patch) -> None:
    mutant.breaks(monkeypatch)
    assert found(mutant.prop, mutant.strategies), f"{mutant.prop.__name__} does not notice: {mutant.rule}"
