"""The doors through which signs of life reach the leader, and up to which moment each has surely delivered all it heard.

A door is another present member, by the nonce of its process. It sends batch after batch; each says which of our answers it had received
when it was begun. So when a batch begun after our answer to batch n arrives, everything that door heard before we gave that answer has
been delivered: a deadline before that moment has run out for good, as far as this door knows. A door that has delivered nothing yet
covers nothing. Doors live for one term.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from callboard.model.time import Instant

UNKNOWN: Final = 0
"""Number of the door of whatever was not heard from in this term."""
LOCAL: Final = 1
"""Number of the leader's own door. It is always covered, and never among the present ones."""
_FIRST: Final = 2
_ANSWERS_KEPT_COUNT: Final = 8
_NOTHING: Final = Instant(-1)


@dataclass(slots=True)
class _Door:
    number: int
    heard_at: Instant
    covered: Instant = _NOTHING
    answers: dict[int, Instant] = field(default_factory=dict)


class Doors:
    """Present doors by nonce. Numbers are small, so that each lease can remember one; those of the dead are used again."""

    __slots__ = ("_doors",)

    def __init__(self) -> None:
        self._doors: dict[str, _Door] = {}

    def __len__(self) -> int:
        return len(self._doors)

    def present(self, nonces: Iterable[str], now: Instant) -> list[int]:
        """Who is there now. Answers the numbers of those that died: before anything else is heard, what they last carried must get a
        fresh time limit."""
        there = dict.fromkeys(nonces)
        used = {door.number for door in self._doors.values()}
        died = sorted(door.number for nonce, door in self._doors.items() if nonce not in there)
        number = _FIRST
        doors: dict[str, _Door] = {}
        for nonce in there:
            door = self._doors.get(nonce)
            if door is None:
                while number in used:
                    number += 1
                used.add(number)
                door = _Door(number, now)
            doors[nonce] = door
        self._doors = doors
        return died

    def number(self, nonce: str) -> int | None:
        """The number of a present door."""
        door = self._doors.get(nonce)
        return door.number if door is not None else None

    def answered(self, nonce: str, batch: int, now: Instant) -> None:
        """A batch is being answered. Of a batch that is answered twice the first moment counts, for the door may have got that answer."""
        door = self._doors.get(nonce)
        if door is not None and batch not in door.answers:
            door.answers[batch] = now
            if len(door.answers) > _ANSWERS_KEPT_COUNT:
                del door.answers[next(iter(door.answers))]

    def delivered(self, nonce: str, after: int, now: Instant) -> None:
        """A batch has come and was taken in; the door began it after it had received our answer to batch `after`."""
        door = self._doors.get(nonce)
        if door is not None:
            door.heard_at = now
            door.covered = max(door.covered, door.answers.get(after, _NOTHING))

    def covered(self, now: Instant) -> Instant:
        """Every present door has delivered what it heard before this moment."""
        return min((door.covered for door in self._doors.values()), default=now)

    def silent(self, since: Instant) -> list[str]:
        """Nonces of present doors that have not been heard from since that moment: they hold expiry."""
        return [nonce for nonce, door in self._doors.items() if door.heard_at < since]
