"""What a command's exit code says. Scripts depend on these numbers."""

import sys
from collections.abc import Iterable
from typing import Final

from callboard.client import errors
from callboard.model.check import Status
from callboard.model.errors import CallboardError, InvalidError
from callboard.model.instance import Phase

OK: Final = 0
ERROR: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
UNHEALTHY: Final = 4
"""Unhealthy or incompatible."""
UNREACHABLE: Final = 5
INTERRUPTED: Final = 130
"""As shells say it when Ctrl-C ended a command."""

_HEALTH: Final = frozenset({*(status.value for status in Status), *(phase.value for phase in Phase)})
"""What the reason begins with when an instance is what was asked for, and is not well."""

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


def unfit(service: str, reasons: Iterable[str]) -> int:
    """Say that none of its instances may be called, and what to do about such reasons; answers the exit code."""
    if any(reason.partition(":")[0] in _HEALTH for reason in reasons):
        sys.stderr.write(f"nobody is fit to be called as {service!r}; `callboard instances {service} -o wide` shows the checks\n")
    else:
        sys.stderr.write(f"none of {service!r} is what was asked for; look at --version, --tag and --label, or add --fallback\n")
    return UNHEALTHY


def explain(error: CallboardError) -> int:
    """Say on stderr what happened; answers the exit code."""
    sys.stderr.write(f"callboard: {error}\n")
    return exit_code(error)
