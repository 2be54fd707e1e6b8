"""The way from this host to its registry, the same for every protocol."""

import socket

from callboard.client.errors import UnreachableError
from callboard.client.link import reason
from callboard.client.settings import ClientSettings


def local_address(settings: ClientSettings) -> str:
    """The address of this host on the way to the first server that can be reached. Opens and closes a connection, unless all are here.

    Raises `UnreachableError`, which says of each server why it cannot be.
    """
    if all(_here(base.host) for base in settings.bases):
        return "::1" if settings.bases[0].host == "::1" else "127.0.0.1"
    reasons: dict[str, str] = {}
    for base in settings.bases:
        try:
            with socket.create_connection((base.host, base.port), timeout=settings.timeout_ms / 1000) as probe:
                return str(probe.getsockname()[0])
        except (OSError, UnicodeError) as error:
            reasons[str(base)] = reason(error)
    raise UnreachableError(reasons)


def is_remote(settings: ClientSettings) -> bool:
    """Whether the registry is on another host, by the names in the URLs: none of them is loopback's."""
    return not any(_here(base.host) for base in settings.bases)


def _here(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")
