"""The way from this host to its registry, the same for every protocol."""

import socket

from callboard.client.settings import ClientSettings


def local_address(settings: ClientSettings) -> str:
    """The address of this host on the way to the first server that can be reached; empty when none can. Opens and closes a connection."""
    for base in settings.bases:
        try:
            with socket.create_connection((base.host, base.port), timeout=settings.timeout_ms / 1000) as probe:
                return str(probe.getsockname()[0])
        except OSError:
            continue
    return ""


def is_remote(settings: ClientSettings) -> bool:
    """Whether the registry is on another host, by the names in the URLs: none of them is loopback's."""
    return not any(base.host == "localhost" or base.host.startswith("127.") or base.host == "::1" for base in settings.bases)
