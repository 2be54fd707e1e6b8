"""What watchers are promised: Ordered, Unique, Atomic, Reliable, Resumable, Bookmark. Rules of `cluster_check`; pure."""

from collections.abc import Iterator
from typing import Final

from tests.soak.cluster_history import Event, History, Key, Mark
from tests.soak.cluster_violation import Violation

_UNFOUNDED_RESETS: Final = ("later revision", "none of this catalog")
"""Reasons for beginning anew that no fault explains: what a watcher was once told stays in the history of every member."""


def watches(history: History) -> Iterator[Violation]:
    """Each watcher over all its streams, and all watchers against each other."""
    told: dict[int, tuple[list[Event], list[Mark]]] = {}
    for event in history.events:
        told.setdefault(event.watcher, ([], []))[0].append(event)
    for mark in history.marks:
        told.setdefault(mark.watcher, ([], []))[1].append(mark)
    for events, marks in told.values():
        yield from _one(events, marks)
    yield from _bookmarks(history.marks)


def _one(events: list[Event], marks: list[Mark]) -> Iterator[Violation]:
    known: set[Key] = set()
    place = 0
    before: Mark | None = None
    for mark in marks:
        group: list[Event] = []
        while place < len(events) and events[place].at <= mark.at:
            group.append(events[place])
            place += 1
        if mark.reset:
            known.clear()
            if any(reason in mark.reset for reason in _UNFOUNDED_RESETS):
                yield Violation("Resumable", f"watcher {mark.watcher} at member {mark.member} had to begin anew: {mark.reset}", mark.at)
            before = None
        yield from _group(group, mark, before, known)
        before = mark


def _group(group: list[Event], mark: Mark, before: Mark | None, known: set[Key]) -> Iterator[Violation]:
    who = f"watcher {mark.watcher} at member {mark.member}"
    if before is not None and mark.revision < before.revision:
        yield Violation("Ordered", f"{who}: revision {mark.revision} after {before.revision}", mark.at)
    if before is not None and group and mark.revision == before.revision:
        yield Violation("Unique", f"{who}: told of revision {mark.revision} twice", mark.at)
    touched: set[Key] = set()
    for event in group:
        if event.revision != mark.revision:
            yield Violation("Atomic", f"{who}: {event.kind} {event.key} of revision {event.revision} closed by {mark.revision}", event.at)
        if event.key in touched:
            yield Violation("Unique", f"{who}: two events for {event.key} at revision {event.revision}", event.at)
        touched.add(event.key)
        if (event.kind == "added") == (event.key in known):
            yield Violation(
                "Reliable", f"{who}: {event.kind} {event.key} at {event.revision}, known before: {event.key in known}", event.at
            )
        if event.kind == "removed":
            known.discard(event.key)
        else:
            known.add(event.key)


def _bookmarks(marks: list[Mark]) -> Iterator[Violation]:
    first: dict[tuple[str, int], Mark] = {}
    for mark in marks:
        other = first.setdefault((mark.scope, mark.revision), mark)
        if other.digest != mark.digest:
            pair = f"watcher {other.watcher} at member {other.member} and watcher {mark.watcher} at member {mark.member}"
            yield Violation("Bookmark", f"{pair} know different things at revision {mark.revision}: {other.digest}, {mark.digest}", mark.at)
