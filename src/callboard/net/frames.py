"""The frames of a channel between two processes of one server: MessagePack, with the length in front. A frame lives until it is read."""

from typing import Final

import msgspec
from msgspec import Struct

LENGTH_BYTES: Final = 4


class Ask(Struct, frozen=True, array_like=True, tag=0, gc=False):
    """A question, which has one answer."""

    call: int
    kind: str
    body: bytes


class Open(Struct, frozen=True, array_like=True, tag=1, gc=False):
    """A stream is wanted."""

    call: int
    kind: str
    body: bytes


class Part(Struct, frozen=True, array_like=True, tag=2, gc=False):
    """Of a stream, or the one answer to a question."""

    call: int
    body: bytes


class End(Struct, frozen=True, array_like=True, tag=3, gc=False):
    """Of a stream, or of a question that failed. `told` is empty at the good end of a stream, None where the program failed."""

    call: int
    told: bytes | None = b""


class Taken(Struct, frozen=True, array_like=True, tag=4, gc=False):
    """So much of a stream has been read: more may come."""

    call: int
    size: int


class Drop(Struct, frozen=True, array_like=True, tag=5, gc=False):
    """Nobody waits for that any more."""

    call: int


class Tell(Struct, frozen=True, array_like=True, tag=6, gc=False):
    """A note, which has none."""

    kind: str
    body: bytes


Frame = Ask | Open | Part | End | Taken | Drop | Tell
ENCODER: Final = msgspec.msgpack.Encoder()
DECODER: Final = msgspec.msgpack.Decoder(Frame)
