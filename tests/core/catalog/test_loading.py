"""What a view refuses to be made of."""

import pytest

from callboard.core.catalog import commands as cmd
from callboard.core.catalog.codec import UnreadableRowError
from callboard.core.catalog.fold import fold
from callboard.core.catalog.indexes import table_index
from callboard.core.catalog.loading import Loader
from callboard.model.check import CheckSpec, ManualCheck
from callboard.model.errors import DivergedError
from callboard.model.instance import InstanceSpec, NodeSpec
from callboard.model.rows import GLOBAL_FLOOR, Group, Key, Position, Revision, Row
from callboard.model.topics import NODES, checks_topic, services_topic
from tests.core.histories import fixed
from tests.core.world import World, picture

NODE = NodeSpec(name="n1", address="10.0.0.1")


def world() -> World:
    made = World()
    checks = (
        cmd.Attached("a", CheckSpec(id="c1", definition=ManualCheck())),
        cmd.Attached("", CheckSpec(id="n", definition=ManualCheck())),
    )
    made.do(fixed(cmd.Register(nonce="r1", node=NODE, instance=InstanceSpec(service="web", id="a"), checks=checks)))
    return made


def test_a_row_of_an_unknown_schema_or_damaged_is_never_treated_as_absent() -> None:
    made = world()
    rows = dict(made.rows)
    for key, row in made.rows.items():
        if key.startswith("meta/"):
            continue
        for value in (row.value.replace(b'{"v":1,', b'{"v":2,'), row.value[:-3], b"", b"{}"):
            with pytest.raises(UnreadableRowError, match=key):
                made.reloaded({**rows, key: Row(key, value, row.revision)}.values())


@pytest.mark.parametrize("missing", ["i/public/n1/a", "n/n1"])
def test_rows_that_do_not_belong_together_are_another_history(missing: str) -> None:
    made = world()
    with pytest.raises(DivergedError, match="has no row"):
        made.reloaded(row for key, row in made.rows.items() if key != missing)


def test_rows_may_come_in_any_batches() -> None:
    made = world()
    one, all_at_once = Loader(), Loader()
    for row in made.rows.values():
        one.add([row])
        one.add([])
    all_at_once.add(made.rows.values())
    assert picture(one.finish(made.view.position)) == picture(all_at_once.finish(made.view.position)) == picture(made.view)


def test_a_group_that_does_not_follow_the_view_is_another_history() -> None:
    made = world()
    before = picture(made.view)
    for after in (Position(Revision(1), b"opening"), Position(made.view.revision, b"other")):
        group = Group(after, Revision(9), Revision(9), b"m", {Key("n/x"): None})
        with pytest.raises(DivergedError, match="does not follow"):
            fold(made.view, group, group.position)
    assert picture(made.view) == before


def test_a_group_of_a_check_without_its_instance_is_another_history() -> None:
    made = world()
    row = made.rows[Key("c/public/n1/c1")]
    other = Row(Key("c/public/n1/c9"), row.value.replace(b'"instance":"a"', b'"instance":"gone"').replace(b'"c1"', b'"c9"'), Revision(9))
    with pytest.raises(DivergedError, match="has no row"):
        made.fold({other.key: other})


def test_rows_of_tables_this_program_does_not_know_change_nothing() -> None:
    """Rooms to come write rows of their own."""
    made = world()
    topics = made.fold({Key("k/public/x"): Row(Key("k/public/x"), b"anything", Revision(9)), Key("z/x/1"): None})
    assert topics is not None
    assert topics.topics == set()
    assert made.reloaded().floors == made.view.floors


def test_the_global_floor_counts_for_every_topic() -> None:
    made = world()
    made.fold({GLOBAL_FLOOR: Row(GLOBAL_FLOOR, b'{"v":1,"at":50}', Revision(60))})
    from tests.core.world import indexes

    assert set(indexes(made.view).values()) == {50}
    assert set(indexes(made.reloaded()).values()) == {50}


def test_a_namespace_goes_with_its_last_row_and_its_indexes_stay() -> None:
    made = World()
    check = cmd.Attached("a", CheckSpec(id="c1", definition=ManualCheck()))
    before = set(made.view.spaces), set(made.view.tables)
    instance = InstanceSpec(namespace="passing-by", service="web", id="a")
    made.do(fixed(cmd.Register(nonce="r1", node=NODE, instance=instance, checks=(check,), namespace="passing-by")))
    shown = [table_index(made.view, topic("passing-by")) for topic in (services_topic, checks_topic)]
    made.do(fixed(cmd.DeregisterInstance(cmd.Target("n1", "a", "passing-by"))))
    assert (set(made.view.spaces), set(made.view.tables) - {NODES}) == before
    assert [table_index(made.view, topic("passing-by")) for topic in (services_topic, checks_topic)] > shown
