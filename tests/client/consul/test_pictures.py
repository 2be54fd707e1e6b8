"""Whole answers become differences: each once, doubted where nobody said it."""

from hypothesis import given
from hypothesis import strategies as st

from callboard.client.consul.pictures import Pictures, Told, merged
from callboard.client.consul.words import instances_of
from callboard.client.machine.picture import Change
from callboard.wire.native import InstanceState
from tests.client.consul.scripted import entry


def instance(name: str, port: int) -> InstanceState:
    import json

    return instances_of(json.dumps([entry(name, port)]).encode(), "")[0]


ANSWERS = st.lists(st.tuples(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 3), max_size=4), st.booleans()), max_size=20)


def told(service: str, ports: dict[str, int], index: int, *, anew: bool) -> Told:
    return Told(service, tuple(instance(name, port) for name, port in ports.items()), index, anew)


def fold(known: dict[str, int], changes: list[Change]) -> None:
    for change in changes:
        if change.instance is None:
            continue
        name, port = change.instance.id, change.instance.port
        if change.kind == "removed":
            assert known.pop(name) == port
        elif change.kind == "added":
            assert name not in known
            known[name] = port
        else:
            assert change.before is not None
            assert known[name] == change.before.port != port
            known[name] = port


@given(ANSWERS)
def test_differences_add_up_to_the_last_answer(answers: list[tuple[dict[str, int], bool]]) -> None:
    pictures, known = Pictures(), dict[str, int]()
    for index, (ports, anew) in enumerate(answers, 1):
        changes = pictures.told(told("web", ports, index, anew=anew))
        fold(known, changes)
        assert known == ports
        assert all(change.inferred is anew for change in changes if change.kind == "removed")
        assert [change.kind for change in changes].count("ready") == anew
        assert [change.more for change in changes] == [True] * (len(changes) - 1) + [False] * bool(changes)


@given(ANSWERS)
def test_answers_that_nobody_saw_lose_no_difference_and_no_doubt(answers: list[tuple[dict[str, int], bool]]) -> None:
    pictures, known = Pictures(), dict[str, int]()
    fold(known, pictures.told(told("web", {"a": 1}, 1, anew=True)))
    slot: Told | None = None
    for index, (ports, anew) in enumerate(answers, 2):
        slot = merged(slot, told("web", ports, index, anew=anew))
    if slot is not None:
        changes = pictures.told(slot)
        fold(known, changes)
        assert known == answers[-1][0]
        assert slot.anew is any(anew for _, anew in answers)


def test_services_do_not_know_each_other() -> None:
    pictures = Pictures()
    pictures.told(told("web", {"a": 1}, 1, anew=True))
    assert [change.kind for change in pictures.told(told("api", {}, 2, anew=True))] == ["ready"]
    assert pictures.told(told("web", {"a": 1}, 3, anew=False)) == []


def test_ready_names_what_is_complete_and_all_when_the_last_failure_is_over() -> None:
    pictures = Pictures()

    def complete(service: str) -> set[str]:
        return set(pictures.told(told(service, {}, 1, anew=True))[-1].services)

    assert complete("a") == {"a"}
    assert complete("b") == {"b"}
    pictures.failed("a")
    pictures.failed("b")
    assert complete("b") == {"b"}
    assert complete("a") == {"a", "b"}
    assert complete("a") == {"a"}


def test_that_nothing_happened_is_told_once_after_a_failure_elsewhere() -> None:
    pictures = Pictures()
    pictures.told(told("a", {}, 4, anew=True))
    assert pictures.heard("a") == []
    pictures.failed("b")
    assert pictures.heard("b") == []
    assert pictures.heard("a") == [Change(kind="ready", revision=4, services=("a",))]
    assert pictures.heard("a") == []
