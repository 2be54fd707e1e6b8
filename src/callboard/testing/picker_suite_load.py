"""Cases of the picker suite: what is learnt from calls, handed on, and closed again."""

import heapq
import random
import sys
from collections import Counter
from functools import partial

from callboard.balance.picker import Picked, Picker
from callboard.model.time import MILLISECOND
from callboard.net import threads
from callboard.testing.picker_suite_kit import SEED, Make, Play, endpoints

THREADS_COUNT = 4
PICKS_COUNT = 10_000
"""Of each thread."""


def _in_flight(picker: Picker) -> dict[str, int]:
    return {endpoint.key: picker.in_flight(endpoint.key) for endpoint in picker.endpoints}


def a_call_counts_until_it_is_done(make: Make) -> None:
    """In flight is what was picked and is not done."""
    play = Play(make(endpoints([1, 1, 2])))
    under_way = [play.must_pick() for _ in range(20)]
    assert _in_flight(play.picker) == dict(Counter(picked.endpoint.key for picked in under_way))
    under_way.pop().done(play.now)
    assert sum(_in_flight(play.picker).values()) == 19


def what_is_done_is_not_in_flight(make: Make) -> None:
    """Well or not, in whatever order."""
    play = Play(make(endpoints([1, 1, 2])))
    under_way = [play.must_pick() for _ in range(30)]
    for number, picked in enumerate(reversed(under_way)):
        picked.done(play.now + number * MILLISECOND, ok=number % 3 != 0)
    assert set(_in_flight(play.picker).values()) == {0}


def done_twice_is_done_once(make: Make) -> None:
    """A second `done` takes away no other call."""
    play = Play(make(endpoints([1, 1])))
    first, *others = [play.must_pick() for _ in range(6)]
    others.pop().done(play.now)
    first.done(play.now)
    before = _in_flight(play.picker)
    first.done(play.now)
    first.done(play.now + MILLISECOND, ok=False)
    assert _in_flight(play.picker) == before
    for picked in others:
        picked.done(play.now)
    assert set(_in_flight(play.picker).values()) == {0}


def a_successor_picks_its_own_endpoints(make: Make) -> None:
    """Those that came, those that stayed, and the new state of these."""
    picker = make(endpoints([1, 1, 1]))
    Play(picker).shares(50)
    changed = endpoints([1, 0, 1, 1])[1:]
    play = Play(picker.successor(changed))
    assert play.picker.endpoints == tuple(changed)
    assert set(play.shares(500)) == {"n/c", "n/d"}


def calls_under_way_count_on_in_a_successor(make: Make) -> None:
    """Load is carried over by key."""
    given = endpoints([1, 1, 1])
    play = Play(make(given))
    for _ in range(12):
        play.must_pick()
    after = play.picker.successor([*given[1:], *endpoints([1] * 4)[3:]])
    before = _in_flight(play.picker)
    assert _in_flight(after) == {"n/b": before["n/b"], "n/c": before["n/c"], "n/d": 0}
    assert before["n/b"] > 0


def calls_of_a_predecessor_close_in_its_successor(make: Make) -> None:
    """A call that outlives its picker ends where it counts."""
    given = endpoints([1, 1])
    play = Play(make(given))
    idle = play.picker.successor(given)
    under_way = [play.must_pick() for _ in range(8)]
    after = play.picker.successor(given)
    for picked in under_way:
        picked.done(play.now + MILLISECOND)
    assert set(_in_flight(after).values()) == {0}
    assert set(_in_flight(idle).values()) == {0}


def who_is_gone_is_forgotten(make: Make) -> None:
    """It is not picked, it does not count, and when it comes again it begins anew."""
    given = endpoints([1, 1])
    play = Play(make(given))
    under_way = [play.must_pick() for _ in range(8)]
    without = play.picker.successor(given[:1])
    assert without.in_flight("n/b") == 0
    assert set(Play(without).shares(100)) == {"n/a"}
    again = without.successor(given)
    assert again.in_flight("n/b") == 0
    for picked in under_way:
        picked.done(play.now)
    assert set(_in_flight(again).values()) == {0}


def several_threads_pick_at_once(make: Make) -> None:
    """Without a lock: no error, nobody who was not given, and nothing left in flight; also while the set changes."""
    given = endpoints([1, 2, 3, 0])
    current = [make(given)]
    known = {endpoint.key for endpoint in given}
    faults: list[str] = []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        works = [partial(_work, current, known, faults, number) for number in range(THREADS_COUNT)]
        started = [threads.start(work, name=f"picker-suite-{number}") for number, work in enumerate(works)]
        for turn in range(50):
            current[0] = current[0].successor(given[turn % 2 :])
        for thread in started:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not faults, faults[0]
    assert set(_in_flight(current[0]).values()) == {0}


def _work(current: list[Picker], known: set[str], faults: list[str], seed: int) -> None:
    chance = random.Random(seed).random
    under_way: list[Picked] = []
    try:
        for now in range(PICKS_COUNT):
            picked = current[0].pick(now, chance(), {"n/b"} if now % 5 == 0 else ())
            if picked is None or picked.endpoint.key not in known:
                faults.append(f"picked {picked}")
                return
            under_way.append(picked)
            if len(under_way) > 3:
                under_way.pop(0).done(now, ok=now % 7 != 0)
        for picked in under_way:
            picked.done(PICKS_COUNT)
    except Exception as error:  # noqa: BLE001  # whatever it is, the case fails with it
        faults.append(repr(error))


def who_fails_at_once_is_not_flooded(make: Make) -> None:
    """One of five fails within a millisecond, the others take 50: it gets no more calls than each of them does."""
    play = Play(make(endpoints([1] * 5)))
    taken: Counter[str] = Counter()
    ends: list[tuple[int, int, Picked]] = []
    chance = random.Random(SEED).random
    for number in range(5_000):
        play.now += MILLISECOND
        while ends and ends[0][0] <= play.now:
            end, _, picked = heapq.heappop(ends)
            picked.done(end, ok=picked.endpoint.id != "a")
        picked = play.must_pick()
        taken[picked.endpoint.key] += 1
        took = MILLISECOND if picked.endpoint.id == "a" else round(50 * MILLISECOND * (0.5 + chance()))
        heapq.heappush(ends, (play.now + took, number, picked))
    assert taken["n/a"] <= 1_100, f"{taken['n/a']} of 5000 calls went to the endpoint that fails"
