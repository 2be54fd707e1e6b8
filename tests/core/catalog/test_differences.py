"""The synthetic change between two views: what a watcher is told when a member had to load anew."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.core.catalog import commands as cmd
from callboard.core.catalog import differences as diffing
from callboard.core.catalog import queries
from callboard.core.catalog.changes import Changes
from callboard.core.catalog.differences import differences, in_steps, index_of
from callboard.core.catalog.view import View
from callboard.model.check import Check, CheckSpec, ManualCheck
from callboard.model.instance import InstanceSpec, Node, NodeSpec
from callboard.model.rows import Key, split_key
from callboard.model.topics import NODES, Topic, checks_topic, node_topic, service_topic, services_topic
from tests.core.histories import NAMESPACES, Maker, fixed, histories, lists_of
from tests.core.world import WATCHED_NODES, WATCHED_SERVICES, World


def contents(view: View) -> dict[Topic, object]:
    """What a door shows of each topic, revisions included."""
    out: dict[Topic, object] = {NODES: sorted(view.nodes.items())}
    for namespace in NAMESPACES:
        out[services_topic(namespace)] = queries.services(view, namespace)
        out[checks_topic(namespace)] = [_with_holder(view, check) for check in queries.all_checks(view, namespace)]
        for service in WATCHED_SERVICES:
            out[service_topic(namespace, service)] = queries.instances_of(view, namespace, service)
    for node in WATCHED_NODES:
        there = [queries.instances_on(view, namespace, node) for namespace in NAMESPACES]
        out[node_topic(node)] = view.nodes.get(node), queries.checks_of_node(view, node), there
    return out


def _with_holder(view: View, check: Check) -> object:
    placed = view.placed(check.namespace, check.node, check.instance) if check.instance else None
    return check, placed and placed.instance.service, placed and placed.instance.tags


def rows_of(view: View) -> dict[tuple[str, ...], object]:
    """Every node, instance and check."""
    out: dict[tuple[str, ...], object] = {("node", name): node for name, node in view.nodes.items()}
    for namespace, space in view.spaces.items():
        for node, there in space.by_node.items():
            out |= {("instance", namespace, node, name): placed.instance for name, placed in there.items()}
    return out | {("check", *place): check for place, check in checks_of(view).items()}


def checks_of(view: View) -> dict[tuple[str, str, str], Check]:
    """Every check, whatever it belongs to."""
    return {
        (namespace, node, name): check
        for namespace, space in view.spaces.items()
        for node, holders in space.holders.items()
        for name in holders
        if (check := view.check(namespace, node, name)) is not None
    }


def applied(before: View, changes: Changes) -> dict[tuple[str, ...], object]:
    """The rows of a view after these changes. Each row changes once at most, from what it was."""
    rows = rows_of(before)
    entries: list[tuple[tuple[str, ...], object, object]] = []
    entries += [(("node", (c.after or c.before).name.lower()), c.before, c.after) for c in changes.nodes]  # type: ignore[union-attr]  # one is there
    for change in changes.instances:
        there = change.after or change.before
        assert there is not None
        entries.append((("instance", there.namespace, there.node, there.id), change.before, change.after))
    for turn in changes.checks:
        check = turn.after or turn.before
        assert check is not None
        entries.append((("check", check.namespace, check.node, check.id), turn.before, turn.after))
    assert len({name for name, _, _ in entries}) == len(entries)
    for name, old, new in entries:
        assert rows.get(name) == old
        assert old != new
        if new is None:
            del rows[name]
        else:
            rows[name] = new
    return rows


def heard_of(view: View, topic: Topic) -> bool:
    """Whether a view has a row or a floor of a topic."""
    kind, *parts = split_key(Key(topic))
    if kind == "s":
        return topic in view.floors or bool(view.of_service(parts[0], parts[1]))
    if kind == "n":
        return topic in view.floors or f"h/{parts[0]}" in view.floors or parts[0] in view.nodes
    return topic in view.floors or topic == NODES or parts[-1] in view.spaces


def differs_exactly(before: View, after: View) -> None:
    """Every topic that differs is named, no other, and the changes of rows lead from one to the other."""
    changes = differences(before, after)
    old, new = contents(before), contents(after)
    for topic in old:
        differs = old[topic] != new[topic] or index_of(before, topic) != index_of(after, topic)
        assert (topic in changes.topics) is (differs and (heard_of(before, topic) or heard_of(after, topic))), topic
    assert applied(before, changes) == rows_of(after)
    assert changes.revision == after.revision


def lived(history: list[Maker]) -> World:
    world = World()
    for maker in history:
        world.do(maker)
    return world


@given(histories, lists_of(6))
def test_what_differs_after_a_gap_in_the_feed_is_named_and_nothing_else(history: list[Maker], missed: list[Maker]) -> None:
    world = lived(history)
    before = world.reloaded()
    for maker in missed:
        world.do(maker)
    differs_exactly(before, world.reloaded())


@given(histories, histories)
def test_what_differs_between_two_histories_is_named_and_nothing_else(one: list[Maker], other: list[Maker]) -> None:
    """The engine was restored from a backup, or edited: indexes may be lower, and equal ones stand on other rows."""
    differs_exactly(lived(one).view, lived(other).view)


@given(histories, lists_of(6), st.integers(0, 2))
def test_what_the_folds_would_have_touched_is_named_as_far_as_it_differs(history: list[Maker], missed: list[Maker], keep: int) -> None:
    world = lived(history)
    before = world.reloaded()
    touched: set[Topic] = set()
    for maker in [*missed, Maker("sweep", lambda *_: cmd.SweepFloors(keep))]:
        step = world.do(maker)
        touched |= step.changes.topics if step.changes is not None else set()
    named = differences(before, world.view).topics
    old, new = contents(before), contents(world.view)
    assert {topic for topic in touched if topic in old and old[topic] != new[topic]} <= named


@given(histories)
def test_a_load_of_the_same_rows_differs_in_nothing(history: list[Maker]) -> None:
    world = lived(history)
    changes = differences(world.view, world.reloaded())
    assert (changes.topics, changes.nodes, changes.instances, changes.checks) == (set(), [], [], [])


NODE = NodeSpec(name="n1", address="10.0.0.1")
CHECK = CheckSpec(id="c1", definition=ManualCheck())


def registered(node: NodeSpec = NODE, *, service: str = "web", tags: tuple[str, ...] = (), holder: str = "a") -> View:
    """One instance with a check. However it is registered, its rows have the same revisions."""
    world = World()
    instance, check = InstanceSpec(service=service, id="a", tags=tags), cmd.Attached(holder, CHECK)
    world.do(fixed(cmd.Register(nonce="r1", node=node, instance=instance, checks=(check,))))
    return world.view


@pytest.mark.parametrize(
    ("what", "topics"),
    [
        ({"service": "db"}, {"s/public/web", "s/public/db", "t/services/public", "t/checks/public", "n/n1"}),
        ({"tags": ("new",)}, {"s/public/web", "t/services/public", "t/checks/public", "n/n1"}),
        ({"node": NodeSpec(name="n1", address="10.0.0.2")}, {"t/nodes", "s/public/web", "n/n1"}),
        ({"holder": ""}, {"s/public/web", "t/checks/public", "n/n1"}),
    ],
)
def test_what_differs_under_equal_indexes_is_named(what: dict[str, Any], topics: set[str]) -> None:
    before, after = registered(), registered(**what)
    for one, other in ((before, after), (after, before)):
        assert differences(one, other).topics == topics
        differs_exactly(one, other)


def test_a_list_differs_wherever_the_one_service_is_whose_tags_do() -> None:
    """Many others differ in what lists do not show. Rows were edited by hand: no index tells."""
    count = 9

    def made(port: int, tagged: int | None) -> View:
        world = World()
        for number in range(count):
            tags = ("new",) if number == tagged else ()
            spec = InstanceSpec(service=f"s{number}", id=f"s{number}", port=port, tags=tags)
            world.do(fixed(cmd.Register(nonce=f"r{number}", node=NODE, instance=spec)))
        return world.view

    before = made(80, None)
    assert services_topic("public") not in differences(before, made(81, None)).topics
    for tagged in range(count):
        assert services_topic("public") in differences(before, made(81, tagged)).topics


@pytest.mark.parametrize(("old", "new"), [("", "a"), ("a", "")])
def test_a_check_that_moved_between_its_node_and_an_instance_is_one_change(old: str, new: str) -> None:
    changes = differences(registered(holder=old), registered(holder=new)).checks
    assert [(change.before and change.before.instance, change.after and change.after.instance) for change in changes] == [(old, new)]


@pytest.mark.parametrize("count", [0, 1, 7])
def test_a_step_looks_at_one_node_or_at_one_topic(count: int) -> None:
    """So a million instances are looked at in many steps, unless they are all on one node."""
    before, after = World(), World()
    for number in range(count):
        for world in (before, after):
            node = NodeSpec(name=f"n{number}", address="10.0.0.1")
            for each in range(number + 1):
                spec = InstanceSpec(service="web", id=f"web-{each}", port=each)
                check = cmd.Attached(spec.id, CheckSpec(id=f"c{each}", definition=ManualCheck()))
                world.do(fixed(cmd.Register(nonce=f"{number}.{each}", node=node, instance=spec, checks=(check,))))
    after.do(
        fixed(cmd.Register(nonce="last", node=NodeSpec(name="last", address="10.0.0.1"), instance=InstanceSpec(service="db", id="db")))
    )
    steps = list(in_steps(before.view, after.view))
    assert len(steps) >= 2 * count
    assert max(steps) <= count + 1, "as many as there are nodes, or on one of them"
    assert sum(steps) >= count * (count + 1), "every instance and every check"
    assert differences(before.view, after.view).topics >= {service_topic("public", "db"), services_topic("public")}


class Looks(dict[str, Node]):
    """Nodes that count how often somebody asks for one of them."""

    count = 0

    def get(self, *arguments: Any) -> Any:
        self.count += 1
        return super().get(*arguments)

    def __contains__(self, name: object) -> bool:
        self.count += 1
        return super().__contains__(name)


def test_no_step_goes_through_all_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """They may be as many as there are instances. With another global floor the index of every topic may be another."""
    named, count = [0], 40

    def naming(node: str) -> Topic:
        named[0] += 1
        return node_topic(node)

    before, after = World(), World()
    for number in range(count):
        for world in (before, after):
            spec = InstanceSpec(service=f"s{number}", id="only")
            world.do(fixed(cmd.Register(nonce=f"{number}", node=NodeSpec(name=f"n{number}", address="10.0.0.1"), instance=spec)))
    after.view.nodes, after.view.global_floor = Looks(after.view.nodes), after.view.revision
    monkeypatch.setattr(diffing, "node_topic", naming)
    costs, cost = [0], 0
    for _ in in_steps(before.view, after.view):
        now = after.view.nodes.count + named[0]
        costs.append(now - cost)
        cost = now
    assert cost >= 3 * count
    assert max(costs) <= 3
