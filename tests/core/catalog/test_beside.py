"""Events, coordinates and the autopilot's settings: planned, folded, loaded, and never with an index that falls."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from callboard.core.catalog import beside
from callboard.core.catalog import commands as cmd
from callboard.core.catalog.draft import Draft
from callboard.core.catalog.indexes import table_index
from callboard.core.catalog.overlay import Overlay
from callboard.core.catalog.planning import plan
from callboard.model.autopilot import Autopilot
from callboard.model.coordinate import Place
from callboard.model.event import RING_COUNT, EventSpec, event_id
from callboard.model.instance import NodeSpec
from callboard.model.rows import Refusal, Revision
from callboard.model.time import Timestamp
from callboard.model.topics import AUTOPILOT, COORDINATES, EVENTS
from tests.core.world import World

NODE = cmd.Register(nonce="r1", node=NodeSpec(name="N1", address="10.0.0.1"))
NEAR = Place((0.5,) * 8, 0.1, 0.0, 0.001)


def do(world: World, *commands: cmd.Command) -> list[Refusal | None]:
    """Each command durable at once; why it was refused."""
    refusals = []
    for command in commands:
        draft = Draft(world.view, Overlay(), Revision(world.view.revision + 1))
        decision = plan(draft, command, Timestamp(1))
        refusals.append(decision.refusal)
        world.changes = world.fold({} if decision.refusal is not None else dict(draft.rows))  # type: ignore[attr-defined]
    return refusals


def fire(name: str, nonce: str = "n") -> cmd.FireEvent:
    return cmd.FireEvent(nonce, EventSpec(name=name, payload=b"\x00p"))


def test_events_are_numbered_in_their_order_and_the_ring_keeps_the_last() -> None:
    world = World()
    do(world, *(fire(f"e{number}") for number in range(RING_COUNT + 3)))
    kept = beside.events(world.view)
    assert [event.name for event in kept] == [f"e{number}" for number in range(3, RING_COUNT + 3)]
    assert [event.number for event in kept] == list(range(4, RING_COUNT + 4))
    assert world.view.floors == {}, "events must leave no floors behind"
    assert beside.events(world.view, "e0") == []
    assert beside.events(world.view, "e9")[0].payload == b"\x00p"


@given(st.lists(st.sampled_from(("a", "b", "c")), max_size=30))
def test_the_index_of_events_of_a_name_never_falls_and_rises_with_each_of_them(names: list[str]) -> None:
    world, ring = World(), 4
    shown: dict[int, str] = {}
    before = dict.fromkeys(("a", "b", "c", ""), Revision(0))
    for name in names:
        # a ring of four, so that much leaves it
        (slot, number) = (len(shown) % ring, len(shown) + 1)
        do(world, fire(name))
        event = world.view.events.pop(number % RING_COUNT)
        world.view.events[slot] = event
        shown[number] = name
        for asked, last in before.items():
            index = beside.events_index(world.view, asked, ring)
            assert index >= last
            if asked in {"", name}:
                assert index == world.view.revision
            before[asked] = index


def test_the_halves_of_an_events_id_give_its_revision() -> None:
    for revision in (1, 77, 2**53 - 1):
        text = event_id("nonce", Revision(revision)).replace("-", "")
        assert int(text[:16], 16) ^ int(text[16:], 16) == revision
    assert event_id("x", Revision(1)) != event_id("y", Revision(1))


def test_a_coordinate_needs_its_node_and_goes_with_it() -> None:
    world = World()
    (refusal,) = do(world, cmd.SetCoordinate("n1", NEAR))
    assert refusal is not None
    assert refusal.reason == "unknown_node"
    do(world, NODE, cmd.SetCoordinate("n1", NEAR))
    assert world.view.coordinates["n1"].place == NEAR
    index = table_index(world.view, COORDINATES)
    assert index == world.view.revision
    do(world, cmd.SetCoordinate("N1", NEAR))
    assert world.view.revision == index, "the same again changes nothing"
    do(world, cmd.SetCoordinate("N1", replace(NEAR, error=0.2)))
    assert table_index(world.view, COORDINATES) > index
    do(world, cmd.DeregisterNode("n1"))
    assert world.view.coordinates == {}
    assert table_index(world.view, COORDINATES) == world.view.revision
    assert not any(key.startswith("o/") for key in world.rows)


def test_autopilot_settings_are_kept_and_set_only_on_what_was_seen() -> None:
    world = World()
    wanted = Autopilot(max_trailing_logs=7)
    assert [reason and reason.reason for reason in do(world, cmd.SetAutopilot(wanted, Revision(99)))] == ["superseded"]
    do(world, cmd.SetAutopilot(wanted, Revision(0)))
    kept = world.view.autopilot
    assert kept is not None
    assert (kept.max_trailing_logs, kept.created, kept.modified) == (7, world.view.revision, world.view.revision)
    do(world, cmd.SetAutopilot(wanted))
    assert world.view.autopilot is kept, "the same again changes nothing"
    assert do(world, cmd.SetAutopilot(Autopilot(), Revision(kept.modified - 1)))[0] is not None
    assert do(world, cmd.SetAutopilot(Autopilot(), kept.modified)) == [None]
    assert world.view.autopilot.created == kept.created
    assert table_index(world.view, AUTOPILOT) == world.view.revision


def test_what_is_planned_counts_before_it_is_durable() -> None:
    world, overlay = World(), Overlay()
    do(world, NODE)
    revision = world.view.revision
    outcomes = []
    planned: tuple[cmd.Command, ...] = (
        fire("a"), fire("b"), cmd.SetCoordinate("n1", NEAR), cmd.SetAutopilot(Autopilot(), Revision(0)),
        cmd.SetAutopilot(Autopilot(min_quorum=3), Revision(0)), cmd.DeregisterNode("n1"), cmd.SetCoordinate("n1", NEAR),
    )  # fmt: skip
    rows = {}
    for command in planned:
        draft = Draft(world.view, overlay, Revision(revision + 1))
        decision = plan(draft, command, Timestamp(1))
        outcomes.append(decision.refusal and decision.refusal.reason)
        if decision.refusal is None:
            revision = draft.revision
            draft.accept()
            rows.update(draft.rows)
    assert outcomes == [None, None, None, None, "superseded", None, "unknown_node"]
    world.fold(rows)
    assert [event.name for event in beside.events(world.view)] == ["a", "b"]
    assert world.view.coordinates == {}


def test_load_equals_fold() -> None:
    world = World()
    do(world, NODE, fire("a"), fire("b"), cmd.SetCoordinate("n1", NEAR), cmd.SetAutopilot(Autopilot()))
    loaded = world.reloaded()
    assert (loaded.events, loaded.coordinates, loaded.autopilot) == (world.view.events, world.view.coordinates, world.view.autopilot)
    for topic in (EVENTS, COORDINATES, AUTOPILOT):
        assert table_index(loaded, topic) == table_index(world.view, topic) > 1
