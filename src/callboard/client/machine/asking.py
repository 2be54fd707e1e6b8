"""How many services one request may name: a server takes 64 parameters in a query, and no request line without end."""

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote_plus

SERVICES_MAX_COUNT: Final = 60
QUERY_MAX_CHARS: Final = 4_000


def fits(services: Sequence[str]) -> bool:
    """Whether one request can name them all."""
    return len(services) <= SERVICES_MAX_COUNT and sum(map(_length, services)) <= QUERY_MAX_CHARS


def portions(services: Iterable[str]) -> list[tuple[str, ...]]:
    """All of them, in portions that a request each can name."""
    found: list[list[str]] = []
    chars = 0
    for service in services:
        chars += _length(service)
        if not found or len(found[-1]) >= SERVICES_MAX_COUNT or chars > QUERY_MAX_CHARS:
            found.append([])
            chars = _length(service)
        found[-1].append(service)
    return [tuple(portion) for portion in found]


def _length(service: str) -> int:
    return len("&service=") + len(quote_plus(service))
