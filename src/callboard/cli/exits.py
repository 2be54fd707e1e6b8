"""What a command's exit code says. Scripts depend on these numbers."""

import sys
from typing import Final

from callboard.client import errors
from callboard.model.errors import CallboardError, InvalidError

OK: Final = 0
ERROR: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
UNHEALTHY: Final = 4
"""Unhealthy or incompatible."""
UNREACHABLE: Final = 5

_CODES: Final[tuple[tuple[type[CallboardError], int], ...]] = (
    (InvalidError, USAGE),
    (errors.InvalidRequestError, USAGE),
    (errors.AmbiguousError, USAGE),
    (errors.NotFoundError, NOT_FOUND),
    (errors.UnavailableError, UNHEALTHY),
    (errors.ProtocolError, UNHEALTHY),
    (errors.NoInstanceError, UNHEALTHY),
    (errors.DeadlineError, UNHEALTHY),
    (errors.UnreachableError, UNREACHABLE),
    (errors.NoPictureError, UNREACHABLE),
    (errors.UnknownOutcomeError, UNREACHABLE),
)


def exit_code(error: CallboardError) -> int:
    """The code of the first class that the error is of; 1 for all others."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ERROR)


def unknown(service: str) -> int:
    """Say that a service has no instances; answers the exit code."""
    sys.stderr.write(f"nobody has signed in as {service!r}; `callboard services` lists who has\n")
    return NOT_FOUND


def unfit(service: str) -> int:
    """Say that none of its instances may be called; answers the exit code."""
    sys.stderr.write(f"nobody is fit to be called as {service!r}; `callboard instances {service} -o wide` shows the checks\n")
    return UNHEALTHY


def explain(error: CallboardError) -> int:
    """Say on stderr what happened; answers the exit code."""
    sys.stderr.write(f"callboard: {error}\n")
    return exit_code(error)
