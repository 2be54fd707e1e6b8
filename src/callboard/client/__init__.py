"""The SDK: sign in, find others, follow them. `Client` is the door; what it is asked with and answers stands in `callboard.wire.native`."""

from callboard.client.client import Client
from callboard.client.errors import (
    AmbiguousError,
    ClientError,
    DeniedError,
    InvalidRequestError,
    NotFoundError,
    ProblemError,
    ProtocolError,
    UnavailableError,
    UnknownOutcomeError,
    UnreachableError,
)
from callboard.client.machine.picture import Change
from callboard.client.registered import Registered
from callboard.client.settings import ClientSettings, from_environment
from callboard.client.watch import Watch, WatchLostError
from callboard.wire.native import CheckRequest, Registration, Weights

__all__ = [
    "AmbiguousError",
    "Change",
    "CheckRequest",
    "Client",
    "ClientError",
    "ClientSettings",
    "DeniedError",
    "InvalidRequestError",
    "NotFoundError",
    "ProblemError",
    "ProtocolError",
    "Registered",
    "Registration",
    "UnavailableError",
    "UnknownOutcomeError",
    "UnreachableError",
    "Watch",
    "WatchLostError",
    "Weights",
    "from_environment",
]
