"""Kept instances: whatever happened to the catalog, and however little is kept, they say what is made from scratch."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from callboard.core.catalog import commands as cmd
from callboard.core.catalog import queries
from callboard.core.catalog.fragments import Fragments
from callboard.core.catalog.queries import Found
from callboard.core.catalog.view import View
from callboard.model.instance import InstanceSpec, NodeSpec
from tests.core.histories import NAMESPACES, Maker, fixed, histories, mesh_histories
from tests.core.world import World

SERVICES = ("web", "WEB", "db", "ghost")


def _whole(found: Found) -> bytes:
    return msgspec.json.encode((found.node, found.instance, found.checks, found.status))


def _compare(view: View, kept: Fragments, limit: int) -> None:
    for namespace in NAMESPACES:
        for service in SERVICES:
            wanted = queries.instances_of(view, namespace, service)
            shown = kept.of_service(view, namespace, service)
            assert [bytes(one.entry) for one in shown] == [_whole(found) for found in wanted]
            assert [one.found for one in shown] == wanted
            assert [one.passing for one in shown] == [found.passing for found in wanted]
            assert kept.weight <= limit


@given(histories | mesh_histories, st.sampled_from([0, 900, 2_500, 1_000_000]), st.data())
def test_kept_instances_are_those_made_from_scratch(history: list[Maker], limit: int, data: st.DataObject) -> None:
    """Also when another view, equal or older, is put in the place of this one."""
    world, kept = World(), Fragments(_whole, limit)
    older = world.reloaded()
    for maker in history:
        world.do(maker)
        what = data.draw(st.sampled_from(["", "", "look", "look", "swap", "older", "remember"]), label="then")
        if what == "swap":
            world.view = world.reloaded()
        elif what == "remember":
            older = world.reloaded()
        if what in {"look", "swap"}:
            _compare(world.view, kept, limit)
        elif what == "older":
            _compare(older, kept, limit)
    _compare(world.view, kept, limit)
    _compare(world.view, kept, limit)


def registration(service: str, name: str, port: int = 80) -> Maker:
    spec = InstanceSpec(service=service, id=name, port=port)
    return fixed(cmd.Register(nonce=f"{service} {name} {port}", node=NodeSpec(name="n1", address="10.0.0.1"), instance=spec, checks=()))


def test_a_service_too_large_to_be_kept_pushes_out_no_other() -> None:
    world = World()
    for number in range(20):
        world.do(registration("large", f"large {number}"))
    world.do(registration("small", "small"))
    kept = Fragments(_whole, 10_000)
    for _ in range(3):
        kept.of_service(world.view, "public", "small")
    (before,) = kept.of_service(world.view, "public", "small")
    for _ in range(3):
        assert len(kept.of_service(world.view, "public", "large")) == 20
    (after,) = kept.of_service(world.view, "public", "small")
    assert after is before
