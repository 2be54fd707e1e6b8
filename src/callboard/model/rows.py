"""What the truth is made of: rows, the groups that change them, and the positions between groups.

A row lives in the engine until a group deletes it. A group lives while it is committed, followed and folded. Keys are text with `/`
between their parts; a part never contains a bare `/`, so keys of different tables and nodes cannot meet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, NewType

from msgspec import Struct

Revision = NewType("Revision", int)
"""Place in the total order of commands that changed something. Ours, not the engine's; grows only; 0 < revision < 2**53."""
Key = NewType("Key", str)
"""Exact key of a row; engines need no order or prefixes of it."""

ZERO: Final = Revision(0)
REVISION_LIMIT: Final = 2**53

META_HEAD: Final = Key("meta/head")
META_TERM: Final = Key("meta/term")
META_EPOCH: Final = Key("meta/epoch")
GLOBAL_FLOOR: Final = Key("f/*")
AUTOPILOT_KEY: Final = Key("a/autopilot")
_SLASHES_COUNT: Final = 3
"""Of the key of an instance or a check."""


@dataclass(frozen=True, slots=True)
class Position:
    """A point between two groups. `cursor` belongs to one store and process, is never compared and never sent."""

    revision: Revision
    mark: bytes
    cursor: int | None = field(default=None, compare=False)


ORIGIN: Final = Position(ZERO, b"")
"""Before the first group of an empty store."""


class Row(NamedTuple):
    """A key with its value (canonical JSON with a schema number) and the revision of the command that last wrote it."""

    key: Key
    value: bytes
    revision: Revision


RefusalReason = Literal[
    "unknown_instance", "unknown_check", "unknown_node", "not_ttl", "ambiguous", "superseded", "invalid", "deposed", "unavailable",
    "full", "too_large", "unknown_outcome", "overloaded",
]  # fmt: skip


class Refusal(Struct, frozen=True, gc=False):
    """Why a command changed nothing. `subject` is what it was about (an id, a field), `detail` a sentence for people."""

    reason: RefusalReason
    subject: str = ""
    detail: str = ""


class CommandId(NamedTuple):
    """Names one command for ever: the nonce of the door that took it, and its number there."""

    door: str
    number: int


class Outcome(Struct, frozen=True, gc=False):
    """What became of a command. `revision` is the last revision its answer depends on: the command's own when it changed something."""

    command: CommandId
    revision: Revision
    changed: bool = False
    node: str = ""
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """The changes of several commands in one engine transaction. `rows` has one entry per key, the last; None means deleted.

    A group without rows changes nothing and is committed as a fenced read: its `first` and `last` are those of `after`.
    """

    after: Position
    first: Revision
    last: Revision
    mark: bytes
    rows: Mapping[Key, Row | None]
    outcomes: tuple[Outcome, ...] = ()

    @property
    def position(self) -> Position:
        """The position right after this group (without a cursor): `after` itself when the group changes nothing."""
        return Position(self.last, self.mark) if self.rows else self.after


def escape(part: str) -> str:
    """A key part without a bare `/`: exact and reversible."""
    if "/" in part or "%" in part:
        return part.replace("%", "%25").replace("/", "%2F")
    return part


def unescape(part: str) -> str:
    """The text that `escape` was given."""
    return part.replace("%2F", "/").replace("%25", "%") if "%" in part else part


def node_key(node: str) -> Key:
    """Key of a node's row; `node` in lower case."""
    return Key("n/" + escape(node))


def instance_key(namespace: str, node: str, instance: str) -> Key:
    """Key of an instance's row. The service is content, so an id registered under another name moves."""
    key = f"i/{namespace}/{node}/{instance}"
    return Key(key) if key.count("/") == _SLASHES_COUNT and "%" not in key else _key("i", namespace, node, instance)


def check_key(namespace: str, node: str, check: str) -> Key:
    """Key of a check's row; check ids are unique per namespace and node."""
    key = f"c/{namespace}/{node}/{check}"
    return Key(key) if key.count("/") == _SLASHES_COUNT and "%" not in key else _key("c", namespace, node, check)


def _key(table: str, namespace: str, node: str, name: str) -> Key:
    """Of names with something to escape. Others, nearly all, are put together where they are asked for: a call more would cost as much."""
    return Key(f"{table}/{escape(namespace)}/{escape(node)}/{escape(name)}")


def event_key(slot: int) -> Key:
    """Key of the row of a place in the ring of events."""
    return Key(f"e/{slot}")


def coordinate_key(node: str) -> Key:
    """Key of the row of a node's coordinate; `node` in lower case."""
    return Key("o/" + escape(node))


def floor_key(topic: str) -> Key:
    """Key of the row that keeps a topic's index from falling when rows leave it. `topic` is already escaped."""
    return Key("f/" + topic)


def split_key(key: Key) -> list[str]:
    """The parts of a key: its table first, the rest unescaped."""
    return [unescape(part) for part in key.split("/")]
