"""Lists that are kept from one change to the next: whatever happened, they are what a walk through the whole catalog would find."""

from hypothesis import given
from hypothesis import strategies as st

from callboard.core.catalog import commands as cmd
from callboard.core.catalog import queries
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


def _registration(service: str, port: int = 80) -> Maker:
    spec = InstanceSpec(service=service, id=service, port=port)
    return fixed(cmd.Register(nonce=f"{service} {port}", node=NodeSpec(name="n1", address="10.0.0.1"), instance=spec, checks=()))


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
