"""One call over several instances: who is told how it went, how often, and when it is over."""

import math
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.balance.picked import Picked
from callboard.client import deadline
from callboard.client.attempts import Attempt, Attempts
from callboard.client.board_settings import BoardSettings
from callboard.client.errors import DeadlineError, NoInstanceError, NoPictureError
from callboard.client.events import AttemptEnded, Ejected, Event
from callboard.client.service import Service
from callboard.model.time import SECOND
from callboard.wire.native import InstanceState
from tests.client.states import fake_engine, state
from tests.support import poll_until


class Play:
    """A service of some instances whose registry the test plays, and everything that is told of calls to it."""

    def __init__(self, *instances: InstanceState, **changes: object) -> None:
        self.engine, self.backend = fake_engine(BoardSettings(snapshots="off", **changes))  # type: ignore[arg-type]
        self.events: list[Event] = []
        self.engine.observers.add(self.events.append)
        self.service = Service(self.engine, "web", {"policy": "p2c"})
        self.backend.feed.tell(*instances)
        self.service.wait(60)
        self.calls: list[Attempts] = []

    def first(self, **options: Any) -> Attempt:
        """The first attempt of a call that is held until the end of the test."""
        self.calls.append(self.service.attempts(**options))
        return next(self.calls[-1])

    def in_flight(self) -> int:
        finder = self.service.finder
        return sum(finder.picker.in_flight(endpoint.key) for endpoint in finder.endpoints)

    def outcomes(self) -> list[str]:
        return [event.outcome for event in self.events if isinstance(event, AttemptEnded)]


@pytest.fixture
def play() -> Iterator[Play]:
    playing = Play(state("a", 1), state("b", 2), state("c", 3))
    yield playing
    playing.engine.close()


class FailureError(OSError):
    """What a client library raises."""


def test_a_call_that_is_answered_is_over(play: Play) -> None:
    attempts = play.service.attempts()
    attempt = next(attempts)
    assert play.in_flight() == 1
    assert attempt.answered(200)
    assert (list(attempts), play.in_flight(), play.outcomes()) == ([], 0, ["200"])
    (event,) = [event for event in play.events if isinstance(event, AttemptEnded)]
    assert (event.service, event.instance, event.address, event.port, event.number) == (
        "web", attempt.endpoint.key, "127.0.0.1", attempt.port, 1,
    )  # fmt: skip


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_another_instance_is_asked_when_one_says_not_now(play: Play, status: int) -> None:
    ports = []
    for attempt in play.service.attempts():
        ports.append(attempt.port)
        assert attempt.answered(status if attempt.number == 1 else 200) == (attempt.number == 2)
    assert len(set(ports)) == 2
    assert play.in_flight() == 0


@pytest.mark.parametrize("status", [200, 301, 404, 409, 500, 501])
def test_other_answers_are_the_callers(play: Play, status: int) -> None:
    assert play.first().answered(status)


def test_the_last_attempts_answer_is_the_callers_whatever_it_is(play: Play) -> None:
    assert [attempt.answered(503) for attempt in play.service.attempts()] == [False, True]


def test_a_failure_is_raised_when_there_is_no_other_attempt(play: Play) -> None:
    attempts = play.service.attempts()
    next(attempts).failed(FailureError("1"))
    last = next(attempts)
    with pytest.raises(FailureError, match="2"):
        last.failed(FailureError("2"))
    assert (play.in_flight(), play.outcomes()) == (0, ["broken", "broken"])


def test_what_is_raised_says_who_was_called(play: Play) -> None:
    attempt = play.first(idempotent=False)
    with pytest.raises(FailureError) as raised:
        attempt.failed(FailureError("refused"))
    assert raised.value.__notes__ == [f"attempt 1 to call 'web', at instance {attempt.endpoint.id!r}, http://127.0.0.1:{attempt.port}"]


def test_what_is_not_idempotent_is_sent_once(play: Play) -> None:
    attempt = play.first(idempotent=False)
    assert attempt.answered(503)
    with pytest.raises(FailureError):
        play.first(idempotent=False).failed(FailureError())
    attempts = play.service.attempts(idempotent=False)
    next(attempts).failed(FailureError(), sent=False)
    assert next(attempts).answered(200)
    assert play.outcomes() == ["503", "broken", "unreached", "200"]


def test_with_one_instance_the_same_is_asked_again_after_a_moment() -> None:
    play = Play(state("a"))
    attempts = play.service.attempts()
    next(attempts).failed(FailureError())
    assert next(attempts).answered(200)
    play.engine.close()


def test_the_time_is_split_over_the_attempts_and_told_to_the_server(play: Play) -> None:
    attempt = play.first(timeout_s=1_000)
    assert 450 < attempt.timeout_s <= 500
    assert 900 < attempt.remaining_s <= 1_000
    assert 450_000 < int(attempt.headers["X-Deadline-Ms"]) <= 500_000
    once = play.first(timeout_s=1_000, idempotent=False)
    assert 900_000 < int(once.headers["X-Deadline-Ms"]) <= 1_000_000


def test_without_a_limit_nothing_is_told_unless_a_deadline_is_around(play: Play) -> None:
    attempt = play.first(timeout_s=math.inf)
    assert (attempt.timeout_s, attempt.remaining_s, attempt.headers) == (math.inf, math.inf, {})
    with deadline.within(1_000):
        inside = play.first(timeout_s=math.inf)
    assert 900 < inside.remaining_s <= 1_000
    assert "X-Deadline-Ms" in inside.headers


def test_a_call_whose_deadline_has_passed_is_not_begun(play: Play) -> None:
    with deadline.within(0), pytest.raises(DeadlineError, match="'web'"):
        play.first()
    with pytest.raises(DeadlineError):
        play.first(timeout_s=0)
    assert play.outcomes() == []


def test_no_attempt_begins_after_the_deadline(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = play.service.attempts(timeout_s=600)
    attempt = next(attempts)
    now = play.engine.now() + 600 * SECOND
    monkeypatch.setattr("callboard.client.attempts.time.monotonic_ns", lambda: now)
    with pytest.raises(FailureError):
        attempt.failed(FailureError())


def test_retry_after_beyond_the_deadline_is_the_callers(play: Play) -> None:
    assert play.first(timeout_s=60).answered(429, retry_after_s=120.0)


def test_the_budget_ends_retries(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    now = play.engine.now()  # stands still: in the next second, more would be allowed
    monkeypatch.setattr("callboard.client.attempts.time.monotonic_ns", lambda: now)
    retried = 0
    for _ in range(60):
        for attempt in play.service.attempts():
            retried += attempt.number == 2
            attempt.answered(429)
    assert retried == 30, "three a second over ten seconds"


def test_leaving_the_loop_by_an_exception_gives_the_attempt_back(play: Play) -> None:
    def call() -> None:
        for attempt in play.service.attempts():
            raise ZeroDivisionError(attempt.number)

    with pytest.raises(ZeroDivisionError):
        call()
    assert (play.in_flight(), play.outcomes(), len(play.service.endpoints)) == (0, [], 3)


def test_going_on_without_a_word_is_a_mistake_that_is_named(play: Play) -> None:
    attempts = play.service.attempts()
    attempt = next(attempts)
    with pytest.raises(RuntimeError, match="answered"):
        next(attempts)
    attempt.cancelled()
    assert (list(attempts), play.outcomes()) == ([], ["cancelled"])


def test_what_is_said_first_counts(play: Play) -> None:
    attempt = play.first()
    assert attempt.answered(200)
    attempt.cancelled()
    assert attempt.answered(503)
    with pytest.raises(FailureError):
        attempt.failed(FailureError())
    assert (play.outcomes(), play.in_flight()) == (["200"], 0)


def test_an_instance_is_occupied_as_long_as_its_answer_is_read(play: Play) -> None:
    attempts = play.service.attempts()
    attempt = next(attempts)
    assert attempt.answered(200, streaming=True)
    assert (list(attempts), play.in_flight(), play.outcomes()) == ([], 1, ["200"])
    attempt.ended()
    attempt.ended(ok=False)
    assert play.in_flight() == 0
    lost = play.first()
    assert lost.answered(200, streaming=True)
    play.calls.clear()
    assert play.in_flight() == 1
    del lost
    assert play.in_flight() == 0, "an answer that nobody holds any more is not read"


def test_addresses_become_urls() -> None:
    play = Play(InstanceState(**{**{name: getattr(state("a"), name) for name in InstanceState.__struct_fields__}, "address": "::1"}))
    attempt = play.first()
    assert (attempt.url, attempt.host, attempt.port) == ("http://[::1]:80", "::1", 80)
    attempt.cancelled()
    play.engine.close()


def test_nobody_to_call_says_why() -> None:
    play = Play(state("a", version="1.9.0"))
    wanting = Service(play.engine, "web", {"version": "^2.1"})
    with pytest.raises(NoInstanceError, match=r"a: version 1.9.0 is not \^2.1"):
        next(wanting.attempts())
    nobody = Service(play.engine, "api", {})
    play.backend.feed.tell()
    nobody.wait(60)
    with pytest.raises(NoInstanceError, match="nobody is registered"):
        next(nobody.attempts())
    with pytest.raises(NoInstanceError), nobody.pick():
        pass
    play.engine.close()


def test_nothing_known_says_why_after_the_call_s_time() -> None:
    engine, backend = fake_engine()
    service = Service(engine, "web", {})
    backend.feed.fail()
    poll_until(lambda: "connection refused" in service.finder.followed.reason)
    with pytest.raises(NoPictureError, match="connection refused"):
        next(service.attempts(timeout_s=0.05))
    engine.close()


def test_failures_in_a_row_put_an_instance_out_for_every_handle_and_time_takes_it_back(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Service(play.engine, "web", {"policy": "smooth_wrr"})
    for _ in range(200):
        for attempt in play.service.attempts(idempotent=False):
            attempt.answered(500 if attempt.port == 1 else 200)
    assert {endpoint.id for endpoint in other.endpoints} == {"b", "c"}
    assert [event for event in play.events if isinstance(event, Ejected)] == [Ejected("web", "n/a", out=True)]
    assert [judged.reason for judged in other.considered() if judged.endpoint.id == "a"] == ["left out for a while: calls to it fail"]
    now = play.engine.now() + 41 * SECOND
    monkeypatch.setattr("callboard.client.finding.time.monotonic_ns", lambda: now)
    with other.pick():
        pass
    assert {endpoint.id for endpoint in play.service.endpoints} == {"a", "b", "c"}
    assert [event.out for event in play.events if isinstance(event, Ejected)] == [True, False]


def test_the_only_instance_is_called_however_it_fails() -> None:
    play = Play(state("a"))
    for _ in range(20):
        with pytest.raises(FailureError), play.service.pick():
            raise FailureError
    with play.service.pick() as endpoint:
        assert endpoint.id == "a"
    play.engine.close()


def test_who_wants_only_those_that_are_left_out_still_gets_them() -> None:
    play = Play(state("a", 1, version="1.0.0"), state("b", 2, version="2.0.0"))
    old = Service(play.engine, "web", {"version": "^1"})
    for _ in range(10):
        with pytest.raises(FailureError), old.pick():
            raise FailureError
    assert [endpoint.id for endpoint in play.service.endpoints] == ["b"]
    assert [endpoint.id for endpoint in old.endpoints] == ["a"]
    play.engine.close()


def test_answers_that_ask_for_patience_put_nobody_out(play: Play) -> None:
    for _ in range(100):
        for attempt in play.service.attempts():
            attempt.answered(429)
        for attempt in play.service.attempts():
            attempt.answered(503, retry_after_s=0.0)
    assert len(play.service.endpoints) == 3


def test_many_threads_call_at_once_and_each_pick_is_given_back(play: Play) -> None:
    def work() -> None:
        for number in range(300):
            with play.service.pick():
                pass
            for attempt in play.service.attempts():
                attempt.answered(503 if number % 7 == 0 else 200)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(30):
        play.backend.feed.tell(state(f"more{number}", 100 + number))
    for thread in threads:
        thread.join(60)
    poll_until(lambda: len(play.service.endpoints) == 33)
    assert play.in_flight() == 0


WAYS = st.sampled_from([200, 404, 429, 500, 502, 503, 504, "unsent", "broken", "cancel", "raise", "stream", "silent"])


@given(st.lists(WAYS, min_size=1, max_size=6), st.integers(1, 4), st.integers(1, 4), st.booleans())
@settings(max_examples=150, deadline=None)
def test_every_pick_is_done_once_and_no_instance_is_asked_twice_while_another_is_there(
    ways: list[int | str], count: int, instances: int, idempotent: bool
) -> None:
    play = Play(*(state(f"i{number}", number + 1) for number in range(instances)), attempts_max_count=count)
    picked: list[Counted] = []
    choose = play.service.finder.pick

    def pick(avoid: frozenset[str] = frozenset()) -> Picked | None:
        found = choose(avoid)
        if found is None:
            return None
        picked.append(Counted(found))
        return picked[-1]  # type: ignore[return-value]

    play.service.finder.pick = pick  # type: ignore[assignment, method-assign]
    ports: list[int] = []
    run(play.service, ways, ports, idempotent=idempotent)
    assert [one.times for one in picked] == [1] * len(picked)
    assert play.in_flight() == 0
    assert len(ports) <= count
    assert len(set(ports)) == min(len(ports), instances)
    play.engine.close()


class Counted:
    """A pick that counts how often it is told that it is done."""

    def __init__(self, picked: Picked) -> None:
        self.endpoint = picked.endpoint
        self.times = 0
        self._picked = picked

    def done(self, now: int, *, ok: bool = True) -> None:
        self.times += 1
        self._picked.done(now, ok=ok)


def run(service: Service, ways: list[int | str], ports: list[int], *, idempotent: bool) -> None:
    """One call that goes these ways."""
    try:
        for attempt, way in zip(service.attempts(idempotent=idempotent), ways, strict=False):
            ports.append(attempt.port)
            if say(attempt, way):
                return
    except (FailureError, ZeroDivisionError):
        return


def say(attempt: Attempt, way: int | str) -> bool:
    if isinstance(way, int):
        return attempt.answered(way)
    if way in {"unsent", "broken"}:
        attempt.failed(FailureError(), sent=way == "broken")
        return False
    if way == "stream":
        attempt.answered(200, streaming=True)
        attempt.ended()
        return True
    if way == "cancel":
        attempt.cancelled()
    if way == "raise":
        raise ZeroDivisionError
    return True
