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
    (errors.UnreachableError, UNREACHABLE),
    (errors.UnknownOutcomeError, UNREACHABLE),
)


def exit_code(error: CallboardError) -> int:
    """The code of the first class that the error is of; 1 for all others."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ERROR)


def explain(error: CallboardError) -> int:
    """Say on stderr what happened; answers the exit code."""
    sys.stderr.write(f"callboard: {error}\n")
    return exit_code(error)
