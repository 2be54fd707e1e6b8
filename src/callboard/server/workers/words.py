"""What the processes of one server say to each other besides rows. MessagePack; each word lives for one question and its answer."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from callboard.server.settings import ServerSettings, Settings


class Place(Struct, frozen=True, kw_only=True):
    """What a worker is told when it begins: which it is, how everything is set, and where the server listens by now."""

    number: int
    member: str
    """Of the server."""
    server: ServerSettings
    tune: dict[str, dict[str, Any]]
    http: tuple[str, ...]
    """`host:port`, as `https` and `dns` too; whatever port 0 has become."""
    https: tuple[str, ...]
    dns: str

    @property
    def settings(self) -> Settings:
        """As `Server` wants them."""
        return Settings(self.server, self.tune, {})


class Where(Struct, frozen=True, tag="where"):
    """A worker asks for its place."""


class Serves(Struct, frozen=True, tag="serves"):
    """A worker serves from now on."""


class Carry(Struct, frozen=True, tag="carry"):
    """A message of the worker's registry for that of the leader; the answer is the reply."""

    message: bytes


class Leave(Struct, frozen=True, tag="leave"):
    """Somebody has told a worker that the server is to stop."""


class Reload(Struct, frozen=True, tag="reload"):
    """Somebody has told a worker that the server is to read its settings again."""


class Page(Struct, frozen=True, tag="page"):
    """The metrics of all processes, as Prometheus reads them."""


Up = Where | Serves | Carry | Leave | Reload | Page
"""What a worker says."""


class Figures(Struct, frozen=True, tag="figures"):
    """Tell your figures; also asked to hear whether a worker still answers."""


class Apply(Struct, frozen=True, tag="apply"):
    """The settings were read again."""

    server: ServerSettings
    tune: dict[str, dict[str, Any]]


class End(Struct, frozen=True, tag="end"):
    """Finish what is under way, and end."""


Down = Figures | Apply | End
"""What a worker is told."""
_encoder: Final = msgspec.msgpack.Encoder()
_up: Final = msgspec.msgpack.Decoder(Up)
_place: Final = msgspec.msgpack.Decoder(Place)
_down: Final = msgspec.msgpack.Decoder(Down)


def encode(word: Struct) -> bytes:
    """As bytes."""
    return _encoder.encode(word)


def decode_place(data: bytes) -> Place:
    """Where a worker stands."""
    return _place.decode(data)


def decode_up(data: bytes) -> Up:
    """What a worker says. Raises `ValueError`: they are of one program, so it is a bug."""
    return _up.decode(data)  # type: ignore[no-any-return]  # the type of a union is a value to mypy


def decode_down(data: bytes) -> Down:
    """What a worker is told. Raises `ValueError`."""
    return _down.decode(data)  # type: ignore[no-any-return]  # the same
