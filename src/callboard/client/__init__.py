"""The SDK: sign in, find others, follow them.

`Board` is the door of an application, `Client` the one of a tool that asks the API once; what they are asked with and answer stands in
`callboard.wire.native`. What a name needs is loaded when it is first used, so that a command that only reads does not load what registers.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from callboard.balance.endpoint import Endpoint
    from callboard.client.attempts import Attempt
    from callboard.client.board import Board, connect
    from callboard.client.board_settings import BoardSettings
    from callboard.client.client import Client
    from callboard.client.engine import ClosedError
    from callboard.client.errors import (
        AmbiguousError,
        ClientError,
        DeadlineError,
        DeniedError,
        InvalidRequestError,
        NoInstanceError,
        NoPictureError,
        NotFoundError,
        ProblemError,
        ProtocolError,
        UnavailableError,
        UnknownOutcomeError,
        UnreachableError,
    )
    from callboard.client.held import Held
    from callboard.client.machine.picture import Change
    from callboard.client.options import RegisterOptions, ServiceOptions
    from callboard.client.registered import Registered
    from callboard.client.service import Service
    from callboard.client.settings import ClientSettings, from_environment
    from callboard.client.snapshot import Snapshot
    from callboard.client.watch import Watch, WatchLostError
    from callboard.model.errors import CallboardError, InvalidError
    from callboard.wire.native import CheckRequest, Registration, Weights

__all__ = [
    "AmbiguousError",
    "Attempt",
    "Board",
    "BoardSettings",
    "CallboardError",
    "Change",
    "CheckRequest",
    "Client",
    "ClientError",
    "ClientSettings",
    "ClosedError",
    "DeadlineError",
    "DeniedError",
    "Endpoint",
    "Held",
    "InvalidError",
    "InvalidRequestError",
    "NoInstanceError",
    "NoPictureError",
    "NotFoundError",
    "ProblemError",
    "ProtocolError",
    "RegisterOptions",
    "Registered",
    "Registration",
    "Service",
    "ServiceOptions",
    "Snapshot",
    "UnavailableError",
    "UnknownOutcomeError",
    "UnreachableError",
    "Watch",
    "WatchLostError",
    "Weights",
    "connect",
    "from_environment",
]

_HOMES: Final = {
    "callboard.balance.endpoint": ("Endpoint",),
    "callboard.client.attempts": ("Attempt",),
    "callboard.client.board": ("Board", "connect"),
    "callboard.client.board_settings": ("BoardSettings",),
    "callboard.client.client": ("Client",),
    "callboard.client.engine": ("ClosedError",),
    "callboard.client.held": ("Held",),
    "callboard.client.machine.picture": ("Change",),
    "callboard.client.options": ("RegisterOptions", "ServiceOptions"),
    "callboard.client.registered": ("Registered",),
    "callboard.client.service": ("Service",),
    "callboard.client.settings": ("ClientSettings", "from_environment"),
    "callboard.client.snapshot": ("Snapshot",),
    "callboard.client.watch": ("Watch", "WatchLostError"),
    "callboard.model.errors": ("CallboardError", "InvalidError"),
    "callboard.wire.native": ("CheckRequest", "Registration", "Weights"),
}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """What is exported here, from where it stands; the rest of it are errors."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF.get(name, "callboard.client.errors")), name)


def __dir__() -> list[str]:
    """Also what is not loaded yet."""
    return sorted({*globals(), *__all__})
