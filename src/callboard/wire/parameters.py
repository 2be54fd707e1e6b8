"""Query parameters of our own protocols, read strictly: whatever is refused is refused by name. Nothing here outlives one request."""

from typing import Final

from callboard.model.errors import InvalidError
from callboard.wire.url import Query

_TRUE: Final = frozenset({"", "1", "true"})
_FALSE: Final = frozenset({"0", "false"})
_DIGITS_MAX: Final = 18
_NAME_SHOWN_MAX_CHARS: Final = 200


def known_parameters(query: Query, known: frozenset[str]) -> None:
    """Raise `InvalidError` for a parameter the endpoint does not have."""
    for name, _ in query.pairs:
        if name not in known:
            has = ", ".join(sorted(known)) or "none"
            raise InvalidError(name[:_NAME_SHOWN_MAX_CHARS] or '""', f"no such parameter here; there are: {has}")


def flag(query: Query, name: str) -> bool:
    """A parameter that is true by being there, or by `true` or `1`."""
    value = query.get(name)
    if value is None or value in _FALSE:
        return False
    if value not in _TRUE:
        raise InvalidError(name, "must be true or false")
    return True


def number(query: Query, name: str, least: int = 0) -> int | None:
    """A whole number from `least` on, None when it is absent."""
    value = query.get(name)
    if value is None:
        return None
    if not value.isascii() or not value.isdigit() or len(value) > _DIGITS_MAX or int(value) < least:
        raise InvalidError(name, f"must be a whole number from {least} on, of at most {_DIGITS_MAX} digits")
    return int(value)
