"""The server's certificate, from the flags: made at start, looked at every second while the server runs."""

import asyncio
from typing import Final

from callboard.model.errors import InvalidError
from callboard.net.tls import ServerTls, TlsFiles
from callboard.server.settings import ServerSettings

_LOOK_EVERY_S: Final = 1.0


def server_tls(server: ServerSettings, dns_tls_port: int) -> ServerTls | None:
    """The certificate to be shown, None without TLS. Raises `InvalidError` for flags that contradict each other, and for the files."""
    wanted = ("https" if server.https else "tune.dns.tls_port") if server.https or dns_tls_port else ""
    if not server.tls_cert and not server.tls_key:
        if wanted:
            raise InvalidError(wanted, "TLS needs a certificate and its key: --tls-cert FILE --tls-key FILE")
        if server.tls_client_ca:
            raise InvalidError("tls_client_ca", "is for callers over TLS: say --https, --tls-cert and --tls-key too")
        return None
    if not server.tls_cert or not server.tls_key:
        missing, said = ("tls_key", "tls_cert") if server.tls_cert else ("tls_cert", "tls_key")
        raise InvalidError(missing, f"must be said with {said}; both may be the same file")
    if not wanted:
        raise InvalidError("tls_cert", "nothing listens over TLS: say --https HOST:PORT, or tls_port below [tune.dns]")
    return ServerTls(TlsFiles(server.tls_cert, server.tls_key, server.tls_client_ca))


class Looking:
    """Looks at the files every second. Lives from its making to `close`."""

    def __init__(self, tls: ServerTls) -> None:
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(_LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        self._timer = self._loop.call_later(_LOOK_EVERY_S, self._look)
        self._tls.look()

    def close(self) -> None:
        """Look no more."""
        self._timer.cancel()
