"""What members tell each other: commands and heartbeats on their way to the leader, and the few questions around them. MessagePack.

A message lives for one exchange. It may arrive twice or late, and its answer may be lost; each kind says why that does no harm.
"""

from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from callboard.core.catalog.commands import Command
from callboard.core.liveness import CheckKey
from callboard.model.check import Status
from callboard.model.errors import CallboardError
from callboard.model.rows import Outcome, Revision


class MessageError(CallboardError):
    """The bytes are no message this program knows."""

    code = "message"


class Numbered(NamedTuple):
    """A command, and its number at the door that took it."""

    number: int
    command: Command


class Heard(NamedTuple):
    """A heartbeat: the check, how long ago it was heard at the door, and what the check would say if it were more than that."""

    key: CheckKey
    age_ms: int


class Commands(Struct, frozen=True, tag="commands", gc=False):
    """Commands of one door. One batch of a door is under way at a time; the leader answers a number it has seen with what it said then."""

    door: str
    term: int
    batch: int
    commands: tuple[Numbered, ...]


class Beats(Struct, frozen=True, tag="beats", gc=False):
    """Heartbeats of one door, at least once a second, also none. `after`: the last batch whose answer this door has received."""

    door: str
    term: int
    batch: int
    after: int
    beats: tuple[Heard, ...]
    probing_count: int = 0
    """How many checks this member probes."""


class Relay(Struct, frozen=True, tag="relay", gc=False):
    """Hand `message` on to the present member with this nonce; the link to it is broken, or seems so."""

    to: str
    message: bytes


class Greet(Struct, frozen=True, tag="greet", gc=False):
    """Asked by a new leader: how far have you ever seen?"""


class Ask(Struct, frozen=True, tag="ask", gc=False):
    """A second opinion: what do you find when you probe these checks now?"""

    checks: tuple[CheckKey, ...]


class HandOver(Struct, frozen=True, tag="hand_over", gc=False):
    """Give up the lead of this term, for others to take; a later one is not meant. Answered at once."""

    term: int


Message = Commands | Beats | Relay | Greet | Ask | HandOver


class Settled(Struct, frozen=True, tag="settled", gc=False):
    """The outcomes of a batch, all of them, durable."""

    outcomes: tuple[Outcome, ...]


class NotLeading(Struct, frozen=True, tag="not_leading", gc=False):
    """Nothing of the message was taken, this time. What an earlier sending of it did is not said."""


class Ended(Struct, frozen=True, tag="ended", gc=False):
    """The term ended while the batch was under way: the feed tells what became of it."""


class BeatsTaken(Struct, frozen=True, tag="beats_taken", gc=False):
    """The heartbeats are noted. They are acknowledged only if `confirmed`. `more` are those (by place) that the leader cannot just note:
    unknown or critical checks, or such that a command is about to change."""

    confirmed: bool
    revision: Revision
    more: tuple[int, ...] = ()


class Unreached(Struct, frozen=True, tag="unreached", gc=False):
    """The relay could not hand the message on either; it may have arrived all the same, if it was `sent`."""

    detail: str
    sent: bool = True


class Relayed(Struct, frozen=True, tag="relayed", gc=False):
    """The answer that the relay was given."""

    answer: bytes


class Reached(Struct, frozen=True, tag="reached", gc=False):
    """The highest revision this member has ever shown to anybody, and the level it speaks."""

    revision: Revision
    level: int


class Opinion(NamedTuple):
    """What a second member found."""

    key: CheckKey
    status: Status


class Opinions(Struct, frozen=True, tag="opinions", gc=False):
    """Those checks that could be asked."""

    opinions: tuple[Opinion, ...]


Reply = Settled | NotLeading | Ended | BeatsTaken | Unreached | Relayed | Reached | Opinions

_encoder: Final = msgspec.msgpack.Encoder()
_message: Final = msgspec.msgpack.Decoder(Message)
_reply: Final = msgspec.msgpack.Decoder(Reply)


def encode(value: Message | Reply) -> bytes:
    """As bytes."""
    return _encoder.encode(value)


def size_bytes(command: Command) -> int:
    """How much of a message it takes."""
    return len(_encoder.encode(command))


def decode_message(data: bytes) -> Message:
    """Raises `MessageError`."""
    try:
        return _message.decode(data)  # type: ignore[no-any-return]  # the type of a union is a value to mypy
    except (msgspec.MsgspecError, CallboardError, ValueError) as error:
        raise MessageError(f"not a message this program knows: {error}") from None


def decode_reply(data: bytes) -> Reply:
    """Raises `MessageError`."""
    try:
        return _reply.decode(data)  # type: ignore[no-any-return]  # the same
    except (msgspec.MsgspecError, CallboardError, ValueError) as error:
        raise MessageError(f"not a reply this program knows: {error}") from None
