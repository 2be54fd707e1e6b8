"""Which Host fields a listener on loopback serves: a guard against DNS rebinding. Pure, and kept as long as the server.

A page in a browser on this machine may call a name of its own that leads to 127.0.0.1, and would then be taken for somebody who is here.
Its requests carry that name. Addresses need no guard, since nobody can make one lead elsewhere; neither does a request without the field,
which no browser sends.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final

from callboard.core.callers import is_loopback

_HOST_PORT: Final = re.compile(r"(?:\[(?P<inside>[^\[\]]+)\]|(?P<host>[^:\[\]]*))(?::[0-9]*)?")
_NOBODY: Final = "?"
_END: Final = re.compile(rb"[/?#]")
HINT: Final = (
    "the Host field names {host!r}, which is not this machine: a listener on loopback serves only localhost and addresses; if this is your"
    " name for it, add it to allowed_hosts below [tune.http]"
)


class Hosts:
    """The names that are ours. `*` is every name, `.example.org` every name below it."""

    def __init__(self, names: Iterable[str]) -> None:
        own = {_bare(name) for name in names}
        self._all = "*" in own
        self._exact = frozenset(name for name in own if not name.startswith("."))
        self._below = tuple(name for name in own if name.startswith("."))

    def allows(self, field: str) -> bool:
        """Whether a request with this Host field is served."""
        host = _bare(field)
        return (
            self._all or not host or host in self._exact or is_loopback(host) or _is_address(host) or host.endswith(self._below or ("\0",))
        )  # fmt: skip


def refusal(field: str) -> str:
    """What a refused caller is told."""
    return HINT.format(host=field[:100])


def authority(target: bytes) -> str:
    """The host that a request's target names, which then counts more than the Host field (RFC 9112 section 3.2.2); empty for a path."""
    if target.startswith(b"/"):
        return ""
    named = _END.split(target.partition(b"://")[2], maxsplit=1)[0]
    return named.rpartition(b"@")[2].decode("latin-1")


def _bare(field: str) -> str:
    """Without port, brackets and the last dot, in lower case; nobody's name when it is no host and port."""
    host = field.strip().lower()
    found = _HOST_PORT.fullmatch(host)
    if found is None:
        return host if _is_address(host) else _NOBODY
    return found["inside"] or found["host"].removesuffix(".")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
