"""Calls to etcd over several endpoints: which one is asked, what may be asked again elsewhere, and who we say we are.

Reads go to the next endpoint when one does not answer. What writes is sent once: only an answer that says "not applied" lets it be sent
again, and that is decided by whoever knows what it was. The client lives from `open` to `close` of the store.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
import grpc.aio

from callboard.model.errors import UnavailableError
from callboard.net.tasks import spawn
from callboard.store.etcd.channels import HAS_LEADER, UNARY, WATCH, Metadata, bind, bind_unary, open_channel, read_file
from callboard.store.etcd.failures import Cause, EtcdError, failure
from callboard.store.etcd.messages import MESSAGES
from callboard.store.etcd.settings import EtcdSettings
from callboard.store.etcd.stats import EtcdStats

_PASSING: Final = frozenset({Cause.UNKNOWN, Cause.UNSENT, Cause.BUSY, Cause.TOKEN})
"""Another endpoint, or this one a little later, may answer."""


def passing(error: EtcdError) -> bool:
    """Whether the same question may be answered by another endpoint, or later."""
    return error.cause in _PASSING


def unavailable(error: EtcdError) -> UnavailableError:
    """What the caller of a store is told about a call that changed nothing."""
    if error.cause is Cause.DENIED:
        return UnavailableError(f"etcd refuses us: {error.text}; check user and password_path in [tune.etcd], and the rights on the prefix")
    return UnavailableError(f"etcd: {error.text}")


def authentication(settings: EtcdSettings) -> Any:  # noqa: ANN401  # messages have no types
    """The request for a token. Raises `UnavailableError`."""
    password = read_file(settings.password_path, "password_path").decode("utf-8").strip()
    return MESSAGES["AuthenticateRequest"](name=settings.user, password=password)


def call_failure(error: grpc.RpcError) -> EtcdError:
    """The error of a call that gRPC ended."""
    return failure(error.code().name, error.details() or "")


def _unsent(error: grpc.aio.UsageError) -> EtcdError:
    """The error of a call that did not begin, for its channel was closed."""
    return EtcdError(Cause.UNSENT, str(error))


class Endpoint:
    """One channel and its methods."""

    def __init__(self, address: str, settings: EtcdSettings) -> None:
        self.address = address
        self.channel = open_channel(address, settings)
        self.unary = {method: bind_unary(self.channel, method) for method in UNARY}
        self.shunned_until = 0.0
        """By the loop's clock: it was silent, and others are asked first until then. By then a dead one is known to be dead."""
        self.watch = bind(self.channel.stream_stream, WATCH[0], "Watch", *WATCH[1:])

    @property
    def is_ready(self) -> bool:
        """Whether it is connected."""
        return self.channel.get_state() is grpc.ChannelConnectivity.READY

    async def ready(self, timeout_s: float) -> bool:
        """Whether it is connected within the time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.channel.channel_ready()
        except (TimeoutError, grpc.aio.UsageError):  # the latter: the channel was closed
            return False
        return True


class Client:
    """All endpoints. One of them is asked until it fails."""

    def __init__(self, settings: EtcdSettings, stats: EtcdStats) -> None:
        self._settings = settings
        self._stats = stats
        self._endpoints: list[Endpoint] = []
        self._preferred = 0
        self._token = ""
        self.closed = asyncio.Event()
        self.closed.set()

    def open(self) -> None:
        """Make the channels of the running event loop; nothing is connected yet. Raises `UnavailableError` for files that are missing."""
        self._endpoints = [Endpoint(address, self._settings) for address in self._settings.endpoints]
        self.closed = asyncio.Event()

    async def close(self) -> None:
        """End every call; whatever goes on over failures has been ended by `closed` before."""
        self.closed.set()
        for endpoint in self._endpoints:
            await endpoint.channel.close()

    @property
    def endpoint(self) -> Endpoint:
        """The one that is asked now."""
        return self._endpoints[self._preferred]

    def leave(self, endpoint: Endpoint) -> None:
        """It failed: ask the next one from now on."""
        if self.endpoint is endpoint and len(self._endpoints) > 1:
            self._preferred = (self._preferred + 1) % len(self._endpoints)
            self._stats.failovers += 1

    async def connected(self) -> Endpoint:
        """An endpoint with a connection, made now if none has one. Raises `EtcdError` (`UNSENT`)."""
        now = asyncio.get_running_loop().time()
        for trusted in (True, False):
            for _ in self._endpoints:
                endpoint = self.endpoint
                if endpoint.is_ready and (endpoint.shunned_until <= now) is trusted:
                    return endpoint
                self._preferred = (self._preferred + 1) % len(self._endpoints)
        timeout_s = self._settings.connect_timeout_ms / 1000
        for _ in self._endpoints:
            endpoint = self.endpoint
            if await endpoint.ready(timeout_s):
                return endpoint
            self.leave(endpoint)
        raise EtcdError(Cause.UNSENT, f"no connection to {', '.join(self._settings.endpoints)}")

    async def read(self, method: str, request: Any, timeout_ms: int = 0) -> Any:  # noqa: ANN401  # messages have no types
        """Ask; where an endpoint does not answer, the next one, for twice the time and what a connection takes. Raises `EtcdError`."""
        timeout_ms = timeout_ms or self._settings.read_timeout_ms
        error = EtcdError(Cause.UNSENT, "no answer in time")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout((2 * timeout_ms + self._settings.connect_timeout_ms) / 1000):
                for _ in range(len(self._endpoints) + 1):
                    try:
                        return await self.write(method, request, timeout_ms)
                    except EtcdError as failed:
                        error = failed
                        if not passing(error) or error.cause is Cause.UNSENT or self.closed.is_set():
                            raise
        raise error

    async def write(self, method: str, request: Any, timeout_ms: int) -> Any:  # noqa: ANN401  # messages have no types
        """Send once. Raises `EtcdError`; its cause says whether it may have been applied."""
        endpoint = await self.connected()
        try:
            return await self._call(endpoint, method, request, timeout_ms)
        except EtcdError as error:
            if error.cause is not Cause.TOKEN or not self._settings.user:
                raise
        await self._authenticate(endpoint)
        return await self._call(endpoint, method, request, timeout_ms)

    async def _call(self, endpoint: Endpoint, method: str, request: Any, timeout_ms: int) -> Any:  # noqa: ANN401  # messages have no types
        """One call of one endpoint. Raises `EtcdError`."""
        if self._settings.user and not self._token and method != "Authenticate":
            await self._authenticate(endpoint)
        try:
            return await endpoint.unary[method](request, timeout=timeout_ms / 1000, metadata=self._metadata(method))
        except grpc.RpcError as error:
            failed = call_failure(error)
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                endpoint.shunned_until = asyncio.get_running_loop().time() + self._settings.keepalive_ms / 1000
        except asyncio.CancelledError:
            failed = self.cancelled()
        except grpc.aio.UsageError as error:
            raise _unsent(error) from None
        if failed.cause in (Cause.UNKNOWN, Cause.BUSY):
            self.leave(endpoint)
        raise failed

    def cancelled(self) -> EtcdError:
        """gRPC ends calls of a closed channel as if their task had been cancelled. Raises the `CancelledError` where it was."""
        task = asyncio.current_task()
        if not self.closed.is_set() or (task is not None and task.cancelling()):
            raise asyncio.CancelledError
        return EtcdError(Cause.UNKNOWN, "the store was closed")

    def forget_token(self) -> None:
        """Ask for a new one before the next call."""
        self._token = ""

    def _metadata(self, method: str) -> Metadata:
        return [("token", self._token)] if self._token and method != "Authenticate" else []

    async def _authenticate(self, endpoint: Endpoint) -> None:
        """Fetch a token. Raises `EtcdError`."""
        self._token = ""
        try:
            request = authentication(self._settings)
        except UnavailableError as error:
            raise EtcdError(Cause.DENIED, str(error)) from error
        answer = await self._call(endpoint, "Authenticate", request, self._settings.read_timeout_ms)
        self._token = answer.token

    @contextlib.asynccontextmanager
    async def stream(self, request: Any) -> AsyncIterator["Stream"]:  # noqa: ANN401  # messages have no types
        """A watch, begun with `request`. Raises `EtcdError`."""
        endpoint = await self.connected()
        if self._settings.user and not self._token:
            await self._authenticate(endpoint)
        try:
            call = endpoint.watch(metadata=[*self._metadata("Watch"), HAS_LEADER])
        except grpc.aio.UsageError as error:
            raise _unsent(error) from None
        stream = Stream(self, endpoint, call, self._settings.connect_timeout_ms / 1000)
        try:
            await stream.send(request)
            yield stream
        finally:
            await stream.close()


class Stream:
    """The answers of one watch, and a way to stop waiting for the next without ending it."""

    def __init__(self, client: Client, endpoint: Endpoint, call: Any, timeout_s: float) -> None:  # noqa: ANN401  # gRPC has no types
        self._client = client
        self._endpoint = endpoint
        self._call = call
        self._timeout_s = timeout_s
        """For writing: gRPC may never end a call that begins while its channel is being closed."""
        self._reading: asyncio.Future[Any] | None = None

    def refused(self, reason: str) -> EtcdError:
        """The error of a watch that etcd has ended with a reason; it may be that it no longer knows us."""
        self._client.forget_token()
        self._client.leave(self._endpoint)
        return EtcdError(Cause.UNKNOWN, f"etcd ended the watch: {reason}")

    async def send(self, request: Any) -> None:  # noqa: ANN401  # messages have no types
        """Write one request. Raises `EtcdError`."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._call.write(request)
        except TimeoutError:
            self._client.leave(self._endpoint)
            raise EtcdError(Cause.UNKNOWN, "etcd does not take the watch") from None
        except (grpc.RpcError, asyncio.InvalidStateError, asyncio.CancelledError) as error:
            raise self._ended(error) from None

    async def next(self, timeout_s: float) -> Any | None:  # noqa: ANN401  # messages have no types
        """The next answer; None when there is none in time, or the store was closed. Raises `EtcdError` when the stream ended."""
        if self._reading is None:
            self._reading = spawn(self._read(), name="etcd-watch")
        await asyncio.wait({self._reading}, timeout=timeout_s)
        if not self._reading.done() or self._client.closed.is_set():
            return None
        reading, self._reading = self._reading, None
        return reading.result()

    async def _read(self) -> Any:  # noqa: ANN401  # messages have no types
        """One answer. Raises `EtcdError`."""
        try:
            answer = await self._call.read()
        except (grpc.RpcError, asyncio.InvalidStateError, asyncio.CancelledError) as error:
            raise self._ended(error) from None
        if answer is grpc.aio.EOF:
            self._client.leave(self._endpoint)
            raise EtcdError(Cause.UNKNOWN, "etcd ended the watch")
        return answer

    def _ended(self, error: BaseException) -> EtcdError:
        if isinstance(error, asyncio.CancelledError):
            return self._client.cancelled()
        self._client.forget_token()
        self._client.leave(self._endpoint)
        return call_failure(error) if isinstance(error, grpc.RpcError) else EtcdError(Cause.UNKNOWN, str(error))

    async def close(self) -> None:
        """End the watch."""
        self._call.cancel()
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, EtcdError):
                await self._reading
