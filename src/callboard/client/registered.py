"""An instance that this process keeps signed in.

It lives from `Client.register` to `close`, which signs out. Heartbeats run in a thread of their own over a connection of their own, so
that neither a busy application nor a slow answer to something else costs the lease. A process that ends without `close` is noticed by
its checks.
"""

import logging
import os
import random
import threading
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote, urlencode

import msgspec
from msgspec.structs import replace

from callboard.client.answers import value_of
from callboard.client.errors import ClientError, NotFoundError, ProblemError
from callboard.client.machine.pacing import Pace
from callboard.client.settings import ClientSettings
from callboard.client.transport import Call, Transport
from callboard.model.instance import Phase
from callboard.net import threads
from callboard.wire.native import Registration, Written

_log: Final = logging.getLogger("callboard.client")
_CLOSE_MAX_MS: Final = 2_000
_FORGOTTEN: Final = frozenset({"unknown_instance", "not_ttl"})
"""Codes of refused heartbeats that mean: it is not there, or not as it was signed in."""


class Registered:
    """Made by `Client.register`. A forked child does not own it: there `close` does nothing."""

    def __init__(self, settings: ClientSettings, registration: Registration) -> None:
        """Signs in before it returns. Raises what `Client.put` raises."""
        self.registration = _alive(registration)
        self._transport = Transport(settings)
        self._owner = os.getpid()
        self._ended = threading.Event()
        self._writing = threading.Lock()
        self._draining = False
        try:
            self.written = self._put()
            """What the last sign-in was answered with."""
        except BaseException:
            self._transport.close()
            raise
        ttls = [check.ttl_ms for check in registration.checks if check.ttl_ms]
        self._thread: threading.Thread | None = None
        if ttls:
            self._pace = Pace(min(ttls))
            self._pulse = Transport(settings)
            self._timeout_ms = min(settings.timeout_ms, max(self._pace.interval_ms, 1000))
            self._thread = threads.start(self._beat_on, name=f"callboard-heartbeat-{self.written.id}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def id(self) -> str:
        """The instance's id."""
        return self.written.id

    @property
    def node(self) -> str:
        """The node it was put on: the one that was named, or the caller's."""
        return self.written.node

    def drain(self) -> None:
        """Hide it from new picks, also over a new sign-in. Raises what `Client.drain` raises."""
        with self._writing:
            value_of(self._transport.request(Call("PUT", self._target("drain"), repeatable=True)), Written)
            self._draining = True

    def close(self) -> None:
        """Stop the heartbeats and sign out; at most some seconds. A server that cannot be reached finds out by its checks."""
        if self._ended.is_set() or os.getpid() != self._owner:
            return
        self._ended.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_MAX_MS / 1000)
            self._pulse.close()
        try:
            with self._writing:
                value_of(self._transport.request(Call("DELETE", self._target("instances")), _CLOSE_MAX_MS), Written)
        except NotFoundError:
            pass
        except ClientError as error:
            _log.warning("%s could not be signed out: %s", self.id, error)
        self._transport.close()

    # -- the thread

    def _beat_on(self) -> None:
        wait_ms = 0
        while not self._ended.wait(wait_ms / 1000):
            try:
                self._beat()
            except ClientError as error:
                wait_ms = self._pace.failed(random.random())
                if self._pace.failures == 1:
                    _log.warning("heartbeats of %s are not heard: %s", self.id, error)
            else:
                if self._pace.failures:
                    _log.warning("heartbeats of %s are heard again", self.id)
                wait_ms = self._pace.succeeded(random.random())

    def _beat(self) -> None:
        """One sign of life; a new sign-in when the server does not know the instance."""
        try:
            value_of(self._pulse.request(Call("PUT", self._target("heartbeat")), self._timeout_ms), Written)
        except ProblemError as error:
            if error.problem_code not in _FORGOTTEN:
                raise
            with self._writing:
                if not self._ended.is_set():
                    self.written = self._put()
                    _log.warning("%s was not known any more and has signed in again", self.id)

    def _put(self) -> Written:
        told = replace(self.registration, phase=Phase.DRAINING) if self._draining else self.registration
        return value_of(self._transport.request(Call("PUT", "/api/v1/instances", msgspec.json.encode(told))), Written)

    def _target(self, kind: str) -> str:
        """The node is named, also the caller's own: without, a server looks for the id elsewhere too, and there it may be another's."""
        place = {"namespace": self.registration.namespace, "node": self.written.node}
        query = urlencode({name: value for name, value in place.items() if value})
        return f"/api/v1/{kind}/{quote(self.written.id, safe='')}?{query}"


def _alive(registration: Registration) -> Registration:
    """What is signed in by the process itself is alive: its TTL checks start passing, and it has no others than those it names."""
    checks = tuple(replace(check, status="passing") if check.ttl_ms else check for check in registration.checks)
    return replace(registration, checks=checks, replace_checks=True)
