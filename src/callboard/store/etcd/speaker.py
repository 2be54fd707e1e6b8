"""Renewals of leases, asked of several endpoints: of the next one too when one is slow. For threads; lives as long as the store.

etcd's call for it is a stream; it is used here as a question with one answer, which is the same on the wire.
"""

import queue
from collections.abc import Callable
from typing import Any

import grpc

from callboard.store.etcd.channels import HAS_LEADER, KEEP_ALIVE, Metadata, bind, bind_unary, open_blocking_channel
from callboard.store.etcd.client import authentication, call_failure
from callboard.store.etcd.failures import Cause, EtcdError, failure
from callboard.store.etcd.messages import MESSAGES
from callboard.store.etcd.settings import EtcdSettings


class Speaker:
    """Connections of our own, used by all threads; what these share may be out of date, but never wrong."""

    def __init__(self, settings: EtcdSettings) -> None:
        self._settings = settings
        self._channels: dict[str, Any] = {}
        self._preferred = 0
        self._token = ""
        self._closed = False

    def keep_alive(self, number: int, hedge_s: float, timeout_s: float) -> int:
        """Renew a lease; answers the seconds it lasts, 0 when etcd does not know it. Raises `EtcdError`, `UnavailableError`.

        Whenever `hedge_s` have passed without an answer, or an endpoint refuses, the next one is asked as well.
        """
        count, first = len(self._settings.endpoints), self._preferred
        answers: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        calls: list[Any] = []
        waiting, error = 0, EtcdError(Cause.UNKNOWN, "no answer")
        try:
            for place in range(first, first + count):
                calls.append(self._ask(place % count, number, timeout_s, answers.put))
                waiting += 1
                patience_s = None if place == first + count - 1 else hedge_s  # every call ends in time by itself
                while waiting:
                    try:
                        answered, call = answers.get(timeout=patience_s)
                    except queue.Empty:
                        break
                    waiting -= 1
                    if call.code() is grpc.StatusCode.OK:
                        self._preferred = answered
                        return int(call.result().TTL)
                    error = failure(call.code().name, call.details() or "")
                    self._token = ""
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
        except grpc.RpcError as error:
            raise call_failure(error) from None
        except ValueError as error:  # the channel was closed meanwhile
            raise EtcdError(Cause.UNSENT, str(error)) from None
        call.add_done_callback(lambda ended: tell((place, ended)))
        return call

    def _metadata(self, channel: Any, timeout_s: float) -> Metadata:  # noqa: ANN401  # gRPC has no types
        if not self._settings.user:
            return [HAS_LEADER]
        token = self._token
        if not token:
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
