"""The channel that stubs get."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from types import TracebackType
from typing import Any, Final, Literal, Self, Unpack

import grpc

from callboard.client.aio.board import Board
from callboard.client.aio.service import Service
from callboard.client.options import ServiceOptions
from callboard.integrations.base.calls import check_board
from callboard.integrations.grpc.calls import CALLS, BalancedCall, Calling, How, Message, repeatable
from callboard.integrations.grpc.places import Form, Method, Places
from callboard.net.tasks import Tasks

RECONNECT_MAX_MS: Final = 2_000
"""An instance that comes back at its address is found again so soon; gRPC itself would take up to two minutes."""


def _opener(form: Form) -> Callable[..., "BalancedMethod"]:
    """The method of a channel, as grpc.aio has it, that makes methods of one form."""

    def opened(
        channel: "BalancedChannel",
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        _registered_method: bool | None = False,  # noqa: FBT001, FBT002  # as grpc.aio
    ) -> "BalancedMethod":
        return BalancedMethod(channel, Method(form, method, request_serializer, response_deserializer, _registered_method))

    return opened


class BalancedChannel(grpc.aio.Channel):  # type: ignore[misc]  # grpc has no types
    """A `grpc.aio.Channel` to a service: each call goes to one instance of it.

    A call that reached nobody is tried elsewhere; one that broke (UNAVAILABLE, CANCELLED by the server ...) only if it is unary
    and its method is said to be idempotent. Use it in one event loop, with `async with`, or close it. The board stays open.
    """

    def __init__(
        self,
        board: Board,
        service: str,
        *,
        idempotent: Collection[str] | Literal[True] = (),
        credentials: grpc.ChannelCredentials | None = None,
        options: Sequence[tuple[str, Any]] = (),
        compression: grpc.Compression | None = None,
        interceptors: Sequence[grpc.aio.ClientInterceptor] | None = None,
        **service_options: Unpack[ServiceOptions],
    ) -> None:
        """`idempotent`: full names (`/shop.Orders/Get`) of methods that may be sent twice, or True for all.

        With `credentials` instances are spoken to over TLS, and must have a certificate for the name of the service; the other arguments
        are those of grpc's channels. Raises `InvalidError`, `TypeError` for a board of threads, and `ClosedError`.
        """
        check_board(board, Board, type(self).__name__, "grpc's own channels with Service.pick()")
        self._service: Service = board.service(service, **service_options)
        self._idempotent = idempotent
        arguments = (("grpc.default_authority", service), ("grpc.max_reconnect_backoff_ms", RECONNECT_MAX_MS), *options)

        def open_channel(target: str) -> grpc.aio.Channel:
            if credentials is None:
                return grpc.aio.insecure_channel(target, arguments, compression, interceptors)
            return grpc.aio.secure_channel(target, credentials, arguments, compression, interceptors)

        self._places = Places(open_channel)
        self._tasks = Tasks()
        self._watching = False
        self._ended = asyncio.Event()

    @property
    def addresses(self) -> frozenset[tuple[str, int]]:
        """The instances that channels are open to now."""
        return self._places.addresses

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """As grpc.aio: calls under way get `grace` seconds to end, and are cancelled then. A second call does nothing."""
        if not self._ended.is_set():
            self._ended.set()
            await self._tasks.close()
            await self._places.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002  # as grpc.aio
        """IDLE until it is closed: there is no one connection to tell of."""
        return grpc.ChannelConnectivity.SHUTDOWN if self._ended.is_set() else grpc.ChannelConnectivity.IDLE

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Returns at once when the state is another one, else when the channel is closed."""
        if self.get_state() is last_observed_state:
            await self._ended.wait()

    async def channel_ready(self) -> None:
        """Wait until something is known of the service."""
        await self._service.wait()

    unary_unary = _opener("unary_unary")
    unary_stream = _opener("unary_stream")
    stream_unary = _opener("stream_unary")
    stream_stream = _opener("stream_stream")

    def begin(self, method: Method, request: Message, how: How) -> BalancedCall:
        """Start a call. Raises grpc's UsageError when the channel is closed."""
        if self._ended.is_set():
            raise grpc.aio.UsageError("Channel is closed.")
        if not self._watching:
            self._watching = True
            self._tasks.spawn(self._watch(), name=f"callboard-grpc-watch-{self._service.name}")
        calling = Calling(self._service, self._places, method, request, how, repeatable(method, self._idempotent))
        return CALLS[method.form](calling)

    async def _watch(self) -> None:
        """Close channels to instances that the registry no longer names."""
        async for snapshot in self._service.watch():
            self._places.keep({(instance.address, instance.port) for instance in snapshot.instances})


class BalancedMethod(
    grpc.aio.UnaryUnaryMultiCallable,  # type: ignore[misc]
    grpc.aio.UnaryStreamMultiCallable,  # type: ignore[misc]
    grpc.aio.StreamUnaryMultiCallable,  # type: ignore[misc]
    grpc.aio.StreamStreamMultiCallable,  # type: ignore[misc]
):
    """One method of a service, as a stub keeps it."""

    def __init__(self, channel: BalancedChannel, method: Method) -> None:
        self._channel = channel
        self._method = method

    def __call__(
        self,
        request: Message = None,
        timeout: float | None = None,
        metadata: object = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,  # noqa: FBT001
        compression: grpc.Compression | None = None,
    ) -> BalancedCall:
        """Start a call. For a stream of messages `request` is an iterator, or nothing: then they are written to the call."""
        return self._channel.begin(self._method, request, How(timeout, metadata, credentials, wait_for_ready, compression))
