"""Renewals of leases, asked of several endpoints, round and round while none answers. For threads; lives as long as the store.

etcd's call for it is a stream; it is used here as a question with one answer, which is the same on the wire.
"""

import contextlib
import queue
from collections.abc import Callable
from typing import Any

import grpc

from callboard.model.time import SECOND, Instant
from callboard.store.etcd.channels import HAS_LEADER, KEEP_ALIVE, Metadata, bind, bind_unary, open_blocking_channel
from callboard.store.etcd.client import authentication
from callboard.store.etcd.failures import Cause, EtcdError, failure
from callboard.store.etcd.messages import MESSAGES
from callboard.store.etcd.settings import EtcdSettings


class Speaker:
    """Connections of our own, used by all threads; what these share may be out of date, but never wrong."""

    def __init__(self, settings: EtcdSettings, now: Callable[[], Instant]) -> None:
        self._settings = settings
        self._now = now
        self._channels: dict[str, Any] = {}
        self._preferred = 0
        self._token = ""
        self._closed = False

    def keep_alive(self, number: int, hedge_s: float, timeout_s: float) -> int:
        """Renew a lease; answers the seconds it lasts, 0 when etcd does not know it. Raises `EtcdError`, `UnavailableError`.

        Within `timeout_s` the endpoints are asked round and round, one more question whenever `hedge_s` have passed: one that was asked
        before an election may never answer that question, and the next one at once. In the first round who refuses is followed at once too.
        """
        count, first = len(self._settings.endpoints), self._preferred
        answers: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        calls: list[Any] = []
        refusals, error = 0, EtcdError(Cause.UNKNOWN, "no answer")
        now = due = self._now()
        end = now + round(timeout_s * SECOND)
        try:
            while now < end and (refusals < len(calls) or len(calls) < count):  # somebody may answer, or was not asked
                if now >= due:
                    calls.append(self._ask((first + len(calls)) % count, number, (end - now) / SECOND, answers.put))
                    due = Instant(now + round(hedge_s * SECOND))
                with contextlib.suppress(queue.Empty):
                    answered, call = answers.get(timeout=(min(due, end) - now) / SECOND)
                    if call.code() is grpc.StatusCode.OK:
                        self._preferred = answered
                        return int(call.result().TTL)
                    refusals, error, self._token = refusals + 1, failure(call.code().name, call.details() or ""), ""
                    due = now if len(calls) < count else due
                now = self._now()
            raise error
        finally:
            for call in calls:
                call.cancel()

    def _ask(self, place: int, number: int, timeout_s: float, tell: Callable[[tuple[int, Any]], None]) -> Any:  # noqa: ANN401  # no types
        """Send one question; `tell` is called with the place and the call when it has ended. Raises `EtcdError`, `UnavailableError`."""
        try:
            channel = self._channel(self._settings.endpoints[place])
            renew = bind(channel.unary_unary, KEEP_ALIVE[0], "LeaseKeepAlive", *KEEP_ALIVE[1:])
            call = renew.future(
                MESSAGES["LeaseKeepAliveRequest"](ID=number), timeout=timeout_s, metadata=self._metadata(channel, timeout_s)
            )
        except grpc.RpcError as refused:  # us, who asked for a token: a call that has ended
            tell((place, refused))
            return refused
        except ValueError as error:  # the channel was closed meanwhile
            raise EtcdError(Cause.UNSENT, str(error)) from None
        call.add_done_callback(lambda ended: tell((place, ended)))
        return call

    def _metadata(self, channel: Any, timeout_s: float) -> Metadata:  # noqa: ANN401  # gRPC has no types
        if not self._settings.user:
            return [HAS_LEADER]
        token = self._token
        if not token:
            timeout_s /= min(2, len(self._settings.endpoints))  # time is left to ask another one
            token = self._token = bind_unary(channel, "Authenticate")(authentication(self._settings), timeout=timeout_s).token
        return [("token", token), HAS_LEADER]

    def _channel(self, endpoint: str) -> Any:  # noqa: ANN401  # gRPC has no types
        if self._closed:
            raise EtcdError(Cause.UNSENT, "the store is not open")
        if endpoint not in self._channels:
            self._channels[endpoint] = open_blocking_channel(endpoint, self._settings)
        return self._channels[endpoint]

    def close(self) -> None:
        """End every call, of whichever thread."""
        self._closed = True
        for channel in list(self._channels.values()):
            channel.close()
