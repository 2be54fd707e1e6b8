"""The checker of the fault suite finds every violation that is planted in a good history, and nothing in the good one."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.soak.cluster_check import judge
from tests.soak.cluster_check_lives import Limits
from tests.soak.cluster_history import Event, FaultRow, Final, Happened, History, Life, Mark, Op, Quiet, Seen, Stall, State

A, B, C = "n/a", "n/b", "n/c"
TTL_S = 15.0
FINE = State("", "passing", "serving", expired=False)
GONE = FINE._replace(status="critical", expired=True)

Group = tuple[float, int, list[tuple[Happened, str, State]]]
GROUPS: list[Group] = [
    (1.0, 10, [("added", A, FINE._replace(token="1"))]),
    (2.0, 12, [("added", B, FINE._replace(token="2")), ("added", C, FINE._replace(token="3"))]),
    (3.0, 13, [("changed", A, FINE._replace(token="4"))]),
    (4.0, 15, [("changed", A, FINE._replace(token="4", phase="draining"))]),
    (5.0, 16, [("changed", A, FINE._replace(token="4"))]),
    (6.0, 17, [("removed", C, FINE._replace(token="3"))]),
    (7.0, 18, [("changed", A, FINE._replace(token="4", status="warning"))]),
    (21.0, 19, [("changed", B, GONE._replace(token="2"))]),
]
DIGESTS = {revision: f"state-{revision}" for _, revision, _ in GROUPS}


def stream(history: History, watcher: int, *, missing: tuple[int, ...] = (), member: int = 0) -> None:
    """What one watcher is told; it is away for the groups in `missing`, and told of them with the next."""
    gathered: dict[str, tuple[Happened, State]] = {}
    first = True
    for at, revision, events in GROUPS:
        for kind, key, state in events:
            before = gathered.pop(key, None)
            if before is not None and before[0] == "added" and kind == "removed":
                continue
            gathered[key] = ("added" if before is not None and before[0] == "added" else kind, state)
        if revision in missing:
            continue
        resumed = bool(missing) and revision - 1 in missing
        for key, (kind, state) in gathered.items():
            history.events.append(Event(watcher, member, at + watcher / 100, revision, kind, key, state, resumed))
        gathered.clear()
        history.marks.append(Mark(watcher, member, at + watcher / 100, revision, DIGESTS[revision], "began" if first else ""))
        first = False


def good() -> History:
    """A lives and changes, B dies, C leaves; one watcher of three resumes at another member."""
    history = History()
    for number, missing in enumerate(((), (), (12, 13))):
        stream(history, number, missing=(12, 13) if missing else (), member=number % 2)
    history.marks.append(Mark(0, 0, 60.0, 19, DIGESTS[19]))
    history.ops += [
        Op("register", A, "1", 0, 0.9, 1.0, "done", 10, 200),
        Op("register", B, "2", 0, 1.9, 2.0, "done", 11, 200),
        Op("register", C, "3", 1, 1.9, 2.0, "done", 12, 200),
        Op("register", A, "x", 1, 2.1, 2.2, "refused", 0, 503),
        Op("register", A, "y", 1, 2.3, 2.4, "unknown", 0, 504),
        Op("register", A, "4", 0, 2.9, 3.0, "done", 13, 200),
        Op("drain", A, "", 0, 3.9, 4.0, "done", 14, 200),
        Op("serve", A, "", 0, 4.9, 5.0, "done", 16, 200),
        Op("deregister", C, "", 0, 5.9, 6.0, "done", 17, 200),
        Op("turn", A, "warning", 0, 6.9, 7.0, "done", 18, 200),
        Op("beat", A, "", 0, 8.0, 8.1, "done", 18, 200),
    ]
    history.lives = {
        A: Life(A, "s", TTL_S, 1.0, math.inf, "lives"),
        B: Life(B, "s", TTL_S, 2.0, 6.0, "killed"),
        C: Life(C, "s", TTL_S, 2.0, 5.9, "left"),
    }
    history.seen = [
        Seen("r0", 0, "default", "s", 2.5, 2.6, 12, 0, "d12"),
        Seen("r1", 1, "blocking", "s", 2.5, 3.1, 13, 12, "d13"),
        Seen("r2", 1, "consistent", "s", 3.5, 3.6, 13, 0, "d13", {A: "4", B: "2", C: "3"}),
        Seen("r2", 0, "consistent", "s", 6.5, 6.6, 17, 0, "d17", {A: "4", B: "2"}),
    ]
    told = {"digest": "x", "/v1/catalog/services": "17"}
    history.quiet = [Quiet(30.0, {"m1": dict(told), "m2": dict(told)})]
    statuses = {A: "warning/serving", B: "critical/serving"}
    history.finals = [Final(name, {A: "4", B: "2"}, dict(statuses)) for name in ("m1", "m2")]
    return history


def test_a_good_history_has_no_violation() -> None:
    assert judge(good(), Limits()).violations == ()


Planting = Callable[[History], None]


def _swap_groups(history: History) -> None:
    marks = [place for place, mark in enumerate(history.marks) if mark.watcher == 0]
    one, other = marks[3], marks[4]
    history.marks[one], history.marks[other] = (
        history.marks[one]._replace(revision=history.marks[other].revision, digest=history.marks[other].digest),
        history.marks[other]._replace(revision=history.marks[one].revision, digest=history.marks[one].digest),
    )


def _tell_twice(history: History) -> None:
    event = next(each for each in history.events if each.watcher == 1 and each.revision == 13)
    history.events.insert(history.events.index(event) + 1, event._replace(at=event.at + 0.001))
    mark = next(each for each in history.marks if each.watcher == 1 and each.revision == 13)
    history.marks.insert(history.marks.index(mark) + 1, mark._replace(at=mark.at + 0.002))


def _split_a_group(history: History) -> None:
    place = next(number for number, each in enumerate(history.events) if each.watcher == 0 and each.revision == 12)
    history.events[place] = history.events[place]._replace(revision=11)


def _leave_one_out(history: History) -> None:
    history.events = [each for each in history.events if not (each.watcher == 1 and each.kind == "added" and each.key == A)]


def _lose_in_a_resume(history: History) -> None:
    history.events = [each for each in history.events if not (each.watcher == 2 and each.resumed and each.key == A)]
    history.marks = [mark._replace(digest="less") if mark.watcher == 2 and mark.revision == 15 else mark for mark in history.marks]


def _begin_anew(history: History) -> None:
    place = next(number for number, mark in enumerate(history.marks) if mark.watcher == 2 and mark.revision == 15)
    history.marks[place] = history.marks[place]._replace(reset="the last event id is of a later revision than the catalog's")


def _change_state(history: History) -> None:
    place = next(number for number, each in enumerate(history.events) if each.watcher == 1 and each.revision == 18)
    history.events[place] = history.events[place]._replace(state=FINE._replace(token="4"))


def _retoken(token: str, revision: int) -> Planting:
    def plant(history: History) -> None:
        history.events = [
            each._replace(state=each.state._replace(token=token)) if each.key == A and each.revision >= revision else each
            for each in history.events
        ]

    return plant


def _apply_again(history: History) -> None:
    history.events = [
        each._replace(state=each.state._replace(token="1")) if each.key == A and each.revision == 18 else each for each in history.events
    ]


def _op(place: int, **values: Any) -> Planting:
    def plant(history: History) -> None:
        history.ops[place] = history.ops[place]._replace(**values)

    return plant


def _drop_a_drain(history: History) -> None:
    history.events = [each._replace(state=each.state._replace(phase="serving")) if each.revision == 15 else each for each in history.events]


def _lose_a_write(history: History) -> None:
    history.ops.append(Op("register", A, "5", 0, 9.0, 9.1, "done", 19, 200))
    history.finals = []


def _seen(place: int, **values: Any) -> Planting:
    def plant(history: History) -> None:
        history.seen[place] = history.seen[place]._replace(**values)

    return plant


def _tell(history: History, at: float, revision: int, kind: Happened, key: str, state: State) -> None:
    for watcher in range(2):
        history.events.append(Event(watcher, 0, at, revision, kind, key, state, resumed=False))
        history.marks.append(Mark(watcher, 0, at, revision, f"state-{revision}"))


def _expire_a_live_one(history: History) -> None:
    _tell(history, 61.0, 20, "changed", A, GONE._replace(token="4"))
    _tell(history, 64.0, 21, "changed", A, FINE._replace(token="4"))


def _remove_a_live_one(history: History) -> None:
    _tell(history, 61.0, 20, "removed", A, FINE._replace(token="4"))


def _expire_late(history: History) -> None:
    history.lives[B] = history.lives[B]._replace(ended=-7.0, born=-9.0)


def _never_expire(history: History) -> None:
    history.events = [each for each in history.events if each.revision != 19]


def _quiet_differs(history: History) -> None:
    history.quiet[0].told["m2"]["/v1/catalog/services"] = "16"


def _final(which: int, key: str, token: str | None) -> Planting:
    def plant(history: History) -> None:
        for final in history.finals[which:]:
            final.tokens.pop(key, None)
            if token is not None:
                final.tokens[key] = token

    return plant


PLANTED: dict[str, tuple[str, Planting]] = {
    "revisions change places": ("Ordered", _swap_groups),
    "a group is told twice": ("Unique", _tell_twice),
    "a group is split": ("Atomic", _split_a_group),
    "an event is left out": ("Reliable", _leave_one_out),
    "a resume leaves something out": ("Bookmark", _lose_in_a_resume),
    "a watcher must begin anew for nothing": ("Resumable", _begin_anew),
    "two watchers are told different states": ("Bookmark", _change_state),
    "a refused attempt shows": ("SurelyNotApplied", _retoken("x", 13)),
    "a token nobody wrote shows": ("AtMostOnce", _retoken("z", 13)),
    "an attempt shows again": ("AtMostOnce", _apply_again),
    "an acknowledged registration is not there": ("Durable", _lose_a_write),
    "an acknowledged drain is not there": ("Durable", _drop_a_drain),
    "an acknowledged turn is not there": ("Durable", _op(9, token="critical")),
    "an acknowledged removal is not there": ("Durable", _op(8, revision=13)),
    "a live instance is unknown to a heartbeat": ("NeverForgotten", _op(10, status=404, verdict="failed")),
    "a live instance runs out": ("LiveStays", _expire_a_live_one),
    "a live instance goes": ("LiveStays", _remove_a_live_one),
    "a dead instance runs out late": ("DeadGoes", _expire_late),
    "a dead instance never runs out": ("DeadGoes", _never_expire),
    "one index, two answers": ("OneIndex", _seen(1, digest="other")),
    "an index falls": ("OneIndex", _seen(1, revision=11)),
    "a consistent read is stale": ("Consistent", _seen(2, tokens={A: "1", B: "2", C: "3"})),
    "a consistent read misses one": ("Consistent", _seen(2, tokens={A: "4", C: "3"})),
    "a consistent read shows one that left": ("Consistent", _seen(3, tokens={A: "4", B: "2", C: "3"})),
    "members differ while nobody writes": ("Agreed", _quiet_differs),
    "members differ in the end": ("Agreed", _final(1, B, None)),
    "a write is lost in the end": ("Durable", _final(0, A, "1")),
    "a live one is lost in the end": ("Durable", _final(0, A, None)),
    "one that left is back in the end": ("Durable", _final(0, C, "3")),
}


@pytest.mark.parametrize("what", PLANTED)
def test_the_checker_finds_each_planted_violation(what: str) -> None:
    rule, plant = PLANTED[what]
    history = good()
    plant(history)
    found = judge(history, Limits())
    assert rule in found.counts, f"wanted {rule}, found {found.violations}"


def test_an_attempt_whose_end_is_open_may_show_or_not_and_late() -> None:
    history = good()
    _retoken("y", 18)(history)
    for final in history.finals:
        final.tokens[A] = "y"
    assert judge(history, Limits()).violations == ()


def test_a_dead_instance_is_given_its_time_again_when_a_leader_dies_meanwhile_and_the_outage_when_nobody_could_tell() -> None:
    history = good()
    history.lives[B] = history.lives[B]._replace(ended=-7.0, born=-9.0)
    history.faults = [FaultRow("leader killed", 0.0, 5.0, 6.0, "leader")]
    history.writes = [number / 2 for number in range(13)]
    assert judge(history, Limits()).violations == ()
    history.lives[B] = history.lives[B]._replace(ended=-22.0)
    assert "DeadGoes" in judge(history, Limits()).counts
    history.writes = [0.5, 5.0]
    assert judge(history, Limits()).violations == (), "nobody led for so long"
    history.faults = [FaultRow("engine down", -10.0, 3.0, 6.0, "engine")]
    assert judge(history, Limits()).violations == ()


def test_while_the_load_itself_stood_still_nobody_is_held_to_its_signs_of_life() -> None:
    history = good()
    _expire_a_live_one(history)
    history.stalls = [Stall(52.0, TTL_S / 3)]
    assert judge(history, Limits()).violations == ()
    history.stalls = [Stall(52.0, TTL_S / 4)]
    assert "LiveStays" in judge(history, Limits()).counts
    history = good()
    _remove_a_live_one(history)
    history.stalls = [Stall(52.0, TTL_S / 3)]
    assert "LiveStays" in judge(history, Limits()).counts, "a stall removes nobody"
    history = good()
    _expire_late(history)
    history.stalls = [Stall(-1.0, 6.0)]
    assert judge(history, Limits()).violations == ()


def test_a_long_history_is_judged_in_time_that_grows_with_it() -> None:
    """Half an hour of it is judged in seconds: nothing in the rules is quadratic in what grows with the run."""
    history = good()
    for number in range(20_000):
        at, revision = 100.0 + number / 10, 100 + number
        history.ops.append(Op("register", A, f"n{number}", 0, at, at + 0.01, "done", revision, 200))
        state = FINE._replace(token=f"n{number}")
        history.events.append(Event(0, 0, at, revision, "changed", A, state, resumed=False))
        history.marks.append(Mark(0, 0, at, revision, f"s{revision}"))
    history.finals = []
    assert judge(history, Limits()).violations == ()


def test_of_two_writes_that_share_a_group_the_later_one_is_what_shows(tmp_path: Path) -> None:
    history = good()
    history.ops += [Op("turn", A, "critical", 0, 3.4, 4.0, "done", 14, 200), Op("beat", A, "passing", 1, 3.3, 4.0, "done", 15, 200)]
    assert judge(history, Limits()).counts == {}
    history.save(tmp_path / "history.gz")
    assert judge(History.load(tmp_path / "history.gz"), Limits()).counts == {}
    history.ops.pop()
    assert judge(history, Limits()).counts == {"Durable": 1}
