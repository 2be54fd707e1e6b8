from hypothesis import example, given
from hypothesis import strategies as st

from callboard.model.rows import (
    ORIGIN,
    ZERO,
    Group,
    Key,
    Position,
    Revision,
    Row,
    check_key,
    escape,
    instance_key,
    node_key,
    split_key,
    unescape,
)

PARTS = st.text(max_size=12) | st.text("/%2F5", max_size=8)


@given(PARTS)
@example("%2F")
@example("%252F/")
def test_a_part_of_a_key_survives_and_has_no_slash(part: str) -> None:
    assert unescape(escape(part)) == part
    assert "/" not in escape(part)


@given(PARTS, PARTS, PARTS)
def test_keys_of_different_things_never_meet_and_tell_their_parts(namespace: str, node: str, name: str) -> None:
    assert split_key(instance_key(namespace, node, name)) == ["i", namespace, node, name]
    assert split_key(check_key(namespace, node, name)) == ["c", namespace, node, name]
    assert split_key(node_key(node)) == ["n", node]


def test_a_group_ends_at_its_last_row_and_an_empty_one_where_it_began() -> None:
    row = Row(Key("k"), b"", Revision(2))
    assert Group(ORIGIN, Revision(1), Revision(2), b"m", {row.key: row}).position == Position(Revision(2), b"m")
    assert Group(ORIGIN, ZERO, ZERO, b"m", {}).position == ORIGIN


def test_positions_are_equal_whatever_their_cursor() -> None:
    assert Position(Revision(1), b"m", 5) == Position(Revision(1), b"m", 6)
    assert Position(Revision(1), b"m") != Position(Revision(1), b"n")
