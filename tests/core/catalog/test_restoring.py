"""A catalog that is replaced by a snapshot: it answers what it answered then, no index falls, and nothing that does not fit is taken."""

import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.core.catalog import beside
from callboard.core.catalog import commands as cmd
from callboard.core.catalog.codec import encode
from callboard.core.catalog.draft import Draft
from callboard.core.catalog.overlay import Overlay
from callboard.core.catalog.planning import plan
from callboard.core.catalog.restoring import pack
from callboard.model.check import AliasCheck, CheckSpec, ManualCheck, Status, TtlCheck
from callboard.model.event import EventSpec
from callboard.model.instance import InstanceSpec, NodeSpec
from callboard.model.rows import Key, Refusal, Revision, Row
from callboard.model.time import SECOND, Duration, Timestamp
from tests.core.histories import Maker, histories, mesh_histories
from tests.core.world import World, answers, indexes, picture

NOWHERE = "no such node"


def planned(world: World, *commands: cmd.Command) -> Refusal | None:
    """The commands in one group; why the last of them was refused."""
    overlay, rows, refusal = Overlay(), {}, None
    revision = world.view.revision
    for command in commands:
        draft = Draft(world.view, overlay, Revision(revision + 1))
        refusal = plan(draft, command, Timestamp(1)).refusal
        if refusal is None:
            draft.accept()
            rows.update(draft.rows)
            revision = draft.revision
    world.fold(rows)
    return refusal


def register(instance: str, nonce: str = "r1") -> cmd.Register:
    check = CheckSpec(id="c", definition=TtlCheck(Duration(SECOND)))
    return cmd.Register(
        nonce=nonce, node=NodeSpec(name="home", address="10.0.0.1"), instance=InstanceSpec(service="web", id=instance),
        checks=(cmd.Attached(instance, check),),
    )  # fmt: skip


@given(mesh_histories, histories, st.booleans())
def test_a_restored_catalog_answers_what_it_answered_and_no_index_falls(first: list[Maker], later: list[Maker], other: bool) -> None:
    world = World()
    for maker in first:
        world.do(maker)
    packed, wanted = pack(world.rows.values()), answers(world.view)
    if other:
        world = World()
    for maker in later:
        world.do(maker)
    before = indexes(world.view)
    assert planned(world, cmd.Restore(packed, NOWHERE)) is None
    assert answers(world.view) == wanted
    after = indexes(world.view)
    assert all(after[topic] >= index for topic, index in before.items())
    assert picture(world.reloaded()) == picture(world.view)


def test_what_is_equal_already_is_left_alone() -> None:
    world = World()
    planned(world, register("a"))
    row = world.rows[Key("i/public/home/a")]
    planned(world, register("b", "r2"), cmd.Restore(pack(world.rows.values()), NOWHERE))
    assert world.rows[Key("i/public/home/a")] is row
    assert set(world.view.on_node("public", "home")) == {"a"}


def test_what_is_planned_before_it_in_the_same_group_is_replaced_too() -> None:
    world = World()
    planned(world, register("a"))
    packed = pack(world.rows.values())
    planned(world, cmd.DeregisterInstance(cmd.Target("home", "a")), register("b", "r2"), cmd.Restore(packed, NOWHERE), register("c", "r3"))
    assert set(world.view.on_node("public", "home")) == {"a", "c"}


def test_the_node_of_the_servers_stays_where_it_is() -> None:
    world = World()
    planned(world, register("a"))
    packed = pack(world.rows.values())
    moved = cmd.Register(nonce="r9", node=NodeSpec(name="Home", address="10.9.9.9"))
    planned(world, moved)
    planned(world, cmd.Restore(packed, "home"))
    assert world.view.nodes["home"].address == "10.9.9.9"
    planned(world, cmd.Restore(packed, NOWHERE))
    assert world.view.nodes["home"].address == "10.0.0.1"
    planned(world, cmd.Restore(pack(()), "home"))
    assert set(world.view.nodes) == {"home"}


def test_the_servers_own_entries_outlast_a_snapshot_of_others() -> None:
    world = World()
    own = cmd.Register(
        nonce="r0", node=NodeSpec(name="Home", address="10.0.0.1"), instance=InstanceSpec(service="us", id="us"), set_status=True,
        checks=(cmd.Attached("", CheckSpec(id="alive", definition=ManualCheck(), status=Status.PASSING)),),
    )  # fmt: skip
    planned(world, own)
    before = answers(world.view)
    others = World()
    planned(others, cmd.Register(nonce="x", node=NodeSpec(name="home", address="10.1.1.1", meta={"of": "others"})), register("a"))
    for packed in (pack(()), pack(others.rows.values()), pack(world.rows.values())):
        assert planned(world, cmd.Restore(packed, "home", "us", "alive")) is None
        there = world.view.placed("public", "home", "us")
        check = world.view.check("public", "home", "alive")
        assert there is not None
        assert check is not None
        assert (check.status, check.instance, check.parent) == (Status.PASSING, "", world.view.nodes["home"].nonce)
        assert picture(world.reloaded()) == picture(world.view)
    planned(world, cmd.DeregisterInstance(cmd.Target("home", "a")))
    assert answers(world.view) == before


def test_aliases_say_what_follows_from_what_there_is_and_not_what_a_snapshot_made_them_say() -> None:
    world = World()
    alias = CheckSpec(id="alias", definition=AliasCheck("home"))
    planned(world, cmd.Register(nonce="r1", node=NodeSpec(name="n1", address="10.0.0.2"), checks=(cmd.Attached("", alias),)))
    packed = pack(world.rows.values())
    planned(world, cmd.Register(nonce="r2", node=NodeSpec(name="home", address="10.0.0.1")))
    for command in (cmd.Restore(packed, "home"), cmd.Restore(packed, NOWHERE)):
        planned(world, command)
        check = world.view.check("public", "n1", "alias")
        assert check is not None
        assert check.status is (Status.PASSING if command.home == "home" else Status.CRITICAL)


def test_events_come_back_with_it() -> None:
    world = World()
    planned(world, cmd.FireEvent("n1", EventSpec(name="a")))
    packed = pack(world.rows.values())
    planned(world, cmd.FireEvent("n2", EventSpec(name="b")))
    index = beside.events_index(world.view, "", 256)
    planned(world, cmd.Restore(packed, NOWHERE))
    assert [event.name for event in beside.events(world.view)] == ["a"]
    assert beside.events_index(world.view, "", 256) > index


def test_nothing_is_made_later_than_now() -> None:
    """A snapshot of another store may be of a far higher revision."""
    old, young = World(), World()
    planned(old, *(cmd.FireEvent(f"n{number}", EventSpec(name="x")) for number in range(50)))
    planned(old, register("a"))
    planned(young, cmd.Restore(pack(old.rows.values()), NOWHERE))
    placed = young.view.placed("public", "home", "a")
    assert placed is not None
    assert placed.instance.created == placed.instance.modified == young.view.revision


CHECK_OF_NOBODY = (
    b'{"v":1,"namespace":"public","node":"n1","id":"c","definition":{"type":"manual"},"status":"passing","nonce":"r","instance":"a"}'
)

NODE = b'{"v":1,"name":"n1","address":"10.0.0.1","nonce":"r"}'
PROBED = (
    b'{"v":1,"namespace":"public","node":"n1","id":"c","definition":{"type":"http","interval":%d,"url":"%s"},'
    b'"status":"passing","nonce":"r"}'
)
EVENT = b'{"v":1,"name":"x","number":%d,"nonce":"r"}'


def rows_of(*values: tuple[str, bytes]) -> bytes:
    return pack(Row(Key(key), value, Revision(1)) for key, value in values)


@pytest.mark.parametrize(
    ("packed", "words"),
    [
        (b"", "cut off"),
        (b"no zlib", "incorrect header"),
        (pack(())[:-2], "cut off"),
        (zlib.compress(b"\xc1"), "malformed"),
        (zlib.compress(msgspec.msgpack.encode({"a": 1})), "Expected"),
        (rows_of(("n/n1", b"{}")), "cannot be read"),
        (rows_of(("n/n1", b'{"v":1,"name":"n1","more":' + b"[" * 5_000 + b"]" * 5_000 + b"}")), "recursion"),
        (rows_of(("n/n1", NODE), ("c/public/n1/c", PROBED % (0, b"http://h/"))), "interval"),
        (rows_of(("n/n1", NODE), ("c/public/n1/c", PROBED % (10**9, b"rubbish"))), "url"),
        (rows_of(("e/x", EVENT % 1)), "invalid literal"),
        (rows_of(("e/1", EVENT % -1)), "none that an event can have"),
        (rows_of(("e/1", EVENT % 2**70)), "none that an event can have"),
        (rows_of(("c/public/n1/c", CHECK_OF_NOBODY)), ""),
    ],
)
def test_what_cannot_be_folded_is_refused_and_changes_nothing(packed: bytes, words: str) -> None:
    world = World()
    planned(world, register("a"))
    before = picture(world.view)
    refusal = planned(world, cmd.Restore(packed, NOWHERE))
    assert refusal is not None
    assert refusal.reason == "invalid"
    assert words.lower() in refusal.detail.lower()
    assert picture(world.view) == before


def test_an_instance_on_a_node_without_a_row_is_refused() -> None:
    world = World()
    planned(world, register("a"))
    placed = world.view.placed("public", "home", "a")
    assert placed is not None
    stray = rows_of(("i/public/home/a", encode(placed.instance)))
    refusal = planned(world, cmd.Restore(stray, NOWHERE))
    assert refusal is not None
    assert "has no row" in refusal.detail
