"""Doors: who is there, and up to which moment each has delivered what it heard."""

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from callboard.core.doors import LOCAL, UNKNOWN, Doors
from callboard.model.time import Instant


def doors_of(*nonces: str) -> Doors:
    doors = Doors()
    assert doors.present(nonces, Instant(0)) == []
    return doors


def test_without_other_doors_everything_is_delivered() -> None:
    assert Doors().covered(Instant(7)) == 7


def test_a_door_covers_what_it_heard_before_our_answer_to_the_batch_it_had_received() -> None:
    doors = doors_of("a")
    doors.delivered("a", 0, Instant(10))
    assert doors.covered(Instant(10)) < 0, "it may have heard something before its first batch"
    doors.answered("a", 1, Instant(11))
    assert doors.covered(Instant(15)) < 0, "and after it"
    doors.delivered("a", 1, Instant(20))
    assert doors.covered(Instant(20)) == 11


def test_a_batch_begun_before_our_last_answer_does_not_cover_up_to_it() -> None:
    """The door had given up waiting for that answer."""
    doors = doors_of("a")
    doors.answered("a", 1, Instant(11))
    doors.answered("a", 2, Instant(30))
    doors.delivered("a", 1, Instant(31))
    assert doors.covered(Instant(31)) == 11


def test_of_a_batch_that_is_answered_twice_the_first_answer_counts() -> None:
    doors = doors_of("a")
    doors.answered("a", 1, Instant(11))
    doors.answered("a", 1, Instant(30))
    doors.delivered("a", 1, Instant(31))
    assert doors.covered(Instant(31)) == 11


def test_coverage_never_goes_back_and_answers_of_long_ago_cover_nothing() -> None:
    doors = doors_of("a")
    for batch in range(20):
        doors.answered("a", batch, Instant(10 * batch))
    doors.delivered("a", 1, Instant(300))
    assert doors.covered(Instant(300)) < 0
    doors.delivered("a", 19, Instant(300))
    doors.delivered("a", 15, Instant(300))
    assert doors.covered(Instant(300)) == 190


def test_the_door_that_has_delivered_least_decides_and_a_new_one_covers_nothing() -> None:
    doors = doors_of("a", "b")
    for nonce, moment in [("a", 11), ("b", 17)]:
        doors.answered(nonce, 1, Instant(moment))
        doors.delivered(nonce, 1, Instant(20))
    assert doors.covered(Instant(20)) == 11
    assert doors.present(["b"], Instant(21)) == [2]
    assert doors.covered(Instant(21)) == 17
    doors.present(["b", "c"], Instant(22))
    assert doors.covered(Instant(22)) < 0


def test_a_door_that_left_and_came_back_covers_nothing() -> None:
    doors = doors_of("a")
    doors.answered("a", 1, Instant(11))
    assert doors.present([], Instant(12)) == [2]
    doors.present(["a"], Instant(13))
    doors.delivered("a", 1, Instant(14))
    assert doors.covered(Instant(14)) < 0


def test_whoever_is_not_present_has_no_number_and_holds_nothing() -> None:
    doors = doors_of("a")
    doors.answered("ghost", 1, Instant(1))
    doors.delivered("ghost", 1, Instant(2))
    assert (doors.number("ghost"), len(doors)) == (None, 1)
    doors.present([], Instant(3))
    assert doors.covered(Instant(4)) == 4


def test_doors_that_have_not_been_heard_from_are_known() -> None:
    doors = doors_of("a", "b")
    doors.delivered("a", 0, Instant(10))
    assert doors.silent(Instant(10)) == ["b"]
    assert doors.silent(Instant(11)) == ["a", "b"]


@given(st.lists(st.sets(st.sampled_from("abcdef")), max_size=20))
def test_numbers_are_small_and_no_newcomer_gets_one_in_the_moment_its_owner_dies(rounds: list[set[str]]) -> None:
    doors = Doors()
    for there in rounds:
        before = {nonce: number for nonce in "abcdef" if (number := doors.number(nonce)) is not None}
        died = doors.present(sorted(there), Instant(0))
        after = {nonce: number for nonce in "abcdef" if (number := doors.number(nonce)) is not None}
        assert died == sorted(number for nonce, number in before.items() if nonce not in there)
        assert set(after) == there
        assert all(after[nonce] == before[nonce] for nonce in there & set(before))
        assert not {after[nonce] for nonce in there - set(before)} & set(died)
        assert len(set(after.values())) == len(after)
        assert all(number not in {UNKNOWN, LOCAL} and number <= 13 for number in after.values())


# -- a door that sends, times out and sends again, over a link that delays, loses and repeats


class Sent(NamedTuple):
    batch: int
    after: int
    heard: tuple[int, ...]
    """Moments of the signs of life in it."""


class Link:
    """One door and the leader. Time is a count of steps; something is heard in each."""

    def __init__(self) -> None:
        self.doors = doors_of("a")
        self.now = 0
        self.heard: list[int] = []
        self.batch = self.after = 0
        self.under_way: list[Sent] = []
        self.answers: list[int] = []
        self.arrived: set[int] = set()

    def step(self, what: str, place: int) -> None:
        """The door hears something; then something happens."""
        self.now += 1
        self.heard.append(self.now)
        if what == "send":
            self.batch += 1
            self.under_way.append(Sent(self.batch, self.after, tuple(self.heard)))
        elif what == "arrive" and self.under_way:
            self._arrive(self.under_way[place % len(self.under_way)])
        elif what == "answer" and self.answers:
            answered = self.answers.pop(place % len(self.answers))
            if answered > self.after:
                self.after = answered
                self.heard = [moment for moment in self.heard if moment not in self.arrived]
        elif what == "lose" and self.under_way:
            self.under_way.pop(place % len(self.under_way))

    def _arrive(self, sent: Sent) -> None:
        """It stays under way: it may come again."""
        self.arrived.update(sent.heard)
        self.doors.delivered("a", sent.after, Instant(self.now))
        self.doors.answered("a", sent.batch, Instant(self.now))
        self.answers.append(sent.batch)


@given(st.lists(st.tuples(st.sampled_from(["send", "arrive", "answer", "lose"]), st.integers(0, 5)), max_size=60))
def test_what_is_covered_has_arrived_whatever_the_link_does(steps: list[tuple[str, int]]) -> None:
    link = Link()
    before = Instant(-1)
    for what, place in steps:
        link.step(what, place)
        covered = link.doors.covered(Instant(link.now))
        assert covered >= before
        assert all(moment in link.arrived for moment in range(1, covered)), "a sign of life is missing"
        before = covered
