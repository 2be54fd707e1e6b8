import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.client.machine.saved import SavedError, decode, encode
from callboard.client.snapshot import Snapshot
from tests.client.states import state

NOW_MS = 1_800_000_000_000
AGE_MS = 1_000


def snapshot(names: list[str], revision: int = 1) -> Snapshot:
    return Snapshot(namespace="public", service="web", revision=revision, instances=tuple(map(state, names)))


@given(st.lists(st.text(min_size=1, max_size=5), unique=True, max_size=5), st.integers(0, 2**53))
def test_what_was_kept_is_read_as_it_was(names: list[str], revision: int) -> None:
    one = snapshot(names, revision)
    saved = decode(encode(one, NOW_MS), "public", "WEB", NOW_MS, AGE_MS)
    assert (saved.instances, saved.revision, saved.saved_ms) == (one.instances, revision, NOW_MS)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_bytes_that_were_damaged_are_never_taken_for_something_else(data: st.DataObject) -> None:
    good = encode(snapshot(["a", "b"]), NOW_MS)
    place = data.draw(st.integers(0, len(good) - 1))
    cut = data.draw(st.booleans())
    bad = good[:place] if cut else good[:place] + bytes([data.draw(st.integers(0, 255))]) + good[place + 1 :]
    try:
        saved = decode(bad, "public", "web", NOW_MS, AGE_MS)
    except SavedError:
        return
    assert saved == decode(good, "public", "web", NOW_MS, AGE_MS)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "damaged"),
        (b"[]", "damaged"),
        (b"\xff\xfe", "damaged"),
        (encode(snapshot([]), NOW_MS).replace(b'"schema":1', b'"schema":2'), "schema 2"),
        (encode(snapshot([]), NOW_MS - AGE_MS - 1), "s old"),
        (encode(Snapshot(namespace="public", service="api", revision=1, instances=()), NOW_MS), "'api'"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(SavedError, match=reason):
        decode(data, "public", "web", NOW_MS, AGE_MS)


def test_a_clock_that_was_set_back_does_no_harm() -> None:
    assert decode(encode(snapshot(["a"]), NOW_MS + 10 * AGE_MS), "public", "web", NOW_MS, AGE_MS).revision == 1
