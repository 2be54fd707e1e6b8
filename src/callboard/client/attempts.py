"""One call of a user, tried at one instance after the other until one answers.

    for attempt in service.attempts():
        try:
            response = send(attempt.url, timeout=attempt.timeout_s, headers=attempt.headers)
        except OSError as error:
            attempt.failed(error)  # raises it, unless there is another attempt
            continue
        if attempt.answered(response.status):
            return response

A call lives as long as this loop, an attempt as long as its answer is read. Whatever way the loop is left, each picked instance is told
once that its call ended.
"""

import math
import random
import time
from typing import Final, Literal, Self

from callboard.balance.endpoint import Endpoint
from callboard.balance.picked import Picked
from callboard.client import deadline
from callboard.client.errors import DeadlineError
from callboard.client.events import AttemptEnded
from callboard.client.finding import Finder
from callboard.client.machine.attempts import RETRIED, Course, speaks_against
from callboard.model.time import MILLISECOND, SECOND, Instant

State = Literal["new", "open", "again", "over"]
_SERVER_ERROR: Final = 500
_TOO_MANY: Final = 429


class Call:
    """What the attempts of one call have in common. Used by one thread or task at a time."""

    def __init__(self, finder: Finder, *, idempotent: bool, timeout_s: float | None) -> None:
        """`timeout_s`: for all attempts together; None: the board's; infinite: only a surrounding deadline limits it."""
        self.finder = finder
        self.state: State = "new"
        settings = finder.settings
        now = time.monotonic_ns()
        limit_s = settings.call_timeout_ms / 1000 if timeout_s is None else timeout_s
        left_s = deadline.remaining_s()
        if left_s is not None:
            limit_s = min(limit_s, left_s)
        until = None if limit_s == math.inf else Instant(now + round(deadline.bounded(limit_s) * SECOND))
        self.course = Course(
            until=until,
            attempts_max_count=settings.attempts_max_count,
            attempt_share=settings.attempt_share,
            idempotent=idempotent,
        )
        self._pause_ns = 0
        self._attempt: Attempt | None = None

    def turn(self) -> float | None:
        """Seconds to wait before `begin`; None: the call is over. Raises `RuntimeError` when the attempt before was not concluded."""
        if self.state == "open":
            raise RuntimeError("this attempt was not concluded: say answered(), failed() or cancelled() before the next one")
        return None if self.state == "over" else self._pause_ns / SECOND

    def picture_wait_ms(self) -> int:
        """How long the first picture may be waited for."""
        left = self.course.left(time.monotonic_ns())
        usual = self.finder.followed.patience_ms()
        return usual if left is None else min(usual, left // MILLISECOND)

    def begin(self) -> "Attempt":
        """The next attempt. Raises `DeadlineError`, `NoPictureError` and `NoInstanceError`."""
        finder, course = self.finder, self.course
        now = time.monotonic_ns()
        if course.left(now) == 0:
            raise DeadlineError(finder.service)
        picked = finder.pick(course.tried) or finder.picked()
        if course.number == 0:
            finder.tally.called(now)
        course.begin(picked.endpoint.key)
        self.state = "open"
        self._attempt = Attempt(self, picked, time.monotonic_ns())
        return self._attempt

    def abandon(self) -> None:
        """The loop was left: an attempt about which nothing was said was given up."""
        if self.state == "open" and self._attempt is not None:
            self._attempt.dropped()
        self._attempt = None

    def concluded(self, now: int, *, again: bool, sent: bool = True, status: int = 0, retry_after_s: float | None = None) -> bool:
        """The attempt ended. True: there will be another one."""
        self._attempt = None
        self.state = "again" if again and self._another(now, sent, status, retry_after_s) else "over"
        return self.state == "again"

    def _another(self, now: int, sent: bool, status: int, retry_after_s: float | None) -> bool:  # noqa: FBT001
        course, finder = self.course, self.finder
        if not course.another(now, sent=sent) or not (endpoints := finder.endpoints):
            return False
        same = all(endpoint.key in course.tried for endpoint in endpoints)
        pause = course.pause(now, random.random(), same=same, status=status, retry_after_s=retry_after_s)
        if pause is None or not finder.tally.retry(now):
            return False
        self._pause_ns = pause
        return True


class Attempt:
    """One try at one instance. Say how it went: `answered`, `failed` or `cancelled`; what is said first counts."""

    def __init__(self, call: Call, picked: Picked, now: int) -> None:
        course = call.course
        share, left = course.share(now), course.left(now)
        self.endpoint: Endpoint = picked.endpoint
        self.number = course.number
        """From 1."""
        self.timeout_s = math.inf if share is None else share / SECOND
        """For this attempt: `attempt_share` of what is left, if another one may follow."""
        self.remaining_s = math.inf if left is None else left / SECOND
        """For the whole call, from the beginning of this attempt on."""
        self.headers: dict[str, str] = {}
        """To be sent along."""
        told = share if course.idempotent else left
        if told is not None:
            self.headers[deadline.HEADER] = str(max(1, told // MILLISECOND))
        self._call = call
        self._picked = picked
        self._begun = now
        self._said = False
        self._answered_at: int | None = None
        """When the head of a streamed answer came, as long as its body is read."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.number} of {self._call.finder.service!r} at {self.url}>"

    @property
    def host(self) -> str:
        """The address, without brackets."""
        return self.endpoint.address

    @property
    def port(self) -> int:
        """The port."""
        return self.endpoint.port

    @property
    def url(self) -> str:
        """`http://10.0.0.1:8000`, an IPv6 address in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def answered(self, status: int, retry_after_s: float | None = None, *, streaming: bool = False) -> bool:
        """An HTTP answer came. True: give it to the caller. False: there is another attempt; do not read this answer.

        With `streaming` and True, the instance stays occupied until `ended`.
        """
        if self._said:
            return True
        self._said = True
        now = time.monotonic_ns()
        ok = status < _SERVER_ERROR and status != _TOO_MANY
        self._tell(str(status), now, ok=ok)
        if status != _TOO_MANY and (ok or speaks_against(status, retry_after_s)):
            self._call.finder.tally.ended(self.endpoint.key, now, ok=ok)
        again = self._call.concluded(now, again=status in RETRIED, status=status, retry_after_s=retry_after_s)
        if streaming and not again:
            self._answered_at = now
        else:
            self._picked.done(now, ok=ok)
        return not again

    def ended(self, *, ok: bool = True) -> None:
        """The body of a streamed answer was read or closed, or (not `ok`) it broke off. Any number of times, by any thread."""
        answered_at, self._answered_at = self._answered_at, None
        if answered_at is not None:
            self._picked.done(answered_at, ok=ok)
            if not ok:
                self._call.finder.tally.ended(self.endpoint.key, time.monotonic_ns(), ok=False)

    def failed(self, error: BaseException, *, sent: bool = True) -> None:
        """No answer came. Returns when there is another attempt, else raises `error`, with a note of who was called.

        `sent=False`: the request surely was not sent (no connection), so a call that is not idempotent may be tried again too.
        """
        if self._said:
            raise error
        self._said = True
        now = time.monotonic_ns()
        self._picked.done(now, ok=False)
        self._call.finder.tally.ended(self.endpoint.key, now, ok=False)
        self._tell(_outcome(error, sent=sent), now, ok=False)
        if not self._call.concluded(now, again=True, sent=sent):
            error.add_note(f"attempt {self.number} to call {self._call.finder.service!r}, at instance {self.endpoint.id!r}, {self.url}")
            raise error

    def cancelled(self) -> None:
        """The caller gave up: that says nothing about the instance."""
        if not self._said:
            self._tell("cancelled", time.monotonic_ns(), ok=True)
            self.dropped()

    def dropped(self) -> None:
        """Nobody will say anything about it. Observers are not told: this may be the collector's doing, in the middle of their work."""
        if not self._said:
            self._said = True
            self._picked.done(time.monotonic_ns())
            self._call.concluded(0, again=False)

    def __del__(self) -> None:
        """Nobody holds it any more: then nobody calls this instance any more either."""
        self.dropped()
        self.ended()

    def _tell(self, outcome: str, now: int, *, ok: bool) -> None:
        observers = self._call.finder.observers
        if observers.any:
            at = self.endpoint
            took = now - self._begun
            observers.tell(AttemptEnded(self._call.finder.service, at.key, outcome, ok, self.number, took, at.address, at.port))


def _outcome(error: BaseException, *, sent: bool) -> str:
    if isinstance(error, TimeoutError) or "timeout" in type(error).__name__.lower():
        return "timeout"
    return "broken" if sent else "unreached"


class Attempts:
    """The attempts of one call, one after the other. Who drops it gives up the attempt under way: hold it as long as the call lasts."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Attempt:
        """Waits for the first picture, and before an attempt that must not come at once. Raises what `Call.begin` raises."""
        pause_s = self._call.turn()
        if pause_s is None:
            raise StopIteration
        if self._call.state == "new" and self._call.finder.followed.latest is None:
            self._call.finder.followed.wait(self._call.picture_wait_ms())
        if pause_s:
            time.sleep(pause_s)
        return self._call.begin()

    def __del__(self) -> None:
        """The loop was left."""
        self._call.abandon()
