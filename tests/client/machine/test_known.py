from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from callboard.client.machine.known import Known
from callboard.client.machine.picture import Change
from callboard.model.time import MILLISECOND, Instant
from callboard.wire.native import InstanceState
from tests.client.states import state

HOLD_MS = 30_000
HOLD = HOLD_MS * MILLISECOND
T0 = Instant(10**12)


def change(kind: Any, found: InstanceState, revision: int = 1, *, inferred: bool = False) -> Change:
    return Change(kind=kind, revision=revision, instance=found, inferred=inferred)


def known(*names: str, share: float = 0.5) -> Known:
    one = Known(share, HOLD_MS)
    for name in names:
        one.apply(change("added", state(name)))
    one.ready(1, T0)
    return one


def ids(one: Known) -> str:
    return "".join(found.id for found in one.instances)


def infer(one: Known, names: str, now: int = T0) -> None:
    for name in names:
        one.apply(change("removed", state(name), 2, inferred=True))
    one.ready(2, Instant(now))


def test_what_the_registry_says_is_gone_goes_at_once_also_the_last() -> None:
    one = known("a", "b")
    for name in "ab":
        one.apply(change("removed", state(name)))
    assert (ids(one), one.held, one.deadline()) == ("", 0, None)


def test_a_small_share_that_is_not_mentioned_goes_at_once() -> None:
    one = known("a", "b", "c", "d")
    infer(one, "ab")
    assert (ids(one), one.held) == ("cd", 0)


def test_more_than_the_share_is_held_until_the_deadline() -> None:
    one = known("a", "b", "c", "d")
    infer(one, "abc")
    assert (ids(one), one.held, one.deadline()) == ("abcd", 3, T0 + HOLD)
    assert not one.elapsed(Instant(T0 + HOLD - 1))
    assert one.elapsed(Instant(T0 + HOLD))
    assert (ids(one), one.held, one.deadline()) == ("d", 0, None)


def test_an_empty_picture_is_doubted_even_of_one_instance_and_with_a_share_of_all() -> None:
    for share in (0.5, 1.0):
        one = known("a", share=share)
        infer(one, "a")
        assert (ids(one), one.held) == ("a", 1)


def test_who_comes_back_is_no_longer_held() -> None:
    one = known("a", "b", "c")
    infer(one, "abc")
    one.apply(change("added", state("a", 81), 3))
    assert (ids(one), one.held) == ("abc", 2)
    one.elapsed(Instant(T0 + HOLD))
    assert [(found.id, found.port) for found in one.instances] == [("a", 81)]


def test_who_comes_back_and_is_signed_out_is_gone() -> None:
    one = known("a")
    infer(one, "a")
    one.apply(change("added", state("a"), 3))
    one.apply(change("removed", state("a"), 4))
    assert ids(one) == ""


def test_a_second_look_counts_those_that_are_held_already() -> None:
    one = known(*"abcdefghij")
    infer(one, "abcdef")
    infer(one, "g", T0 + HOLD // 2)
    assert (ids(one), one.held) == ("abcdefghij", 7)
    one.elapsed(Instant(T0 + HOLD))
    assert (ids(one), one.held) == ("ghij", 1)


def test_no_hold_means_no_doubt() -> None:
    one = Known(0.5, 0)
    one.apply(change("added", state("a")))
    one.ready(1, T0)
    infer(one, "a")
    assert ids(one) == ""


def test_what_comes_from_the_disk_stays_until_a_whole_picture_does_not_mention_it() -> None:
    one = Known(0.5, HOLD_MS)
    one.seed([state("a"), state("b"), state("c")], 7)
    assert (ids(one), one.revision, one.confirmed()) == ("abc", 7, [])
    one.apply(change("added", state("a"), 9))
    one.apply(change("added", state("b"), 9))
    assert ids(one) == "abc"
    one.ready(9, T0)
    assert (ids(one), one.held, one.revision) == ("ab", 0, 9)


def test_the_disk_does_not_replace_what_was_heard() -> None:
    one = known("a")
    one.seed([state("a", 9)], 7)
    assert one.instances[0].port == 80


def test_another_feed_must_say_everything_again() -> None:
    one = known("a", "b", "c")
    one.begin()
    assert (one.complete, one.confirmed()) == (False, [])
    for name in "ab":
        one.apply(change("added", state(name), 5))
    one.ready(5, T0)
    assert (ids(one), one.complete) == ("ab", True)


NAMES = st.sampled_from("abcdef")


class Doubting(RuleBasedStateMachine):
    """A registry that sometimes loses its memory, and what is made of what it says."""

    @initialize(share=st.sampled_from([0.0, 0.5, 1.0]))
    def begin(self, share: float) -> None:
        self.share = share
        self.one = Known(share, HOLD_MS)
        self.now = int(T0)
        self.registry: dict[str, InstanceState] = {}
        self.said_gone: set[str] = set()
        self.one.ready(1, T0)

    @rule(name=NAMES, port=st.integers(1, 3))
    def put(self, name: str, port: int) -> None:
        kind = "changed" if name in self.registry else "added"
        self.registry[name] = state(name, port)
        self.said_gone.discard(name)
        self.one.apply(change(kind, self.registry[name]))

    @rule(name=NAMES)
    def sign_out(self, name: str) -> None:
        if name in self.registry:
            self.one.apply(change("removed", self.registry.pop(name)))
            self.said_gone.add(name)

    @rule(names=st.sets(NAMES))
    def forget(self, names: set[str]) -> None:
        before, held = ids(self.one), self.one.held
        lost = [name for name in names if name in self.registry]
        for name in lost:
            self.one.apply(change("removed", self.registry.pop(name), inferred=True))
        self.one.ready(1, Instant(self.now))
        missing = len(lost) + held
        if lost and (missing > self.share * len(before) or missing == len(before)):
            assert ids(self.one) == before

    @rule(seconds=st.integers(1, 40))
    def pass_time(self, seconds: int) -> None:
        self.now += seconds * 1000 * MILLISECOND
        self.one.elapsed(Instant(self.now))
        due = self.one.deadline()
        assert due is None or due > self.now

    @rule()
    def connect_anew(self) -> None:
        self.one.begin()
        for found in self.registry.values():
            self.one.apply(change("added", found))
        self.one.ready(1, Instant(self.now))

    @invariant()
    def what_the_registry_knows_is_known(self) -> None:
        if not hasattr(self, "one"):
            return
        assert {found.id: found for found in self.one.confirmed()} == self.registry
        assert len(self.one.instances) == len(self.registry) + self.one.held
        assert not self.said_gone & set(ids(self.one))
        assert (self.one.deadline() is None) == (self.one.held == 0)


Doubting.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestDoubting = Doubting.TestCase
