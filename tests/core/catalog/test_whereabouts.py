"""Where an id is: what a walk through all nodes finds, whatever comes and goes while the index is made, and in the end without a walk."""

from collections.abc import ItemsView, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.core.catalog import whereabouts
from callboard.core.catalog.whereabouts import Whereabouts
from tests.core.histories import NAMESPACES, Maker, histories
from tests.core.world import World

NAMES = st.sampled_from(["a", "b", "c"])
NODES = st.sampled_from(["n1", "n2", "n3", "n4"])


class Counting(dict[str, dict[str, int]]):
    """What is there, how often somebody walks through it, and how often somebody looks at one node."""

    walks = 0
    looks = 0

    def items(self) -> ItemsView[str, dict[str, int]]:  # type: ignore[override]  # more general than that of dict
        self.walks += 1
        return super().items()

    def get(self, *arguments: Any) -> Any:
        self.looks += 1
        return super().get(*arguments)


@pytest.fixture(autouse=True)
def eager() -> Iterator[None]:
    """An index from the first question on, of one id in a step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whereabouts, "_FEW_NODES_COUNT", 0)
        patch.setattr(whereabouts, "_STEP_MIN_COUNT", 1)
        yield


def walk(by_node: Mapping[str, Mapping[str, object]], name: str) -> set[str]:
    return {node for node, there in by_node.items() if name in there}


@given(st.lists(st.tuples(NODES, NAMES), max_size=8), st.lists(st.tuples(st.booleans(), NODES, NAMES, NAMES), max_size=30))
def test_it_is_what_a_walk_finds_while_ids_come_and_go(first: list[tuple[str, str]], turns: list[tuple[bool, str, str, str]]) -> None:
    found, there = Whereabouts(), dict[str, dict[str, int]]()
    for node, name in first:
        there.setdefault(node, {})[name] = 1
    for comes, node, name, sought in turns:
        if comes and name not in there.get(node, ()):
            there.setdefault(node, {})[name] = 1
            found.came(name, node)
        elif not comes and name in there.get(node, ()):
            del there[node][name]
            if not there[node]:
                del there[node]
            found.went(name, node)
        assert set(found.nodes(sought, there)) == walk(there, sought)
        assert len(found.nodes(sought, there)) == len(walk(there, sought)), "each node once"


def test_nobody_walks_once_all_is_known() -> None:
    found, there = Whereabouts(), Counting({f"n{number}": {f"i{number}": 1, "same": 1} for number in range(8)})
    questions = 0
    while not questions or there.walks == questions:
        assert list(found.nodes("i3", there)) == ["n3"]
        questions += 1
        assert questions <= 2 * 8 * 2 + 2
    walks = there.walks
    assert set(found.nodes("same", there)) == set(there)
    assert list(found.nodes("i9", there)) == []
    there["n9"] = {"i9": 1}
    found.came("i9", "n9")
    assert list(found.nodes("i9", there)) == ["n9"]
    assert there.walks == walks


def test_a_question_takes_no_more_into_the_index_than_it_walks() -> None:
    nodes, each_count = 400, 10
    found, there = (
        Whereabouts(),
        Counting({f"n{number}": {f"i{number}.{each}": 1 for each in range(each_count)} for number in range(nodes)}),
    )
    for question in range(1, 4):
        found.nodes("i1.1", there)
        ids = question * nodes // 16
        assert ids <= there.looks <= ids + ids // each_count + 1


def test_few_nodes_are_walked_through_and_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whereabouts, "_FEW_NODES_COUNT", 8)
    found, there = Whereabouts(), Counting({f"n{number}": {"same": 1} for number in range(8)})
    for _ in range(50):
        found.nodes("same", there)
    assert there.walks == 50


@given(histories)
def test_the_view_keeps_it_through_any_history(history: list[Maker]) -> None:
    world = World()
    for maker in history:
        world.do(maker)
        for namespace in NAMESPACES:
            space = world.view.spaces.get(namespace)
            by_node, holders = (space.by_node, space.holders) if space is not None else ({}, {})
            for name in {name for there in by_node.values() for name in there} | {"nobody"}:
                assert set(world.view.nodes_of_instance(namespace, name)) == walk(by_node, name)
            for name in {name for there in holders.values() for name in there} | {"nobody"}:
                assert set(world.view.nodes_of_check(namespace, name)) == walk(holders, name)
