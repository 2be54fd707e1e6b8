from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.client.machine.picture import Change, Key, Picture
from callboard.client.machine.sse import SseParser, StreamError
from callboard.model.check import Status
from callboard.model.instance import Phase
from callboard.wire import native_events
from callboard.wire.native import InstanceEvent, InstanceState, MarkEvent, Weights


def instance(name: str, port: int, *, service: str = "web", modified: int = 1) -> InstanceState:
    return InstanceState(
        id=name, service=service, namespace="public", node="n", address="10.0.0.1", port=port, tags=(), meta={}, weights=Weights(),
        phase=Phase.SERVING, status=Status.PASSING, checks=(), created=1, modified=modified,
    )  # fmt: skip


def key(state: InstanceState) -> Key:
    return state.namespace, state.service, state.node, state.id


@dataclass
class Server:
    """A catalog that writes a watch's stream, as the server does: an id on the last event of each group, and on `ready`."""

    there: dict[Key, InstanceState] = field(default_factory=dict)
    revision: int = 0
    log: list[tuple[int, list[tuple[native_events.Kind, InstanceState]]]] = field(default_factory=list)

    def commit(self, puts: list[InstanceState], drops: list[int]) -> None:
        self.revision += 1
        turns: list[tuple[native_events.Kind, InstanceState]] = []
        for state in puts:
            turns.append(("changed" if key(state) in self.there else "added", state))
            self.there[key(state)] = state
        for drop in drops:
            if self.there:
                gone = sorted(self.there)[drop % len(self.there)]
                turns.append(("removed", self.there.pop(gone)))
        self.log.append((self.revision, turns))

    def stream(self, last_id: str, oldest: int) -> Iterator[bytes]:
        """A picture, or what was missed; `resync` when it is older than `oldest`."""
        after = int(last_id.partition(".")[0]) if last_id else -1
        if last_id and (after < oldest or after > self.revision):
            yield native_events.event("resync", msgspec.json.encode(MarkEvent(self.revision, "too old")))
        if after < oldest or after > self.revision:
            for state in self.there.values():
                yield native_events.event("added", msgspec.json.encode(InstanceEvent(self.revision, state)))
        else:
            for revision, turns in self.log:
                yield from self.group(turns, revision) if revision > after else ()
        yield native_events.closing(self.revision, "h", native_events.event("ready", msgspec.json.encode(MarkEvent(self.revision))))

    @staticmethod
    def group(turns: list[tuple[native_events.Kind, InstanceState]], revision: int) -> Iterator[bytes]:
        for place, (kind, state) in enumerate(turns):
            frame = native_events.event(kind, msgspec.json.encode(InstanceEvent(revision, state)))
            yield native_events.closing(revision, "h", frame) if place == len(turns) - 1 else frame


STATES = st.builds(
    instance, st.sampled_from("abc"), st.integers(1, 3), service=st.sampled_from(["web", "api"]), modified=st.integers(1, 3)
)  # fmt: skip
GROUPS = st.lists(st.tuples(st.lists(STATES, max_size=3, unique_by=key), st.lists(st.integers(0, 9), max_size=1)), max_size=3)
CONNECTIONS = st.lists(
    st.tuples(GROUPS, st.integers(0, 20).map(lambda cut: cut * 10), st.booleans(), st.integers(0, 8), GROUPS), min_size=1, max_size=6
)


class Reader:
    """Adds the changes up, and holds each to its meaning."""

    def __init__(self) -> None:
        self.picture = Picture()
        self.sum: dict[Key, InstanceState] = {}
        self.resyncing = False

    def take(self, data: bytes) -> list[Change]:
        parser = SseParser(self.picture.resume_id)
        changes = [change for event in parser.feed(data) for change in self.picture.apply(event)]
        for change in changes:
            self.add(change)
        assert self.sum == self.picture.known
        return changes

    def add(self, change: Change) -> None:
        if change.instance is None:
            assert change.kind in {"ready", "resync"}
            return
        before = self.sum.get(key(change.instance))
        if change.kind == "added":
            assert before is None
        elif change.kind == "changed":
            assert before == change.before
            assert before != change.instance
        else:
            assert before is not None
        if change.kind == "removed":
            del self.sum[key(change.instance)]
        else:
            self.sum[key(change.instance)] = change.instance


@given(CONNECTIONS)
@settings(max_examples=200)
def test_each_difference_is_told_once_however_often_the_stream_breaks(
    connections: list[tuple[list[tuple[list[InstanceState], list[int]]], int, bool, int, list[tuple[list[InstanceState], list[int]]]]],
) -> None:
    server, reader = Server(), Reader()
    for missed, cut, whole, oldest, live in connections:
        for puts, drops in missed:
            server.commit(puts, drops)
        reader.picture.connected()
        data = b"".join(server.stream(reader.picture.resume_id, oldest))
        for puts, drops in live:
            server.commit(puts, drops)
            data += b"".join(server.group(server.log[-1][1], server.revision))
        changes = reader.take(data if whole else data[: cut * len(data) // 200])
        if whole:
            assert reader.sum == server.there
            assert [change.kind for change in changes].count("ready") == 1


def test_the_first_picture_is_told_at_its_end_and_then_each_change() -> None:
    server, reader = Server(), Reader()
    server.commit([instance("a", 1)], [])
    assert [change.kind for change in reader.take(b"".join(server.stream("", 0)))] == ["added", "ready"]
    server.commit([instance("a", 2)], [])
    (change,) = reader.take(b"".join(server.group(server.log[-1][1], 2)))
    assert (change.kind, change.before, change.instance) == ("changed", instance("a", 1), instance("a", 2))


def test_resync_tells_the_differences_that_were_missed() -> None:
    server, reader = Server(), Reader()
    server.commit([instance("a", 1), instance("b", 1), instance("c", 1)], [])
    reader.take(b"".join(server.stream("", 0)))
    server.commit([instance("b", 2)], [0])
    server.commit([instance("d", 1)], [])
    changes = reader.take(b"".join(server.stream(reader.picture.resume_id, oldest=9)))
    told = sorted((change.kind, change.instance.id if change.instance else change.reason) for change in changes)
    assert told == [("added", "d"), ("changed", "b"), ("ready", ""), ("removed", "a"), ("resync", "too old")]


def test_a_picture_that_broke_off_is_asked_for_anew() -> None:
    server, reader = Server(), Reader()
    server.commit([instance("a", 1), instance("b", 1)], [])
    whole = b"".join(server.stream("", 0))
    assert reader.take(whole[:-20]) == []
    assert reader.picture.resume_id == ""
    reader.picture.connected()
    assert [change.kind for change in reader.take(whole)] == ["added", "added", "ready"]
    assert reader.picture.resume_id == "1.h"


def test_a_kind_that_is_not_known_is_passed_over_and_data_that_cannot_be_read_is_not() -> None:
    picture = Picture()
    parser = SseParser()
    assert [picture.apply(event) for event in parser.feed(b"event: moved\ndata: {}\n\n")] == [[]]
    (broken,) = parser.feed(b"event: added\ndata: {}\n\n")
    with pytest.raises(StreamError, match="added"):
        picture.apply(broken)
