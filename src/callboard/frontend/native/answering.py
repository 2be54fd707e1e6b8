"""Replies of the native API: JSON, reads with their index, and answers that wait for the outcomes of commands."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from callboard.core.catalog.view import View
from callboard.model.rows import Outcome
from callboard.net.http.message import Answer, Fields
from callboard.registry.registry import Registry
from callboard.registry.submission import Submission

INDEX: Final = b"callboard-index"
"""Header field of every read: pass it as `after` to wait for the next answer."""
AGE: Final = b"callboard-age-ms"
"""Header field of every read: the answer shows everything that was acknowledged so long ago, or later. 0 while the server is in touch with
the leader."""
_NEW: Final = ((AGE, b"0"),)
_STANDING_MS: Final = 1_000
"""For so long an answer that is kept says the same about its age, which is therefore taken as what it will be then."""


def standing(registry: Registry) -> Fields:
    """How old an answer may be."""
    age_ms = age_of(registry)
    return ((AGE, b"%d" % (age_ms + _STANDING_MS)),) if age_ms else _NEW


def age_of(registry: Registry) -> int:
    """How old an answer may be, in milliseconds; 0 while this member is in touch with the leader and keeps up."""
    contact = registry.contact()
    return 0 if contact.known and contact.age_ms <= registry.settings.cut_off_after_ms else max(1, contact.age_ms)


def encode(value: Struct) -> bytes:
    """As JSON."""
    return msgspec.json.encode(value)


def json_answer(value: Struct) -> Answer:
    """200 with a body."""
    return Answer(200, encode(value))


class Outcomes:
    """Known when every one of several commands has its outcome."""

    __slots__ = ("_form", "_submissions")

    def __init__(self, submissions: Sequence[Submission], form: Callable[[list[Outcome]], Answer]) -> None:
        """`form` makes the answer; the outcomes have the order in which they became known."""
        self._submissions = submissions
        self._form = form

    def then(self, callback: Callable[[Answer], None]) -> None:
        """Call back once, with the answer."""
        outcomes: list[Outcome] = []

        def take(outcome: Outcome) -> None:
            outcomes.append(outcome)
            if len(outcomes) == len(self._submissions):
                callback(self._form(outcomes))

        for submission in self._submissions:
            submission.then(take)


def spelled(view: View, node: str) -> str:
    """A node's name (given in lower case) as it was first spelled; as it is when the node is gone."""
    there = view.nodes.get(node)
    return there.name if there is not None else node
