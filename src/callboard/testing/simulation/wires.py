"""How a client speaks to a member: one request, one answer, lost on the way there or back, or not taken because nobody listens."""

import asyncio
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from callboard.testing.simulation.network import Network
from callboard.testing.simulation.process import Process
from callboard.testing.simulation.store import WORLD

T = TypeVar("T")
Answer = Callable[[T], None]


class Reply(NamedTuple, Generic[T]):
    """What came back. `lost`: nothing did, and nobody knows what became of the request."""

    value: T | None
    lost: bool = False


class Line(Generic[T]):
    """A client's requests; `work` is done in the member's process, and answers once."""

    def __init__(self, network: Network, client: str) -> None:
        self._network = network
        self._client = client

    async def ask(self, member: str, work: Callable[[Process, Answer[T]], None], timeout_s: float) -> Reply[T]:
        """One request. A value of None: it was refused before anything happened."""
        network, client = self._network, self._client
        loop = network.loop
        reply: asyncio.Future[Reply[T]] = loop.create_future()

        def arrive() -> None:
            process = network.find(member)
            if process is None or process.registry is None:
                network.send(member, client, lambda: _tell(reply, Reply(None)))
            else:
                loop.call_soon(work, process, answer, context=process.context)

        def answer(value: T) -> None:
            network.send(member, client, lambda: _tell(reply, Reply(value)))

        network.send(client, member, arrive)
        timer = loop.call_later(timeout_s, _tell, reply, Reply(None, lost=True), context=WORLD)
        told = await reply
        timer.cancel()
        return told


def _tell(future: asyncio.Future[Reply[T]], value: Reply[T]) -> None:
    if not future.done():
        future.set_result(value)
