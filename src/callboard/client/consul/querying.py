"""One service followed with blocking queries, in a thread of its own. It lives from `start` to `end`, over all its connections.

No refusal ends it: tokens are made and replicated later than their users start, and a proxy answers anything while its server is away.
"""

import logging
import random
import threading
import time
from typing import Final
from urllib.parse import quote, urlencode

import msgspec

from callboard.client.consul.asking import Answer, Asker
from callboard.client.consul.indexes import BlockingQuery
from callboard.client.consul.pictures import Told
from callboard.client.consul.slots import Slots
from callboard.client.consul.words import instances_of, namespace_query
from callboard.client.errors import ClientError, ProtocolError, UnavailableError
from callboard.client.link import BrokenError
from callboard.client.settings import ClientSettings
from callboard.client.watch import WatchLostError
from callboard.model.time import Instant
from callboard.net import threads

_log: Final = logging.getLogger("callboard.client")


class Following:
    """Asks about one service, and puts what it is answered into its slot."""

    def __init__(self, settings: ClientSettings, service: str, namespace: str, slots: Slots) -> None:
        self.service = service
        self._namespace = namespace
        self._slots = slots
        self._asker = Asker(settings)
        self._query = BlockingQuery(settings.silence_max_ms)
        self._heard = time.monotonic()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._anew = False
        self._ended = False
        self._some = False
        """The last answer had instances."""
        self._confirming = False
        """Now it had none, and is asked for again without waiting: only then does Consul say that it keeps them from this token."""

    def start(self) -> None:
        """Begin."""
        threads.start(self._run, name=f"callboard-consul-{self.service}")

    def restart(self) -> None:
        """Ask for everything, now. From any thread."""
        with self._lock:  # so that what is broken off is never the answer to this very wish
            self._anew = True
            self._interrupt()

    def end(self) -> None:
        """The thread ends at once. From any thread."""
        self._ended = True
        self._interrupt()

    def _interrupt(self) -> None:
        self._wake.set()
        self._asker.break_off()

    # -- the thread

    def _run(self) -> None:
        try:
            while not self._ended:
                self._wake.wait(self._turn() / 1000)
        finally:
            self._asker.drop()

    def _turn(self) -> int:
        """Ask once, if it is time to. Milliseconds to wait before the next turn."""
        self._wake.clear()
        with self._lock:
            if self._anew:
                self._anew = False
                self._query.forget()
        if self._ended or (delay := self._query.delay_ms(Instant(time.monotonic_ns()))):
            return 0 if self._ended else delay
        try:
            answer = self._ask()
            if answer is not None:
                self._read(answer)
            return 0
        except ClientError as error:
            failure = error
        except Exception as error:  # noqa: BLE001  # a mistake of ours must not end the thread that keeps a service fresh
            _log.exception("following service %s failed", self.service)
            failure = ClientError(str(error) or type(error).__name__)
        return self._fail(failure)

    def _interrupted(self) -> bool:
        return self._anew or self._ended

    def _ask(self) -> Answer | None:
        """An answer; None when there is a reason to ask otherwise."""
        if not self._asker.connect():
            self._query.forget()
            self._confirming = False
        if self._interrupted():  # after there is something to break off: who says so from now on breaks it off
            return None
        query = [*namespace_query(self._namespace), ("stale", "")]
        if self._query.index:
            query += [("index", str(self._query.index)), ("wait", f"{self._query.wait_ms}ms")]
        try:
            return self._asker.ask(f"/v1/health/service/{quote(self.service, safe='')}?{urlencode(query)}", self._query.answer_ms)
        except BrokenError as error:
            silent_s = time.monotonic() - self._heard
            raise WatchLostError(f"a query about {self.service} broke off and is asked again: {error}", silent_s) from None

    def _read(self, answer: Answer) -> None:
        self._heard = time.monotonic()
        turn = self._query.answered(answer.revision)
        if turn == "same":
            self._slots.hear(self.service)
            return
        try:
            instances = instances_of(answer.body, self._namespace)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ProtocolError(answer.url, str(error)) from None
        if turn == "next" and not instances and self._some:
            self._confirming = True
            self._query.forget()
            return
        anew = answer.filtered or (turn == "anew" and not self._confirming)
        self._some, self._confirming = bool(instances), False
        self._slots.tell(Told(self.service, instances, answer.revision, anew))

    def _fail(self, error: ClientError) -> int:
        self._confirming = False
        self._asker.drop()
        if self._interrupted():
            return 0
        self._asker.turn()
        self._slots.fail(self.service, error)
        return self._query.failed(random.random(), error.retry_after_s if isinstance(error, UnavailableError) else 0)
