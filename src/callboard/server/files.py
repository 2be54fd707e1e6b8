"""How many files the system lets this process have open. Each connection is one, and so are the store's files and every probe."""

import contextlib
import resource
from typing import Final

_WANTED_COUNT: Final = 1_048_576
"""More than all limits of our own together; where the system knows no limit, it still refuses to be asked for none."""
_FEW_COUNT: Final = 4_096
_OURS_COUNT: Final = 512
"""Kept from connections: for probes and the store."""


def raise_open_files_limit() -> None:
    """Take what the system allows: the limit a shell starts with (often 1024) is made for programs that serve nobody."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_COUNT if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # macOS has a second limit below the hard one, and does not say which
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def few_files() -> int:
    """The limit of open files, when it is so small that a server of some use may meet it; else 0."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY and soft < _FEW_COUNT else 0


def connections_room(wanted_count: int, share: float) -> int:
    """How many of `wanted_count` connections a listener may take that has a `share` of what clients may have open altogether.

    The rest is for probes and the store: who only connects must not keep them from opening files.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted_count
    return max(1, min(wanted_count, int(share * max(soft - _OURS_COUNT, soft // 2))))
