"""Requests to etcd, as short as they are meant, and what its answers hold. Pure; both live as long as a call."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from callboard.store.etcd.messages import MESSAGES

_EQUAL: Final = 0
_GREATER: Final = 1
_VERSION: Final = 0
_CREATED: Final = 1
_VALUE: Final = 3
DELETED: Final = 1
"""Type of an event."""


class KeyValue(NamedTuple):
    """A key as etcd has it."""

    key: bytes
    value: bytes
    modified: int
    """etcd's revision of its last change."""


def prefix_end(prefix: bytes) -> bytes:
    """The first key behind those that begin with `prefix`."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def range_request(key: bytes, end: bytes = b"", *, revision: int = 0, limit: int = 0, keys_only: bool = False) -> Any:  # noqa: ANN401  # messages have no types
    """One key, or those from `key` to before `end`; at a revision of the past, or now and linearizable."""
    return MESSAGES["RangeRequest"](key=key, range_end=end, revision=revision, limit=limit, keys_only=keys_only)


def get(key: bytes, end: bytes = b"", *, keys_only: bool = False) -> Any:  # noqa: ANN401  # messages have no types
    """`range_request` in a transaction."""
    return MESSAGES["RequestOp"](request_range=range_request(key, end, keys_only=keys_only))


def put(key: bytes, value: bytes, lease: int = 0) -> Any:  # noqa: ANN401  # messages have no types
    """Write a key, in a transaction."""
    return MESSAGES["RequestOp"](request_put=MESSAGES["PutRequest"](key=key, value=value, lease=lease))


def delete(key: bytes, end: bytes = b"") -> Any:  # noqa: ANN401  # messages have no types
    """Remove a key, or those from `key` to before `end`, in a transaction."""
    return MESSAGES["RequestOp"](request_delete_range=MESSAGES["DeleteRangeRequest"](key=key, range_end=end))


def absent(key: bytes) -> Any:  # noqa: ANN401  # messages have no types
    """The guard that a key does not exist."""
    return MESSAGES["Compare"](result=_EQUAL, target=_CREATED, key=key, create_revision=0)


def holds(key: bytes, value: bytes) -> Any:  # noqa: ANN401  # messages have no types
    """The guard that a key has this value."""
    return MESSAGES["Compare"](result=_EQUAL, target=_VALUE, key=key, value=value)


def never(key: bytes) -> Any:  # noqa: ANN401  # messages have no types
    """A guard that does not hold."""
    return MESSAGES["Compare"](result=_GREATER, target=_VERSION, key=key, version=2**62)


def transaction(guards: Iterable[Any], then: Iterable[Any], otherwise: Sequence[Any] = ()) -> Any:  # noqa: ANN401  # messages have no types
    """All of `then` if all guards hold, else all of `otherwise`, at once."""
    return MESSAGES["TxnRequest"](compare=guards, success=then, failure=otherwise)


def found(answer: Any) -> list[KeyValue]:  # noqa: ANN401  # messages have no types
    """The keys in the answer to a range."""
    return [KeyValue(item.key, item.value, item.mod_revision) for item in answer.kvs]


def got(answer: Any, place: int) -> list[KeyValue]:  # noqa: ANN401  # messages have no types
    """The keys in the answer to the `get` at `place` of a transaction."""
    return found(answer.responses[place].response_range)


def watch_request(key: bytes, end: bytes, start: int) -> Any:  # noqa: ANN401  # messages have no types
    """Every change of a range from revision `start` on; large answers come in fragments."""
    create = MESSAGES["WatchCreateRequest"](key=key, range_end=end, start_revision=start, progress_notify=True, fragment=True)
    return MESSAGES["WatchRequest"](create_request=create)


def progress_request() -> Any:  # noqa: ANN401  # messages have no types
    """Ask a watch how far it is."""
    return MESSAGES["WatchRequest"](progress_request=MESSAGES["WatchProgressRequest"]())
