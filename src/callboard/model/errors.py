"""Everything that can go wrong, as one tree: what the caller did (`Invalid`, `Refused`), and what the store could not do.

The tree knows no protocol: each frontend turns an error into its own status and text. Errors live as long as the answer they become.
"""

from typing import ClassVar


class CallboardError(Exception):
    """Root of the tree. `code` is stable and meant for programs; the message is meant for people and names the next step."""

    code: ClassVar[str] = "error"


class InvalidError(CallboardError):
    """A value breaks a rule of the model. `field` names the value, the message names the limit."""

    code: ClassVar[str] = "invalid"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.problem = message


class StoreError(CallboardError):
    """A store could not do what was asked."""

    code: ClassVar[str] = "store"


class DeposedError(StoreError):
    """The committer no longer leads, or meta/head is not what its group follows: nothing was applied."""

    code: ClassVar[str] = "deposed"


class UnavailableError(StoreError):
    """The engine cannot be reached or used now; the group was surely not applied."""

    code: ClassVar[str] = "unavailable"


class IndeterminateError(StoreError):
    """The group was perhaps applied, or will be. Only the mark in meta/head tells."""

    code: ClassVar[str] = "indeterminate"


class TooLargeError(StoreError):
    """A row or group is larger than the engine takes; judged alone, before grouping. `limit` says which limit, with its number."""

    code: ClassVar[str] = "too_large"

    def __init__(self, limit: str) -> None:
        super().__init__(f"too large: {limit}")
        self.limit = limit


class FullError(StoreError):
    """The engine has no room; groups that only delete still pass."""

    code: ClassVar[str] = "full"


class CompactedError(StoreError):
    """`follow` was asked for groups that are no longer kept: load again. `first` is the oldest revision that can still be followed."""

    code: ClassVar[str] = "compacted"

    def __init__(self, first: int) -> None:
        super().__init__(f"groups before revision {first} are no longer kept; load again")
        self.first = first


class DivergedError(StoreError):
    """The engine's history is not the one the position was taken from (rewound, forked or edited by hand): load again."""

    code: ClassVar[str] = "diverged"


class LockedError(StoreError):
    """The data directory belongs to another running server; `pid` is that server's, 0 when it is not known."""

    code: ClassVar[str] = "locked"

    def __init__(self, path: str, pid: int) -> None:
        who = f"pid {pid}" if pid else "another process"
        super().__init__(f"data directory {path} is in use by {who}; stop it, or choose another directory with --data")
        self.path = path
        self.pid = pid


class NameTakenError(LockedError):
    """Another present member of the store has this name; `url` is where it can be reached, empty when it does not say."""

    code: ClassVar[str] = "name_taken"

    def __init__(self, name: str, url: str) -> None:
        StoreError.__init__(
            self,
            f"another server that is present calls itself {name}{f' ({url})' if url else ''}; choose another --member, or wait until"
            " its membership ends if it was that one which died just now",
        )
        self.path, self.pid = "", 0
        self.name = name
        self.url = url
