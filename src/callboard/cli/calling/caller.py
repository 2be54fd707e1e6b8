"""Calls through the SDK's pipeline, over kept connections: one `Caller` per thread, for as long as the run takes."""

import http.client
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from callboard.cli.calling.tally import Called, Tried, failed
from callboard.cli.layouts import address
from callboard.client.attempts import Attempt
from callboard.client.link import BrokenError, Link, reason
from callboard.client.service import Service
from callboard.client.settings import Base
from callboard.model.errors import CallboardError
from callboard.net import threads

ANSWER_MAX_BYTES: Final = 64 * 1024 * 1024
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})
_PROGRESS_S: Final = 0.2


class Ask(NamedTuple):
    """What each call asks."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    timeout_s: float

    @property
    def idempotent(self) -> bool:
        """Whether asking twice is asking once (RFC 9110 section 9.2.2)."""
        return self.method in _IDEMPOTENT


class Answer(NamedTuple):
    """The last answer of a call, whatever its status."""

    status: int
    phrase: str
    body: bytes


class Caller:
    """Makes one call after the other."""

    def __init__(self, service: Service, ask: Ask) -> None:
        self._service = service
        self._ask = ask
        self._links: dict[tuple[str, int], Link] = {}
        self.answer: Answer | None = None
        """Of the last call; None when it had none."""

    def call(self) -> Called:
        """One call, with as many attempts as the SDK makes."""
        began, tries = time.perf_counter_ns(), list[Tried]()
        self.answer, why = None, ""
        try:
            answer = self._asked(tries)
        except (CallboardError, BrokenError, OSError) as error:
            why = reason(error)
        else:
            self.answer, why = answer, f"status {answer.status}" if failed(answer.status) else ""
        return Called(tuple(tries), time.perf_counter_ns() - began, why)

    def close(self) -> None:
        """Close the connections."""
        while self._links:
            self._links.popitem()[1].close()

    def _asked(self, tries: list[Tried]) -> Answer:
        """The last answer. Raises what the last attempt failed with."""
        answer: Answer | None = None
        for attempt in self._service.attempts(idempotent=self._ask.idempotent, timeout_s=self._ask.timeout_s):
            answer, over = self._try(attempt, tries)
            if over:
                break
        if answer is None:
            raise BrokenError("no instance was left to be asked")
        return answer

    def _try(self, attempt: Attempt, tries: list[Tried]) -> tuple[Answer | None, bool]:
        """What was answered, and whether the call is over. Raises what it failed with when no attempt is left."""
        began = time.perf_counter_ns()

        def told(status: int, why: str = "") -> None:
            endpoint, elapsed_ns = attempt.endpoint, time.perf_counter_ns() - began
            tries.append(Tried(endpoint.key, address(endpoint.address, endpoint.port), status, elapsed_ns, why))

        try:
            response, body = self._exchange(attempt)
        except (BrokenError, OSError) as error:
            told(0, reason(error))
            attempt.failed(error, sent=isinstance(error, BrokenError))
            return None, False
        told(response.status)
        wait = response.headers.get("Retry-After", "")
        over = attempt.answered(response.status, float(wait) if wait.isascii() and wait.isdigit() else None)
        return Answer(response.status, response.reason, body), over

    def _exchange(self, attempt: Attempt) -> tuple[http.client.HTTPResponse, bytes]:
        place, ask = (attempt.host, attempt.port), self._ask
        deadline = time.monotonic() + (attempt.timeout_s if ask.idempotent else attempt.remaining_s)
        link = self._links.pop(place, None)
        if link is None or not link.alive():
            link = Link(Base(*place, ""), deadline)
        try:
            response = link.send_request(ask.method, ask.path, ask.body, {**attempt.headers, **ask.headers}, deadline)
            body = link.read_body(response, ANSWER_MAX_BYTES, deadline)
        except BaseException:
            link.close()
            raise
        if body is None or response.will_close:
            link.close()
        else:
            self._links[place] = link
        if body is None:
            raise BrokenError(f"an answer of more than {ANSWER_MAX_BYTES} bytes")
        return response, body


class Made(NamedTuple):
    """What was done of the calls that were asked for."""

    calls: list[Called]
    interrupted: bool
    """Ctrl-C came before the last of them had ended."""


def make_calls(service: Service, ask: Ask, count: int, parallel: int, progress: Callable[[int], None]) -> Made:
    """`count` calls by so many threads at once. Ctrl-C ends it early, without waiting for those under way: they are not among the calls."""
    left, done = deque(range(count)), list[Called]()

    def work() -> None:
        caller = Caller(service, ask)
        try:
            while left:
                try:
                    left.pop()
                except IndexError:  # another thread took the last one
                    return
                done.append(caller.call())
        finally:
            caller.close()

    workers = [threads.start(work, name=f"callboard-call-{number}") for number in range(min(count, parallel))]
    try:
        for worker in workers:
            while worker.is_alive():
                worker.join(_PROGRESS_S)
                progress(len(done))
    except KeyboardInterrupt:
        left.clear()
        return Made(done[:], interrupted=True)
    progress(len(done))  # also when they were all too quick to be seen
    return Made(done, interrupted=False)
