"""The rules for names and labels, in one place for every protocol. Each rule raises `InvalidError` with the field and the limit."""

from collections.abc import Mapping
from typing import Final

from callboard.model.errors import InvalidError

PUBLIC: Final = "public"
"""The namespace that is meant when none is named; `default` and the empty text are other spellings of it."""

NAME_MAX_CHARS: Final = 255
LABEL_MAX_CHARS: Final = 63
"""Of one part of a name in DNS (RFC 1035 section 2.3.4)."""
CHECK_ID_MAX_CHARS: Final = 320
"""More than other names: the id of a check that is given none is its service's id with something in front and behind."""
TAGS_MAX_COUNT: Final = 128
TAG_MAX_CHARS: Final = 512
META_MAX_COUNT: Final = 64
META_KEY_MAX_CHARS: Final = 128
META_VALUE_MAX_CHARS: Final = 512
TEXT_MAX_CHARS: Final = 4096
_META_KEY_CHARS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_LABEL_CHARS: Final = _META_KEY_CHARS
_PLAIN_VALUE_MAX_CHARS: Final = META_VALUE_MAX_CHARS // 4
"""So many characters never have more than `META_VALUE_MAX_CHARS` bytes."""


def namespace(value: str) -> str:
    """The canonical name of a namespace."""
    return PUBLIC if value in {"", "default", PUBLIC} else name("namespace", value)


def name(field: str, value: str, limit: int = NAME_MAX_CHARS) -> str:
    """A name or id: 1 to 255 printable characters, unless `limit` says more. Answers the value, so that it can wrap an assignment."""
    if 0 < len(value) <= limit and value.isprintable():
        return value
    if not value:
        raise InvalidError(field, "must not be empty")
    if len(value) > limit:
        raise InvalidError(field, f"must have at most {limit} characters, has {len(value)}")
    raise InvalidError(field, "must contain only printable characters")


def unfit_for_dns(service: str) -> str:
    """Why no program finds a service of this name over DNS; empty when all do."""
    if len(service) > LABEL_MAX_CHARS:
        return f"its name has more than {LABEL_MAX_CHARS} characters"
    if _LABEL_CHARS.issuperset(service):
        return ""
    others = "".join(sorted(set(service) - _LABEL_CHARS))
    return f"its name has {others!r}; letters, digits, - and _ can be asked for"


def text(field: str, value: str, limit: int = TEXT_MAX_CHARS) -> str:
    """Free text of at most `limit` characters."""
    if len(value) > limit:
        raise InvalidError(field, f"must have at most {limit} characters, has {len(value)}")
    return value


def tags(field: str, values: tuple[str, ...]) -> tuple[str, ...]:
    """At most 128 tags of at most 512 characters."""
    if len(values) > TAGS_MAX_COUNT:
        raise InvalidError(field, f"must have at most {TAGS_MAX_COUNT} entries, has {len(values)}")
    if values and max(map(len, values)) > TAG_MAX_CHARS:
        text(field, max(values, key=len), TAG_MAX_CHARS)
    return values


def meta(field: str, values: Mapping[str, str]) -> Mapping[str, str]:
    """At most 64 pairs; keys of 1 to 128 letters, digits, `_`, `-`; values of at most 512 characters (the limits Consul has)."""
    if is_plain_meta(values):
        return values
    if len(values) > META_MAX_COUNT:
        raise InvalidError(field, f"must have at most {META_MAX_COUNT} pairs, has {len(values)}")
    for key, value in values.items():
        if not key or len(key) > META_KEY_MAX_CHARS or not _META_KEY_CHARS.issuperset(key):
            raise InvalidError(field, f"key {key[:140]!r} must be 1 to {META_KEY_MAX_CHARS} characters of A-Z a-z 0-9 _ -")
        if len(value) > META_VALUE_MAX_CHARS:
            raise InvalidError(field, f"value of {key!r} must have at most {META_VALUE_MAX_CHARS} characters, has {len(value)}")
    return values


def is_plain_meta(values: Mapping[str, str]) -> bool:
    """Whether these are pairs as nearly everybody has them, seen at a glance: few, short even in bytes, keys without `-`. Then no rule that
    there is for them is broken, here or in Consul."""
    if not values:
        return True
    keys = "".join(values)
    return (
        keys.isidentifier() and keys.isascii() and len(keys) <= META_KEY_MAX_CHARS and "" not in values
        and len(values) <= META_MAX_COUNT and max(map(len, values.values())) <= _PLAIN_VALUE_MAX_CHARS
    )  # fmt: skip


def port(field: str, value: int) -> int:
    """0 (none) to 65535."""
    if not 0 <= value <= 65535:
        raise InvalidError(field, f"must be between 0 and 65535, is {value}")
    return value
