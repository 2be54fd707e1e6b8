"""A catalog under test, without leader or store: each command is planned, and its rows are folded at once. Beside it runs the oracle."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from callboard.core.catalog import queries
from callboard.core.catalog.changes import Changes
from callboard.core.catalog.codec import Term, encode
from callboard.core.catalog.connected import connect_index, connected_to
from callboard.core.catalog.draft import Draft
from callboard.core.catalog.fold import fold
from callboard.core.catalog.indexes import node_index, service_index, table_index
from callboard.core.catalog.loading import Loader
from callboard.core.catalog.overlay import Overlay
from callboard.core.catalog.planning import plan
from callboard.core.catalog.view import View
from callboard.model.check import Check
from callboard.model.instance import Instance, Node
from callboard.model.rows import META_TERM, ORIGIN, ZERO, Group, Key, Refusal, Revision, Row
from callboard.model.time import Timestamp
from callboard.model.topics import NODES, Topic, checks_topic, connect_topic, node_topic, service_topic, services_topic
from callboard.testing.oracle import Oracle, Verdict
from tests.core.histories import NAMESPACES, Maker

WATCHED_NODES = ("home", "n1", "n2", "ghost")
WATCHED_SERVICES = ("web", "db", "ghost")


class Step(NamedTuple):
    """What became of one command."""

    refusal: Refusal | None
    rows: dict[Key, Row | None]
    changes: Changes | None
    verdict: Verdict


class World:
    """Plan, fold, compare."""

    def __init__(self) -> None:
        self.rows: dict[Key, Row] = {}
        self.view = opened(self.rows)
        self.oracle = Oracle()
        self.now = Timestamp(1_000)
        self.count = 0

    def do(self, maker: Maker) -> Step:
        """One command, durable at once."""
        self.count += 1
        self.now = Timestamp(self.now + self.count % 3)
        command = maker(self.oracle, self.count)
        verdict = self.oracle.apply(command, self.now)
        draft = Draft(self.view, Overlay(), Revision(self.view.revision + 1))
        decision = plan(draft, command, self.now)
        rows = {} if decision.refusal is not None else dict(draft.rows)
        return Step(decision.refusal, rows, self.fold(rows), verdict)

    def fold(self, rows: Mapping[Key, Row | None]) -> Changes | None:
        """Make rows durable."""
        if not rows:
            return None
        land(self.rows, rows)
        revision = Revision(self.view.revision + 1)
        group = Group(self.view.position, revision, revision, f"mark {revision}".encode(), rows)
        return fold(self.view, group, group.position)

    def reloaded(self, rows: Iterable[Row] | None = None) -> View:
        """A view from all rows, in this order or theirs."""
        loader = Loader()
        for row in rows if rows is not None else self.rows.values():
            loader.add([row])
        return loader.finish(self.view.position)


def opened(engine: dict[Key, Row]) -> View:
    """A view after an opening group without registration, and that group's row in `engine`. (No door ever reads before one.)"""
    view = View()
    row = Row(META_TERM, encode(Term("member", 1)), Revision(1))
    group = Group(ORIGIN, Revision(1), Revision(1), b"opening", {META_TERM: row})
    land(engine, group.rows)
    fold(view, group, group.position)
    return view


def land(engine: dict[Key, Row], rows: Mapping[Key, Row | None]) -> None:
    """Do to an engine's rows what a group says."""
    for key, row in rows.items():
        if row is None:
            engine.pop(key, None)
        else:
            engine[key] = row


# -- what a view answers, by topic, and what the oracle does

Facts = list[object]


def bare_node(node: Node) -> Node:
    """A node without its revisions."""
    return replace(node, created=ZERO, modified=ZERO)


def bare_instance(instance: Instance) -> Instance:
    """An instance without its revisions."""
    return replace(instance, created=ZERO, modified=ZERO)


def bare_check(check: Check) -> Check:
    """A check without its revisions."""
    return replace(check, created=ZERO, modified=ZERO)


def answers(view: View) -> dict[Topic, Facts]:
    """Everything a door can be asked, as its topic names it."""
    out: dict[Topic, Facts] = {NODES: [bare_node(view.nodes[name]) for name in sorted(view.nodes)]}
    for namespace in NAMESPACES:
        out[services_topic(namespace)] = list(queries.services(view, namespace).items())
        out[checks_topic(namespace)] = [_with_holder(view, check) for check in queries.all_checks(view, namespace)]
        for service in WATCHED_SERVICES:
            out[service_topic(namespace, service)] = [
                (bare_node(found.node), bare_instance(found.instance), [bare_check(check) for check in found.checks])
                for found in queries.instances_of(view, namespace, service)
            ]
            out[connect_topic(namespace, service)] = [
                (bare_node(found.node), bare_instance(found.instance), [bare_check(check) for check in found.checks])
                for found in connected_to(view, namespace, service)
            ]
    for node in WATCHED_NODES:
        facts: Facts = [bare_node(view.nodes[node])] if node in view.nodes else []
        facts += [_with_holder(view, check) for check in queries.checks_of_node(view, node)]
        for namespace in NAMESPACES:
            facts += [bare_instance(placed.instance) for placed in queries.instances_on(view, namespace, node)]
            placed_checks = [check for placed in queries.instances_on(view, namespace, node) for check in placed.checks]
            facts += [_with_holder(view, check) for check in placed_checks]
        out[node_topic(node)] = facts
    return out


def _with_holder(view: View, check: Check) -> object:
    """A check as lists of checks show it: with the name and tags of its service."""
    placed = view.placed(check.namespace, check.node, check.instance) if check.instance else None
    return bare_check(check), placed and placed.instance.service, placed and placed.instance.tags


def expected(oracle: Oracle) -> dict[Topic, Facts]:
    """The same from the oracle."""
    out: dict[Topic, Facts] = {NODES: [oracle.nodes[name] for name in sorted(oracle.nodes)]}
    for namespace in NAMESPACES:
        out[services_topic(namespace)] = list(oracle.services(namespace).items())
        of_nodes = [check for name in sorted(oracle.nodes) for check in oracle.checks_of_node(name)] if namespace == "public" else []
        own = [i for _, i in sorted(oracle.instances.items()) if i.namespace == namespace]
        of_instances = [check for instance in own for check in oracle.checks_of(instance)]
        out[checks_topic(namespace)] = [_with_oracles_holder(oracle, check) for check in [*of_nodes, *of_instances]]
        for service in WATCHED_SERVICES:
            out[service_topic(namespace, service)] = list(oracle.instances_of(namespace, service))
            out[connect_topic(namespace, service)] = list(oracle.connected_to(namespace, service))
    for node in WATCHED_NODES:
        facts: Facts = [oracle.nodes[node]] if node in oracle.nodes else []
        facts += [_with_oracles_holder(oracle, check) for check in oracle.checks_of_node(node)]
        for namespace in NAMESPACES:
            there = [i for _, i in sorted(oracle.instances.items()) if (i.namespace, i.node) == (namespace, node)]
            facts += there
            facts += [_with_oracles_holder(oracle, check) for instance in there for check in oracle.checks_of(instance)]
        out[node_topic(node)] = facts
    return out


def differences(view: View, oracle: Oracle) -> list[str]:
    """Where a view and the oracle answer differently; empty when nowhere."""
    found, wanted = answers(view), expected(oracle)
    return [f"{topic}: {found[topic]}, not {wanted[topic]}" for topic in wanted if found[topic] != wanted[topic]]


def _with_oracles_holder(oracle: Oracle, check: Check) -> object:
    holder = oracle.instances.get((check.namespace, check.node, check.instance)) if check.instance else None
    return check, holder and holder.service, holder and holder.tags


def indexes(view: View) -> dict[Topic, Revision]:
    """The index of every topic that `answers` answers."""
    out = {NODES: table_index(view, NODES)}
    for namespace in NAMESPACES:
        out[services_topic(namespace)] = table_index(view, services_topic(namespace))
        out[checks_topic(namespace)] = table_index(view, checks_topic(namespace))
        for service in WATCHED_SERVICES:
            out[service_topic(namespace, service)] = service_index(view, namespace, service)
            out[connect_topic(namespace, service)] = connect_index(view, namespace, service)
    for node in WATCHED_NODES:
        out[node_topic(node)] = node_index(view, node)
    return out


def picture(view: View) -> object:
    """Everything a view holds that an answer can depend on, revisions included."""
    spaces = {
        namespace: (space.by_node, dict(space.by_service), dict(space.by_connect), space.holders)
        for namespace, space in view.spaces.items()
        if space.by_node or space.by_service or space.holders
    }
    counts = view.instances_count, view.checks_count
    return view.position, view.nodes, view.node_checks, spaces, view.floors, view.global_floor, view.term, indexes(view), counts
