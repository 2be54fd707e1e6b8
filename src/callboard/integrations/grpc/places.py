"""The channels below a balanced channel, one for each address. They live in one event loop, and as long as the balanced channel at most."""

import asyncio
from collections.abc import Callable, Collection
from typing import Any, Final, Literal, NamedTuple

import grpc

from callboard.net.tasks import Tasks

Form = Literal["unary_unary", "unary_stream", "stream_unary", "stream_stream"]
Address = tuple[str, int]

_FAILED: Final = frozenset({grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN})


class Method(NamedTuple):
    """A method as a stub describes it."""

    form: Form
    name: str
    serializer: Callable[[Any], bytes] | None
    deserializer: Callable[[bytes], Any] | None
    registered: bool | None


class Place:
    """One address, and the channel to it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.calls_count = 0
        self.gone = False
        """The registry no longer names it."""
        self._methods: dict[Method, Callable[..., grpc.aio.Call]] = {}

    def method(self, method: Method) -> Callable[..., grpc.aio.Call]:
        """What starts a call there."""
        found = self._methods.get(method)
        if found is None:
            make = getattr(self.channel, method.form)
            found = self._methods[method] = make(method.name, method.serializer, method.deserializer, _registered_method=method.registered)
        return found

    async def connected(self, limit_s: float | None) -> bool:
        """Whether a connection is there, or comes within the limit: what fails before was surely not sent."""
        try:
            async with asyncio.timeout(limit_s):
                while (state := self.channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
                    if state in _FAILED:
                        return False
                    await self.channel.wait_for_state_change(state)
        except TimeoutError:
            return False
        return True


class Places:
    """The channels of one balanced channel."""

    def __init__(self, open_channel: Callable[[str], grpc.aio.Channel]) -> None:
        self._open_channel = open_channel
        self._places: dict[Address, Place] = {}
        self._tasks = Tasks()

    @property
    def addresses(self) -> frozenset[Address]:
        """Where channels are open to."""
        return frozenset(self._places)

    def enter(self, address: Address) -> Place:
        """Where a call goes; `leave` it when the call ended."""
        place = self._places.get(address)
        if place is None:
            host, port = address
            target = f"ipv6:[{host}]:{port}" if ":" in host else f"{host}:{port}"
            place = self._places[address] = Place(self._open_channel(target))
        place.gone = False
        place.calls_count += 1
        return place

    def leave(self, place: Place) -> None:
        """A call ended there."""
        place.calls_count -= 1
        if place.gone and place.calls_count == 0:
            self._drop(place)

    def keep(self, named: Collection[Address]) -> None:
        """The registry names these; the others are closed when they are idle."""
        for address, place in list(self._places.items()):
            place.gone = address not in named
            if place.gone and place.calls_count == 0:
                self._drop(place)

    def _drop(self, place: Place) -> None:
        for address, known in list(self._places.items()):
            if known is place:
                del self._places[address]
                self._tasks.spawn(place.channel.close(), name=f"callboard-grpc-close-{address[0]}:{address[1]}")

    async def close(self, grace: float | None) -> None:
        """Close all of them; calls get so many seconds to end."""
        places, self._places = list(self._places.values()), {}
        await asyncio.gather(*(place.channel.close(grace) for place in places))
        await self._tasks.close()
