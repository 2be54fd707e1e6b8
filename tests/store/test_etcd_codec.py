"""What stands in etcd: keys, values, URLs, and what etcd's errors mean. Pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.model.errors import DivergedError, InvalidError
from callboard.model.rows import ORIGIN, CommandId, Group, Key, Outcome, Position, Refusal, Revision, Row
from callboard.store.etcd.codec import (
    Keyspace,
    decode_head,
    decode_row,
    decode_stage,
    decode_told,
    encode_head,
    encode_row,
    encode_stage,
    encode_told,
)
from callboard.store.etcd.failures import Cause, failure
from callboard.store.etcd.requests import prefix_end
from callboard.store.etcd.settings import EtcdSettings
from callboard.store.etcd.url import parse_url

KEYS = Keyspace("a/b")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
REVISIONS = st.integers(1, 2**53 - 1).map(Revision)
OUTCOMES = st.builds(
    Outcome,
    command=st.builds(CommandId, TEXTS, st.integers(0, 2**53)),
    revision=REVISIONS,
    changed=st.booleans(),
    node=TEXTS,
    refusal=st.none() | st.builds(Refusal, reason=st.just("invalid"), subject=TEXTS, detail=TEXTS),
)


@st.composite
def groups(draw: st.DrawFn) -> Group:
    keys = draw(st.lists(TEXTS.filter(bool).map(Key), unique=True, max_size=8))
    rows = {key: draw(st.none() | st.builds(Row, st.just(key), st.binary(max_size=30), REVISIONS)) for key in keys}
    after = Position(draw(REVISIONS), draw(st.binary(min_size=1, max_size=9)))
    return Group(after, draw(REVISIONS), draw(REVISIONS), draw(st.binary(min_size=1, max_size=9)), rows, tuple(draw(st.lists(OUTCOMES))))


@given(groups())
def test_a_group_is_read_as_it_was_written(group: Group) -> None:
    told = decode_told(encode_told(group))
    assert (told.after, told.first, told.outcomes, told.parts) == (group.after, group.first, group.outcomes, 0)
    assert set(told.removed) == {key for key, row in group.rows.items() if row is None}
    for key, row in group.rows.items():
        assert KEYS.key(KEYS.row(key)) == key
        if row is not None:
            assert decode_row(key, encode_row(row)) == row
    assert decode_head(encode_head(group.position), 7) == group.position


@given(groups(), st.integers(1, 50))
def test_a_stage_is_read_as_it_was_written_however_it_was_cut(group: Group, size: int) -> None:
    parts = encode_stage(group, size)
    assert all(0 < len(part) <= size for part in parts)
    assert decode_stage(parts) == (group.rows, group.outcomes)
    assert decode_told(encode_told(group, len(parts))).parts == len(parts)


@given(st.binary(min_size=1, max_size=9), st.binary(min_size=1, max_size=9), st.integers(0, 10**6))
def test_parts_stand_in_order_below_their_own_mark(mark: bytes, other: bytes, number: int) -> None:
    stage = KEYS.stage(mark)
    assert stage <= KEYS.part(mark, number) < KEYS.part(mark, number + 1) < prefix_end(stage)
    assert (stage <= KEYS.part(other, number) < prefix_end(stage)) == (mark == other)


def test_leased_keys_and_stages_are_outside_what_is_followed_and_loaded() -> None:
    for key in (KEYS.leader, KEYS.member("m"), KEYS.part(b"m", 1)):
        assert not KEYS.data <= key < KEYS.data_end
    for key in (KEYS.head, KEYS.told, KEYS.merge):
        assert KEYS.data <= key < KEYS.data_end
        assert not KEYS.rows <= key < KEYS.rows_end
    assert KEYS.told < KEYS.head < KEYS.head_end < KEYS.merge


def test_a_store_without_a_head_is_at_its_origin() -> None:
    assert decode_head(None, 5) == ORIGIN


@pytest.mark.parametrize("value", [b"", b"7", b"x 00", b"7 zz", b"7 00 00"])
def test_a_head_of_somebody_else_diverges(value: bytes) -> None:
    with pytest.raises(DivergedError, match="not written"):
        decode_head(value, 1)


@pytest.mark.parametrize("value", [b"", b"x", b"x {}", b"-1 {}"])
def test_a_row_of_somebody_else_diverges(value: bytes) -> None:
    with pytest.raises(DivergedError, match="not written"):
        decode_row(Key("k"), value)


@pytest.mark.parametrize(
    ("rest", "endpoints", "prefix"),
    [
        ("//h:1/p", ("h:1",), "p"),
        ("//h:1,127.0.0.1:2/p/q/", ("h:1", "127.0.0.1:2"), "p/q"),
        ("//[::1]:1/p", ("[::1]:1",), "p"),
    ],
)
def test_a_url_names_endpoints_and_a_prefix(rest: str, endpoints: tuple[str, ...], prefix: str) -> None:
    assert parse_url(rest) == (endpoints, prefix)


@pytest.mark.parametrize("rest", ["", "//", "//h:1", "//h:1/", "//h/p", "//h:x/p", "//:1/p", "h:1/p", "///p", "//h:1,h/p"])
def test_any_other_url_is_refused_with_its_form(rest: str) -> None:
    with pytest.raises(InvalidError, match="HOST:PORT"):
        parse_url(rest)


@pytest.mark.parametrize(
    ("code", "details", "cause"),
    [
        ("OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted", Cause.COMPACTED),
        ("OUT_OF_RANGE", "etcdserver: mvcc: required revision is a future revision", Cause.FUTURE),
        ("RESOURCE_EXHAUSTED", "etcdserver: mvcc: database space exceeded", Cause.FULL),
        ("RESOURCE_EXHAUSTED", "etcdserver: too many requests", Cause.BUSY),
        ("INVALID_ARGUMENT", "etcdserver: request is too large", Cause.TOO_LARGE),
        ("UNAUTHENTICATED", "etcdserver: invalid auth token", Cause.TOKEN),
        ("UNAVAILABLE", "etcdserver: no leader", Cause.BUSY),
        ("UNAVAILABLE", "etcdserver: leader changed", Cause.UNKNOWN),
        ("UNAVAILABLE", "etcdserver: request timed out", Cause.UNKNOWN),
        ("UNAVAILABLE", "Connection reset by peer", Cause.UNKNOWN),
        ("DEADLINE_EXCEEDED", "", Cause.UNKNOWN),
        ("CANCELLED", "", Cause.UNKNOWN),
        ("INTERNAL", "whatever comes", Cause.UNKNOWN),
    ],
)
def test_an_error_says_not_applied_only_where_etcd_does(code: str, details: str, cause: Cause) -> None:
    assert failure(code, details).cause is cause


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"tls_cert_path": "c"}, "tls_cert_path"),
        ({"user": "u"}, "user"),
        ({"value_max_bytes": 2_000_000}, "value_max_bytes"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidError, match=field):
        EtcdSettings(**settings)  # type: ignore[arg-type]
