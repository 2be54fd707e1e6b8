"""What the operating system tells about the server's machine: open files, and room for the data. Asked anew each time; nothing is kept."""

import os
import resource
from pathlib import Path
from typing import Final, NamedTuple

from callboard.frontend.base import Machine
from callboard.server.settings import ServerSettings
from callboard.server.stores import store_url
from callboard.store.contract import Caps

_FILES: Final = Path("/dev/fd")
"""Of this process; on Linux and macOS."""
_SQLITE: Final = "sqlite"


class Listening(NamedTuple):
    """Where a server listens: URLs, and `host:port` of DNS (empty for none)."""

    http: tuple[str, ...] = ()
    https: tuple[str, ...] = ()
    dns: str = ""


def machine(server: ServerSettings, listening: Listening, caps: Caps, connections_max_count: int, certificate_expires_s: int) -> Machine:
    """As it is now."""
    scheme, _, rest = store_url(server).partition(":")
    data = rest.removeprefix("///") if scheme == _SQLITE else "" if server.dev else server.data
    free, total = _room(data)
    return Machine(
        http=listening.http, https=listening.https, dns=listening.dns, dns_domain=server.dns_domain, store=scheme, caps=caps,
        data=os.path.abspath(data) if data else "", data_free_bytes=free, data_total_bytes=total,  # noqa: PTH100  # also of what is gone
        files_open_count=_open_files(), files_max_count=_files_limit(), connections_max_count=connections_max_count,
        certificate_expires_s=certificate_expires_s,
    )  # fmt: skip


def _room(data: str) -> tuple[int, int]:
    """Bytes that are free for us, and all bytes, of the file system that a directory is on."""
    if not data:
        return 0, 0
    try:
        found = os.statvfs(data)
    except OSError:
        return 0, 0
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def _open_files() -> int:
    try:
        return max(0, sum(1 for _ in _FILES.iterdir()) - 1)  # the directory itself is open meanwhile
    except OSError:
        return 0


def _files_limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 0 if soft == resource.RLIM_INFINITY else soft
