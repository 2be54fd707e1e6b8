"""A broken promise, found in a history."""

from typing import NamedTuple


class Violation(NamedTuple):
    """Which rule, what happened, and when (0: not at a moment)."""

    rule: str
    text: str
    at: float = 0.0
