"""What goes over the channel of a worker comes out as it went in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.model.errors import (
    CallboardError,
    CompactedError,
    DeposedError,
    DivergedError,
    FullError,
    IndeterminateError,
    InvalidError,
    LockedError,
    NameTakenError,
    StoreError,
    TooLargeError,
    UnavailableError,
)
from callboard.model.members import Card
from callboard.model.rows import CommandId, Group, Key, Outcome, Position, Refusal, Revision, Row
from callboard.store.contract import Caps, Health
from callboard.store.unix import messages as msg

REVISIONS = st.integers(0, 2**53 - 1).map(Revision)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(Key)
MARKS = st.binary(max_size=20)
POSITIONS = st.builds(Position, REVISIONS, MARKS)
ROWS = st.builds(Row, KEYS, st.binary(max_size=30), REVISIONS)
REFUSALS = st.builds(Refusal, st.sampled_from(["unknown_check", "full"]), KEYS, KEYS)
OUTCOMES = st.builds(Outcome, st.builds(CommandId, KEYS, REVISIONS), REVISIONS, st.booleans(), KEYS, st.none() | REFUSALS)
ERRORS = [
    InvalidError("field", "must be so"), InvalidError("", "must be so"), TooLargeError("9 bytes, 8 are taken"), CompactedError(17),
    NameTakenError("m", "http://h:1"), LockedError("/data", 4), DeposedError("a"), UnavailableError("b"), IndeterminateError("c"),
    FullError("d"), DivergedError("e"), StoreError("f"),
]  # fmt: skip


@given(POSITIONS, REVISIONS, REVISIONS, MARKS, st.dictionaries(KEYS, st.none() | ROWS), st.lists(OUTCOMES), st.integers(0, 2**31))
def test_groups(
    after: Position, first: Revision, last: Revision, mark: bytes, rows: dict[Key, Row | None], outcomes: list[Outcome], lead: int
) -> None:
    named = {key: row._replace(key=key) if row is not None else None for key, row in rows.items()}
    group = Group(after, first, last, mark, named, tuple(outcomes))
    assert msg.decode_group(msg.encode_group(group)) == group
    assert msg.decode_commit(msg.encode_commit(lead, group)) == (lead, group)


@given(POSITIONS, st.lists(ROWS))
def test_positions_and_rows(position: Position, rows: list[Row]) -> None:
    assert msg.decode_position(msg.encode_position(position)) == position
    assert msg.decode_rows(msg.encode_rows(rows)) == rows


def test_cards_caps_and_health() -> None:
    cards = (Card(name="a", nonce="n", url="u", secret="s", worker_of="w"), Card(name="b", nonce="m"))
    assert msg.decode_cards(msg.encode(cards)) == cards
    both = Caps(1, 2, 3, durable=True, shared=True, parts_rows=4, parts_bytes=5), Health(reachable=True, detail="d", size_bytes=6)
    assert msg.decode(msg.encode(both), tuple[Caps, Health]) == both


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_errors_are_raised_as_they_were(error: CallboardError) -> None:
    again = msg.decode_error(msg.encode_error(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
