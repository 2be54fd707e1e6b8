import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.model.errors import DivergedError
from callboard.model.rows import CommandId, Group, Key, Outcome, Position, Refusal, Revision, Row
from callboard.store.sqlite.codec import decode, encode

REVISIONS = st.integers(0, 2**53 - 1).map(Revision)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
OUTCOMES = st.builds(
    Outcome,
    st.builds(CommandId, TEXT, st.integers(0, 2**53)),
    REVISIONS,
    st.booleans(),
    TEXT,
    st.none() | st.builds(Refusal, st.sampled_from(["unknown_instance", "invalid"]), TEXT, TEXT),
)
ROWS = st.dictionaries(TEXT.map(Key), st.none() | st.tuples(st.binary(max_size=50), REVISIONS), max_size=10)


@given(ROWS, st.lists(OUTCOMES, max_size=5), REVISIONS, REVISIONS, st.binary(max_size=20))
def test_atomic_a_group_comes_back_as_it_was(
    rows: dict[Key, tuple[bytes, Revision] | None], outcomes: list[Outcome], first: Revision, last: Revision, mark: bytes
) -> None:
    changes = {key: None if row is None else Row(key, *row) for key, row in rows.items()}
    group = Group(Position(first, mark), first, last, mark, changes, tuple(outcomes))
    again = decode(group.after, first, last, mark, encode(group))
    assert again == group
    assert list(again.rows) == list(group.rows)


@given(st.binary(max_size=200))
def test_one_history_an_entry_that_cannot_be_read_is_told(entry: bytes) -> None:
    with contextlib.suppress(DivergedError):
        assert encode(decode(Position(Revision(1), b"m"), Revision(2), Revision(2), b"n", entry))


def test_every_shortened_entry_is_told() -> None:
    key = Key("k")
    entry = encode(Group(Position(Revision(0), b""), Revision(1), Revision(1), b"m", {key: Row(key, b"value", Revision(1))}))
    for length in range(len(entry)):
        with pytest.raises(DivergedError, match="changelog entry 1 cannot be read"):
            decode(Position(Revision(0), b""), Revision(1), Revision(1), b"m", entry[:length])
