"""Lists that are kept from one change to the next: whatever happened, they are what a walk through the whole catalog would find."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.core.catalog import commands as cmd
from callboard.core.catalog import listing, queries
from callboard.core.catalog.differences import differences
from callboard.core.catalog.listing import Listing
from callboard.core.catalog.queries import Found
from callboard.core.catalog.view import View
from callboard.model.instance import InstanceSpec, NodeSpec
from tests.core.histories import NAMESPACES, Maker, fixed, histories
from tests.core.world import World


def _everything(view: View, namespace: str, service: str) -> list[Found]:
    return queries.instances_of(view, namespace, service)


def _tags(view: View, namespace: str, service: str) -> dict[str, list[str]]:
    return queries.tags_by_name(view.of_service(namespace, service).values())


def _walk(view: View, namespace: str) -> dict[str, list[Found]]:
    space = view.spaces.get(namespace)
    return {service: _everything(view, namespace, service) for service in sorted(space.by_service)} if space is not None else {}


@given(histories, st.data())
def test_a_list_is_what_a_walk_finds(history: list[Maker], data: st.DataObject) -> None:
    world, whole, tags = World(), Listing(_everything, with_health=True), Listing(_tags, with_health=False)
    for maker in history:
        before = world.reloaded()
        changes = world.do(maker).changes
        if data.draw(st.booleans(), label="loaded anew"):
            changes = differences(before, world.view)
        if changes is not None:
            whole.apply(world.view, changes)
            tags.apply(world.view, changes)
        if data.draw(st.booleans(), label="looked at"):
            for namespace in NAMESPACES:
                listed = whole.of(world.view, namespace)
                assert listed == _walk(world.view, namespace)
                assert list(listed) == sorted(listed)
                named = tags.of(world.view, namespace).values()
                assert {name: each for names in named for name, each in names.items()} == queries.services(world.view, namespace)


def _registration(service: str, port: int = 80, instance: str = "") -> Maker:
    spec = InstanceSpec(service=service, id=instance or service, port=port)
    return fixed(cmd.Register(nonce=f"{spec.id} {port}", node=NodeSpec(name="n1", address="10.0.0.1"), instance=spec, checks=()))


def test_only_what_changed_is_worked_out_again() -> None:
    made: list[str] = []

    def make(view: View, namespace: str, service: str) -> str:
        made.append(service)
        return service

    world, listing = World(), Listing(make, with_health=True)
    for service in ("db", "web"):
        world.do(_registration(service))
    assert list(listing.of(world.view, "public")) == ["db", "web"]
    assert sorted(made) == ["db", "web"]
    made.clear()
    changes = world.do(_registration("web", port=81)).changes
    assert changes is not None
    listing.apply(world.view, changes)
    listing.of(world.view, "public")
    listing.of(world.view, "public")
    assert made == ["web"]


def test_services_that_have_gone_leave_nothing_behind_though_nobody_asks() -> None:
    """Names that are used once, as those of jobs, are as many as there is time."""
    world, listing = World(), Listing(_everything, with_health=True)
    world.do(_registration("web"))
    listing.of(world.view, "public")
    for number in range(50):
        for maker in (_registration(f"job-{number}"), fixed(cmd.DeregisterInstance(cmd.Target("n1", f"job-{number}")))):
            changes = world.do(maker).changes
            assert changes is not None
            listing.apply(world.view, changes)
    assert listing.count == 1
    assert list(listing.of(world.view, "public")) == ["web"]


def test_much_can_be_done_in_steps_and_changes_between_them_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_STEP_INSTANCES_COUNT", 4)
    world, kept = World(), Listing(_everything, with_health=True)
    assert not kept.much(world.view, "public")
    assert kept.step(world.view, "public"), "nothing is there"
    for number in range(12):
        world.do(_registration(f"s{number:02}"))
    assert kept.much(world.view, "public")
    steps = 0
    while not kept.step(world.view, "public"):
        steps += 1
        for maker in (_registration("s03", port=81), _registration(f"new{min(steps, 2)}")):
            changes = world.do(maker).changes
            if changes is not None:
                kept.apply(world.view, changes)
        assert steps < 12
    assert steps > 12 // 4
    assert not kept.much(world.view, "public")
    listed = kept.of(world.view, "public")
    assert listed == _walk(world.view, "public")
    assert list(listed) == sorted(listed)


def test_one_large_service_is_much_and_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_STEP_INSTANCES_COUNT", 4)
    world, kept = World(), Listing(_everything, with_health=True)
    for number in range(6):
        spec = InstanceSpec(service="web", id=f"web-{number}")
        world.do(fixed(cmd.Register(nonce=f"{number}", node=NodeSpec(name="n1", address="10.0.0.1"), instance=spec, checks=())))
    assert kept.much(world.view, "public")
    assert kept.step(world.view, "public")
    assert not kept.much(world.view, "public")


@pytest.mark.parametrize("size", [1, 5])
def test_steps_end_though_services_change_all_the_time(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(listing, "_STEP_INSTANCES_COUNT", 4)
    world, kept, count = World(), Listing(_everything, with_health=True), 12
    for service in range(count):
        for number in range(size):
            world.do(_registration(f"s{service:02}", instance=f"{service}-{number}"))
    assert kept.much(world.view, "public")
    steps = 0
    while not kept.step(world.view, "public"):
        steps += 1
        assert steps < 3 * count, "no end in sight"
        for service in range(count):
            changes = world.do(_registration(f"s{service:02}", instance=f"{service}-0", port=1_000 + steps)).changes
            assert changes is not None
            kept.apply(world.view, changes)
    assert kept.of(world.view, "public") == _walk(world.view, "public")


def test_what_changes_while_steps_are_taken_is_for_another_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer services each time: what is left for the list itself is little."""
    monkeypatch.setattr(listing, "_STEP_INSTANCES_COUNT", 4)
    world, kept, left = World(), Listing(_everything, with_health=True), 8
    for service in range(24):
        world.do(_registration(f"s{service:02}"))
    while not kept.step(world.view, "public"):
        for _ in range(min(left, 2)):
            left -= 1
            changes = world.do(_registration(f"s{left:02}", port=81)).changes
            assert changes is not None
            kept.apply(world.view, changes)
    assert left == 0
    assert not kept.much(world.view, "public")
    assert kept.of(world.view, "public") == _walk(world.view, "public")


@pytest.mark.parametrize("in_steps", [False, True])
def test_a_service_that_cannot_be_told_once_is_not_forgotten(in_steps: bool) -> None:  # a parameter
    failing = ["db"]

    def make(view: View, namespace: str, service: str) -> str:
        if service in failing:
            raise ValueError(service)
        return service

    world, kept = World(), Listing(make, with_health=True)
    for service in ("db", "web"):
        world.do(_registration(service))
    with pytest.raises(ValueError, match="db"):
        (kept.step if in_steps else kept.of)(world.view, "public")
    failing.clear()
    assert list(kept.of(world.view, "public")) == ["db", "web"]
