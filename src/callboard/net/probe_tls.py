"""TLS of probes: whom they believe. A `ProbeTls` lives as long as the prober; authorities are loaded once, for the first such probe."""

import ssl
from typing import Final

from callboard.model.check import TlsOptions
from callboard.net.dial import ClientTls

_H1: Final = ("http/1.1",)
_H2: Final = ("h2",)


class ProbeTls:
    """Contexts for the few ways in which a probe may believe its peer."""

    def __init__(self, ca_file: str = "") -> None:
        """`ca_file` names further authorities beside those of the machine."""
        self._ca_file = ca_file
        self._contexts: dict[tuple[bool, tuple[str, ...]], ssl.SSLContext] = {}

    def http(self, options: TlsOptions, host: str) -> ClientTls:
        """For HTTP/1.1 with `host`."""
        return ClientTls(self._context(_H1, skip_verify=options.skip_verify), options.server_name or host)

    def http2(self, options: TlsOptions, host: str) -> ClientTls:
        """For HTTP/2 with `host`."""
        return ClientTls(self._context(_H2, skip_verify=options.skip_verify), options.server_name or host)

    def plain(self, options: TlsOptions, host: str) -> ClientTls:
        """For a protocol nobody has named."""
        return ClientTls(self._context((), skip_verify=options.skip_verify), options.server_name or host)

    def _context(self, protocols: tuple[str, ...], *, skip_verify: bool) -> ssl.SSLContext:
        known = self._contexts.get((skip_verify, protocols))
        if known is None:
            known = self._contexts[skip_verify, protocols] = self._make(protocols, skip_verify=skip_verify)
        return known

    def _make(self, protocols: tuple[str, ...], *, skip_verify: bool) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._ca_file:
            try:
                context.load_verify_locations(self._ca_file)
            except OSError as error:
                raise OSError(error.errno, f"probe_ca_file: {error.strerror}", self._ca_file) from None
        if skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context
