"""The harness of the peer frontend: a member that is only played, with the secret of the one it speaks to."""

import functools
from collections.abc import Mapping, Sequence
from typing import TypeVar

from callboard.core.catalog.commands import ReportCheck, Target
from callboard.frontend.base import Frontend, Plugin
from callboard.frontend.peer import plugin as peer
from callboard.frontend.peer.courier import MEMBER, NONCE, PATH, SIGNATURE
from callboard.frontend.peer.settings import PeerSettings
from callboard.frontend.peer.signing import sign_answer, sign_question
from callboard.model.check import Status
from callboard.model.members import Card
from callboard.model.names import PUBLIC
from callboard.net.http.message import Answer
from callboard.registry import messages as msg
from callboard.registry.peers import UnreachableError
from callboard.registry.registry import Registry
from callboard.testing.frontend_suite_kit import Ability, Door, Example, Harness, Sample

R = TypeVar("R", bound=msg.Reply)
SECRET = "what stands on the card"
DOORS_ONLY = "doors do that, and hand on commands"


class Nowhere:
    """A courier that reaches nobody."""

    async def exchange(self, to: Card, message: bytes, timeout_s: float) -> bytes:
        raise UnreachableError(to.name)

    async def close(self) -> None:
        pass


@functools.wraps(peer.build)
def build(registry: Registry, settings: PeerSettings) -> Frontend:
    """The frontend of a server that is reached, and whose secret is known."""
    frontend = peer.build(registry, settings)
    registry.connect(Nowhere(), "http://127.0.0.1:1", SECRET)
    return frontend


def signed(message: bytes, secret: str = SECRET, member: str = "played", nonce: str = "n1") -> dict[str, str]:
    """Fields of a message."""
    return {MEMBER: member, NONCE: nonce, SIGNATURE: sign_question(secret, member, nonce, message)}


class PeerHarness(Harness):
    plugin = Plugin("peer", PeerSettings, build)
    cannot: Mapping[Ability, str] = {
        Ability.FIND: "each member reads its own view",
        **dict.fromkeys((Ability.REGISTER, Ability.DEREGISTER), DOORS_ONLY),
    }
    samples: Sequence[Sample] = (Sample("POST", PATH, msg.encode(msg.Greet()), signed(msg.encode(msg.Greet()))),)
    before_ready = frozenset({PATH})

    def heartbeat(self, door: Door, example: Example) -> None:
        """As another member's door: a batch of heartbeats, and a command for what is more than that."""
        registry = door.world.registry
        found = door.world.found(example)
        assert found is not None
        node, name = found.instance.node, registry.entropy.nonce()
        term = registry.view.term.number
        key = (PUBLIC, node, example.check)
        beats = ask(door, msg.Beats(name, term, 1, 0, (msg.Heard(key, 0),)), msg.BeatsTaken)
        assert beats.confirmed
        if beats.more:
            report = ReportCheck(target=Target(node, example.check), status=Status.PASSING, output="")
            (outcome,) = ask(door, msg.Commands(name, term, 1, (msg.Numbered(1, report),)), msg.Settled).outcomes
            assert outcome.refusal is None, outcome

    def is_own_error(self, answer: Answer) -> bool:
        """A line of text."""
        return answer.content_type.startswith(b"text/plain") and answer.body.endswith(b"\n")


def ask(door: Door, message: msg.Message, to: type[R]) -> R:
    """A message and its answer, which must be signed."""
    data = msg.encode(message)
    fields = signed(data)
    answer = door.call("POST", PATH, data, fields)
    assert answer.status == 200, answer
    signature = sign_answer(SECRET, fields[SIGNATURE], answer.body)
    assert answer.headers == ((SIGNATURE.encode(), signature.encode()),)
    reply = msg.decode_reply(answer.body)
    assert isinstance(reply, to), reply
    return reply
