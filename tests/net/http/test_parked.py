"""Parking in virtual time: no lost wake-up, no double answer, nobody woken for nothing."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from callboard.model.rows import Revision
from callboard.model.time import MILLISECOND, SECOND, Duration, Instant
from callboard.model.topics import Topic
from callboard.net.http.answers import Answers, Kept
from callboard.net.http.coding import Dates
from callboard.net.http.message import TEXT, Answer, Content, Read
from callboard.net.http.parked import ANSWER, COSTLY, PARKED, REFUSED, WAKE_PAUSE_MAX, WAKE_SLICE, Parked, Turn, Verdict
from callboard.net.http.routing import PlainErrors
from callboard.net.http.settings import HttpSettings, HttpStats
from callboard.net.http.wheel import TICK, Wheel
from tests.net.http.test_answers import never_packed

ERRORS = PlainErrors()


class Loop:
    """Virtual time: what was put off, and the clock."""

    def __init__(self, drift: int = 0) -> None:
        """`drift`: how much time goes by each time somebody looks at the clock."""
        self.drift = drift
        self.drifted = 0
        self.time = Instant(SECOND)
        self.ready: list[Callable[[], None]] = []
        self.timed: list[tuple[Instant, Callable[[], None]]] = []

    def turn(self) -> Turn:
        return Turn(self._soon, self._later, self._now)

    def _now(self) -> Instant:
        self.drifted += self.drift
        return Instant(self.time + self.drifted)

    def _soon(self, call: Callable[[], None]) -> None:
        self.ready.append(call)

    def _later(self, delay_s: float, call: Callable[[], None]) -> None:
        self.timed.append((Instant(self.time + round(delay_s * SECOND)), call))

    def step(self) -> None:
        ready, self.ready = self.ready, []
        for call in ready:
            call()

    def settle(self) -> None:
        """Until nothing is ready."""
        for _ in range(1000):
            if not self.ready:
                return
            self.step()
        raise AssertionError("never settles")

    def advance(self, span: int) -> None:
        self.time = Instant(self.time + span)
        due = [entry for entry in self.timed if entry[0] <= self.time]
        self.timed = [entry for entry in self.timed if entry[0] > self.time]
        self.ready += [call for _, call in due]


class Client:
    """A waiter, and what became of it."""

    def __init__(self, house: "House") -> None:
        self.house = house
        self.kept: Kept | None = None
        self.after = self.due = self.slot = 0
        self.seen = ""
        self.answers: list[bytes] = []
        self.timeouts = 0

    def answered(self, kept: Kept) -> None:
        assert self.kept is None, "released before it is answered"
        self.answers.append(self.house.answers.wire(kept, gzip=False).partition(b"\r\n\r\n")[2])

    def expired(self, now: Instant) -> None:
        if self.kept is not None:
            assert self.due <= now
            self.timeouts += 1
            self.house.parked.expire(self)


class House:
    """Answers, parked clients and a wheel over a few named texts."""

    def __init__(self, drift: int = 0, **limits: Any) -> None:
        self.loop = Loop(drift)
        self.stats = HttpStats()
        self.revision = 1
        self.texts: dict[str, tuple[str, int]] = {}
        self.renders = 0
        self.broken = False
        known = HttpSettings(**limits)
        self.answers = Answers(known, self.stats, Dates(0), never_packed)
        self.parked = Parked(self.answers, lambda: self.revision, self.loop.turn(), known, self.stats)
        self.wheel = Wheel()

    def text(self, name: str) -> str:
        return self.texts.get(name, ("", 1))[0]

    def write(self, name: str, text: str) -> None:
        self.revision += 1
        self.texts[name] = text, self.revision
        self.parked.changed([Topic(name)])

    def render(self, name: str) -> Content:
        self.renders += 1
        if self.broken:
            raise RuntimeError(name)
        text, revision = self.texts.get(name, ("", 1))
        return Content(Answer(200, text.encode(), TEXT), Revision(revision))

    def ask(self, client: Client, name: str, after: int | None = None, wait: int = SECOND) -> tuple[Verdict, Kept]:
        read = Read(name, (Topic(name),), lambda: self.render(name), b"x-index", after, Duration(wait))
        verdict, kept = self.parked.read(client, read, ERRORS)
        if verdict == PARKED:
            client.seen = self.text(name)
            self.wheel.put(client, self.loop.time + wait)
        return verdict, kept


NAMES = st.sampled_from(["a", "b", "c"])
SLICE = 3


class Parking(RuleBasedStateMachine):
    """Random parking, changes, time, closing and turns of the loop."""

    drift = 0

    def __init__(self) -> None:
        super().__init__()
        self.house = House(self.drift, hand_out_slice_count=SLICE, wake_pause_us_per_waiter=1000)
        self.clients = [Client(self.house) for _ in range(12)]
        self.owed: dict[Client, int] = {}
        self.names: dict[Client, str] = {}

    @rule(number=st.integers(0, 11), name=NAMES, back=st.sampled_from([0, 0, 0, 1, 3, -1, -5]), wait=st.integers(1, 500))
    def park(self, number: int, name: str, back: int, wait: int) -> None:
        client = self.clients[number]
        if client.kept is not None:
            return
        _, seen = self.house.ask(client, name)
        after = max(seen.index - back, 1)
        verdict, kept = self.house.ask(client, name, after, wait * MILLISECOND)
        if verdict == PARKED:
            assert kept.index <= after <= self.house.revision
            self.owed[client] = len(client.answers) + 1
            self.names[client] = name
        else:
            assert verdict == ANSWER
            assert after < kept.index or after > self.house.revision

    @rule(name=NAMES, text=st.sampled_from(["", "x", "y", "z"]))
    def change(self, name: str, text: str) -> None:
        self.house.write(name, text)

    @rule(name=NAMES)
    def read(self, name: str) -> None:
        verdict, kept = self.house.ask(Client(self.house), name)
        assert verdict == ANSWER
        assert bytes(kept.body()).decode() == self.house.text(name), "a plain read always sees what was written"

    @rule(number=st.integers(0, 11))
    def close(self, number: int) -> None:
        client = self.clients[number]
        self.house.parked.release(client)
        self.house.wheel.drop(client)
        self.owed.pop(client, None)
        self.clients[number] = Client(self.house)

    @rule()
    def turn(self) -> None:
        before = sum(len(client.answers) for client in self.clients)
        calls = len(self.house.loop.ready)
        self.house.loop.step()
        assert sum(len(client.answers) for client in self.clients) - before <= SLICE * max(calls, 1), "handed out in slices"

    @rule(span=st.integers(1, 300))
    def time(self, span: int) -> None:
        self.house.loop.advance(span * MILLISECOND)
        while self.house.wheel.turn(self.house.loop.time, 4):
            pass

    @precondition(lambda self: self.owed)
    @rule()
    def settle(self) -> None:
        self.house.loop.settle()
        while self.house.loop.timed:
            pauses = [due - self.house.loop.time for due, _ in self.house.loop.timed]
            self.time(max(-(-max(pauses) // MILLISECOND), 1))
            self.house.loop.settle()
        for client in self.owed:
            if client.kept is not None:
                assert client.seen == self.house.text(self.names[client]), "a lost wake-up"

    @invariant()
    def nobody_is_answered_twice(self) -> None:
        for client, count in self.owed.items():
            assert len(client.answers) == count - (client.kept is not None)

    @invariant()
    def everybody_who_waits_is_counted_once(self) -> None:
        waiting = sum(client.kept is not None for client in self.clients)
        assert self.house.stats.parked_now == waiting
        assert waiting <= len(self.house.wheel) <= len(self.clients)

    @invariant()
    def nobody_waits_past_the_end_of_the_wait(self) -> None:
        assert all(client.kept is None or client.due + TICK > self.house.loop.time for client in self.clients)


class ParkingWhereTimeFlies(Parking):
    """Answers take so long to render that each has a turn of its own."""

    drift = WAKE_SLICE


TestParkingWhereTimeFlies = ParkingWhereTimeFlies.TestCase
TestParkingWhereTimeFlies.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestParking = Parking.TestCase
TestParking.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


def parked(house: House, count: int, name: str = "a") -> list[Client]:
    clients = [Client(house) for _ in range(count)]
    park(clients, name)
    return clients


def park(clients: list[Client], name: str = "a") -> None:
    for client in clients:
        _, kept = client.house.ask(client, name)
        assert client.house.ask(client, name, kept.index)[0] == PARKED


@pytest.mark.parametrize(
    ("after", "verdict"), [(None, ANSWER), (0, ANSWER), (1, ANSWER), (2, PARKED), (3, PARKED), (4, PARKED), (5, ANSWER)]
)
def test_an_index_is_older_equal_between_or_from_the_future(after: int | None, verdict: Verdict) -> None:
    house = House()
    house.write("a", "text")
    house.write("b", "other")
    house.revision = 4
    assert house.ask(Client(house), "a", after)[0] == verdict


def test_a_body_that_did_not_change_keeps_its_index_and_wakes_nobody() -> None:
    house = House()
    house.write("a", "text")
    (client,) = parked(house, 1)
    house.write("a", "text")
    house.loop.settle()
    assert not client.answers
    _, kept = house.ask(Client(house), "a")
    assert (kept.index, kept.newest) == (2, 3)
    assert house.ask(Client(house), "a", 3)[0] == PARKED, "an index between the body's and the newest has seen this body"
    house.write("a", "new")
    house.loop.settle()
    assert client.answers == [b"new"]


def test_a_body_marked_stale_while_nobody_waited_keeps_its_index_too() -> None:
    house = House()
    house.write("a", "text")
    house.ask(Client(house), "a")
    house.write("a", "text")
    assert house.ask(Client(house), "a", 2)[0] == PARKED


def test_three_hundred_waiters_cost_one_rendering_and_are_answered_in_slices() -> None:
    house = House()
    clients = parked(house, 300)
    renders = house.renders
    house.write("a", "text")
    assert house.renders == renders + 1
    assert not any(client.answers for client in clients), "never from within the change"
    house.loop.step()
    assert sum(len(client.answers) for client in clients) == 256
    house.loop.step()
    assert all(client.answers == [b"text"] for client in clients)
    assert house.stats.woken == 300


def test_answers_that_take_long_to_render_leave_turns_to_others() -> None:
    house = House(drift=WAKE_SLICE // 4)
    names = [f"n{number}" for number in range(40)]
    clients = [parked(house, 1, name)[0] for name in names]
    house.texts = dict.fromkeys(names, ("text", 2))
    house.revision, renders = 2, house.renders
    house.parked.changed([Topic(name) for name in names])
    most = house.renders - renders
    while house.loop.ready:
        before = house.renders
        house.loop.step()
        most = max(most, house.renders - before)
    assert house.renders == renders + 40
    assert most <= 4
    assert all(client.answers == [b"text"] for client in clients)


def test_a_topic_nobody_reads_wakes_nobody() -> None:
    house = House()
    (client,) = parked(house, 1)
    house.write("b", "text")
    house.loop.settle()
    assert not client.answers


def test_changes_that_follow_closely_are_merged_into_the_next_wake_up() -> None:
    house = House()
    parked(house, 100)
    house.write("a", "1")
    house.loop.settle()
    again = parked(house, 100)
    renders = house.renders
    house.write("a", "2")
    house.write("a", "3")
    house.loop.settle()
    assert not any(client.answers for client in again)
    assert house.renders == renders
    house.loop.advance(100 * 40_000)
    house.loop.settle()
    assert all(client.answers == [b"3"] for client in again)
    assert house.renders == renders + 1


def test_a_read_after_a_write_sees_it_also_while_wake_ups_pause() -> None:
    house = House()
    parked(house, 100)
    house.write("a", "1")
    house.loop.settle()
    (waiting,) = parked(house, 1)
    house.write("a", "2")
    _, kept = house.ask(Client(house), "a")
    assert bytes(kept.body()) == b"2"
    assert not waiting.answers
    house.loop.advance(SECOND)
    house.loop.settle()
    assert waiting.answers == [b"2"]


def test_an_answer_that_takes_long_to_render_is_not_rendered_for_every_change() -> None:
    """Not even while it stays the same. The last change is told all the same."""
    house = House(drift=COSTLY)  # from one look at the clock to the next
    (waiting,) = parked(house, 1)
    before = house.renders
    for _ in range(40):
        house.write("a", "")
        house.loop.advance(COSTLY)
        house.loop.settle()
    assert 5 <= house.renders - before <= 15
    house.write("a", "last")
    house.loop.advance(SECOND // 2)
    house.loop.settle()
    assert waiting.answers == [b"last"]


def test_who_parks_on_a_newer_body_does_not_hide_those_who_wait_for_it() -> None:
    house = House()
    parked(house, 100)
    house.write("a", "1")
    house.loop.settle()
    (older,) = parked(house, 1)
    house.write("a", "2")
    (newer,) = parked(house, 1)
    house.loop.advance(SECOND)
    house.loop.settle()
    assert (older.answers, newer.answers) == ([b"2"], [])


def test_a_waiter_that_is_handed_out_gets_the_newest_answer() -> None:
    house = House(hand_out_slice_count=1, wake_pause_us_per_waiter=0)
    clients = parked(house, 2)
    house.write("a", "1")
    house.loop.step()
    house.write("a", "2")
    house.loop.settle()
    assert sorted(client.answers[0] for client in clients) == [b"1", b"2"]


def test_one_waiter_that_cannot_be_answered_costs_no_other_its_answer() -> None:
    class Bad(Client):
        def answered(self, kept: Kept) -> None:
            raise RuntimeError

    house = House()
    clients = parked(house, 20)
    for _ in range(3):
        house.ask(Bad(house), "a", 1)
    house.write("a", "1")
    for _ in range(4):
        with suppress(RuntimeError):
            house.loop.step()
    assert all(client.answers == [b"1"] for client in clients)
    assert house.stats.parked_now == 0


def test_when_the_time_is_over_the_same_answer_comes_again() -> None:
    house = House()
    house.write("a", "text")
    (client,) = parked(house, 1)
    house.loop.advance(SECOND + TICK)
    house.wheel.turn(house.loop.time, 10)
    assert client.answers == [b"text"]
    assert house.stats.timeouts == 1


def test_too_many_waiters_are_refused() -> None:
    house = House(parked_max_count=3)
    parked(house, 3)
    _, kept = house.ask(Client(house), "a")
    assert house.ask(Client(house), "a", kept.index)[0] == REFUSED
    house.parked.release_all()
    house.loop.settle()
    assert house.stats.parked_now == 0
    assert house.ask(Client(house), "a", kept.index)[0] == PARKED


def test_waiters_of_an_answer_that_fails_are_told(caplog: pytest.LogCaptureFixture) -> None:
    house = House()
    clients = parked(house, 3)
    house.broken = True
    house.write("a", "text")
    house.loop.settle()
    assert all(client.answers == [b"internal error\n"] for client in clients)
    house.broken = False
    _, kept = house.ask(Client(house), "a")
    assert bytes(kept.body()) == b"text", "a failure is not kept"
    assert caplog.text.count("rendering a failed") == 1


def test_an_answer_without_room_is_answered_but_nobody_parks_on_it() -> None:
    house = House(answers_max_bytes=4_000)
    waiting = parked(house, 1, "a") + parked(house, 1, "b")
    house.write("c", "x" * 3_000)
    verdict, kept = house.ask(Client(house), "c")
    assert (verdict, len(kept.body())) == (ANSWER, 3_000)
    assert house.ask(Client(house), "c", kept.index)[0] == REFUSED
    house.write("a", "1")
    house.write("b", "2")
    house.loop.settle()
    assert [client.answers for client in waiting] == [[b"1"], [b"2"]]


@pytest.mark.parametrize("leaves", [True, False])
def test_who_has_seen_a_body_and_is_put_back_misses_no_change_that_came_meanwhile(leaves: bool) -> None:
    """The wake-up of one body and the change to the next one in the same turn."""
    house = House()
    parked(house, 100)
    house.write("a", "1")
    house.loop.settle()
    clients = [Client(house) for _ in range(40)]  # whatever order a set has, both kinds are among the first
    older, newer = clients[::2], clients[1::2]
    park(older)
    house.write("a", "2")  # its wake-up pauses
    park(newer)
    house.loop.advance(SECOND)
    house.loop.ready.pop(0)()  # the wake-up of 2: all are to be handed out in the next turn
    for client in older if leaves else ():
        house.parked.release(client)
    house.write("a", "3")
    house.loop.settle()
    house.loop.advance(SECOND)
    house.loop.settle()
    assert all(client.answers == ([] if leaves else [b"3"]) for client in older)
    assert all(client.answers == [b"3"] for client in newer)


def test_who_is_put_back_waits_for_an_answer_that_changes_reach() -> None:
    """The answer is pushed out while all who wait for it are on their way to be answered."""
    house = House(answers_max_bytes=4_000)
    parked(house, 100)
    house.write("a", "1")
    house.loop.settle()
    (older,) = parked(house, 1)
    house.write("a", "2")
    (newer,) = parked(house, 1)
    house.loop.advance(SECOND)
    house.loop.ready.pop(0)()
    house.parked.release(older)
    for number in range(5):
        house.ask(Client(house), f"other {number}")
    house.loop.settle()
    house.write("a", "3")
    house.loop.advance(SECOND)
    house.loop.settle()
    assert newer.answers in ([b"2"], [b"3"])


def test_nothing_is_rendered_for_those_who_left() -> None:
    house = House()
    parked(house, 100)
    house.write("a", "1")
    house.loop.settle()
    (waiting,) = parked(house, 1)
    house.write("a", "2")
    house.parked.release(waiting)
    renders = house.renders
    house.loop.advance(SECOND)
    house.loop.settle()
    assert house.renders == renders
    (again,) = parked(house, 1)
    house.write("a", "3")
    house.loop.settle()
    assert again.answers == [b"3"]


def test_a_machine_that_stood_still_while_an_answer_was_rendered_does_not_hold_it_back_for_long() -> None:
    house = House(drift=60 * SECOND)
    (waiting,) = parked(house, 1)
    house.write("a", "1")
    house.loop.settle()
    assert waiting.answers == [b"1"]
    house.loop.drift = 0
    (waiting,) = parked(house, 1)
    house.write("a", "2")
    house.loop.advance(WAKE_PAUSE_MAX)
    house.loop.settle()
    assert waiting.answers == [b"2"]
