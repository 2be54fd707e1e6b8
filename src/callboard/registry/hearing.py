"""What other members say to this one, and what it answers: as a leader, as a third member between two, or as a second opinion.

It lives as long as the registry; the reception in it lives for a term.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from callboard.registry import messages as msg
from callboard.registry.following import Following
from callboard.registry.means import Means
from callboard.registry.peers import Peers
from callboard.registry.pending import Promise
from callboard.registry.probing import Probing
from callboard.registry.reception import Reception
from callboard.registry.term import Term


class Hearing:
    """Messages in, replies out."""

    def __init__(
        self, means: Means, peers: Peers, following: Following, probing: Probing, hand_over: Callable[[], Awaitable[None]]
    ) -> None:
        """`hand_over` gives up the lead of this member."""
        self._settings = means.settings
        self._stats = means.stats
        self._tasks = means.tasks
        self._now = means.now
        self._peers = peers
        self._following = following
        self._probing = probing
        self._hand_over = hand_over
        self._reception: Reception | None = None

    def lead(self, term: Term) -> None:
        """From now on this member takes what belongs to the leader."""
        self._reception = Reception(term, self._stats, self._settings.commands_pending_max_count)

    def end(self) -> None:
        """The term is over."""
        reception, self._reception = self._reception, None
        if reception is not None:
            reception.end()

    def hear(self, data: bytes) -> Promise[bytes]:
        """One message. Raises `MessageError`."""
        message = msg.decode_message(data)
        answer: Promise[bytes] = Promise()
        self._reply(message).then(lambda reply: answer.tell(msg.encode(reply)))
        return answer

    def _reply(self, message: msg.Message) -> Promise[msg.Reply]:
        reception = self._reception
        if isinstance(message, msg.Commands):
            return reception.commands(message) if reception is not None else Promise.of(msg.NotLeading())
        if isinstance(message, msg.Beats):
            return Promise.of(reception.beats(message, self._now()) if reception is not None else msg.NotLeading())
        if isinstance(message, msg.Greet):
            return Promise.of(msg.Reached(self._following.highest, self._settings.level))
        if isinstance(message, msg.HandOver):
            return Promise.of(self._give_up(message.term))
        if isinstance(message, msg.Relay):
            return self._later(self._peers.hand_on(message), "relay")
        return self._later(self._opinions(message), "opinion")

    def _give_up(self, term: int) -> msg.Reply:
        """The answer comes first: the lead may take its time to end."""
        if self._reception is None or self._following.base.term.number != term:
            return msg.NotLeading()

        async def give_up() -> None:
            await self._hand_over()

        self._tasks.spawn(give_up(), name="hand over")
        return msg.Ended()

    def _later(self, work: Coroutine[Any, Any, msg.Reply], name: str) -> Promise[msg.Reply]:
        promise: Promise[msg.Reply] = Promise()

        async def answer() -> None:
            promise.tell(await work)

        self._tasks.spawn(answer(), name=name)
        return promise

    async def _opinions(self, message: msg.Ask) -> msg.Reply:
        found = await self._probing.opinions(message.checks[: self._settings.opinions_max_count])
        return msg.Opinions(tuple(msg.Opinion(key, status) for key, status in found.items()))
