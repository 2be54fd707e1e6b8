"""TLS: the certificate a server shows, and what a client of ours trusts. Both are files, and both are read again when these change.

Who holds a context keeps it for life: `LiveContext` hands every new connection to the newest one, whole, while open connections keep the
one they began with. So nothing is dropped, no connection sees half a change, and what is wrong with new files harms nobody: they are judged
before they are used. Knows no loop: the blocking SDK uses it too.
"""

import contextlib
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from callboard.model.errors import InvalidError
from callboard.net.tls_files import date, read, show, signature, trust
from callboard.wire.x509 import Validity, validity

ALPN: Final = ("http/1.1", "dot")
"""One context serves all: HTTP clients and those of DNS (RFC 7858) name different protocols."""
WARN_BEFORE_S: Final = 30 * 86_400
"""A certificate that ends so soon is spoken of ..."""
WARN_EVERY_S: Final = 86_400
"""... so often."""
RETRY_S: Final = 60
"""New files that could not be used are tried again, also when nothing tells that they changed."""
_DAY_S: Final = 86_400
_log = logging.getLogger(__name__)


class TlsFiles(NamedTuple):
    """The server's certificate with those between it and its CA, its key, and the CAs of callers (empty: callers need no certificate)."""

    cert: str
    key: str
    client_ca: str = ""


@dataclass(slots=True)
class TlsStats:
    """Plain counters, written where things happen and read at scrape."""

    handshakes: int = 0
    """Connections that were opened over TLS."""
    handshakes_failed: int = 0
    """Connections that were not: no common version, a certificate that is not trusted, out of time."""
    clear_text: int = 0
    """Connections that spoke without TLS where it is spoken."""
    reloads: int = 0
    """New certificates that were taken into use."""
    reloads_failed: int = 0
    """New files that could not be used, so that the old ones go on."""
    certificate_expires_timestamp_seconds: float = 0
    """When the server's certificate ends, in seconds since 1970; 0 when there is none."""


class HandshakeError(ssl.SSLError):
    """A handshake failed because of `why`; `alert` is what the peer is still to be sent, which says the same."""

    def __init__(self, why: ssl.SSLError, alert: bytes) -> None:
        super().__init__(*why.args)
        self.why = why
        self.alert = alert


class Handshake(ssl.SSLObject):
    """A connection as OpenSSL sees it, of which a failed handshake tells its alert: loops drop it, and the peer would never learn why."""

    outgoing: ssl.MemoryBIO | None = None

    def do_handshake(self) -> None:
        """As its base."""
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            raise HandshakeError(error, self.outgoing.read() if self.outgoing is not None else b"") from error


class LiveContext(ssl.SSLContext):
    """A context that listeners hold for life. `current` is what new connections get."""

    current: ssl.SSLContext

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002  # as its base
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As its base, with the newest context."""
        made = self.current.wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        if isinstance(made, Handshake):
            made.outgoing = outgoing
        return made


class _Loaded(NamedTuple):
    context: ssl.SSLContext
    holds: Validity


class ServerTls:
    """The server's certificate in use. Lives as long as the server, which calls `look` every second and `reload` when it is told to."""

    def __init__(self, files: TlsFiles, clock: Callable[[], float] = time.time) -> None:
        """Raises `InvalidError` when the files cannot be used. One that has ended is used, and spoken of: who restarts needs the rest."""
        self.files = files
        self.stats = TlsStats()
        self._clock = clock
        self._seen = self._tried = signature(files)
        self._retry_at = self._warn_at = 0.0
        self._complaint = ""
        loaded = _load(files)
        self._live = LiveContext(ssl.PROTOCOL_TLS_SERVER)
        self._use(loaded)
        self._warn()

    def context(self) -> ssl.SSLContext:
        """For listeners, for life."""
        return self._live

    def look(self) -> None:
        """Take changed files into use, when they have rested for one look: certificate and key are often written one after the other."""
        now = self._clock()
        seen, before = signature(self.files), self._seen
        self._seen = seen
        if (seen != self._tried and seen == before) or (self._complaint and now >= self._retry_at):
            with contextlib.suppress(InvalidError):  # it is in the log
                self.reload()
        self._warn()

    def reload(self) -> None:
        """Read the files now. Raises `InvalidError` with the reason when they cannot be used; then the old ones go on."""
        now = self._clock()
        self._seen = self._tried = signature(self.files)
        try:
            loaded = _load(self.files)
            _require_holding(self.files, loaded.holds, now)
        except InvalidError as error:
            self._retry_at = now + RETRY_S
            if str(error) != self._complaint:
                self.stats.reloads_failed += 1
                self._complaint = str(error)
                _log.error("the new certificate cannot be used, the old one goes on: %s", error)
            raise
        self._complaint = ""
        self._use(loaded)
        self.stats.reloads += 1
        self._warn_at = 0.0
        _log.info("the certificate in %s is in use now, until %s", self.files.cert, date(loaded.holds.not_after_s))

    def _use(self, loaded: _Loaded) -> None:
        self._live.current = loaded.context
        self.stats.certificate_expires_timestamp_seconds = loaded.holds.not_after_s

    def _warn(self) -> None:
        now, end = self._clock(), int(self.stats.certificate_expires_timestamp_seconds)
        if end - now > WARN_BEFORE_S or now < self._warn_at:
            return
        self._warn_at = now + WARN_EVERY_S
        if end <= now:
            _log.error("the certificate in %s ended on %s: clients refuse it; put a new one there", self.files.cert, date(end))
        else:
            _log.warning(
                "the certificate in %s ends on %s, in %d days; put a new one there", self.files.cert, date(end), (end - now) // _DAY_S
            )


def _load(files: TlsFiles) -> _Loaded:
    """Raises `InvalidError` for files that cannot be read, or do not belong together."""
    holds = _validity_of(files.cert)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = Handshake
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(list(ALPN))
    show(context, "tls_cert", files.cert, "tls_key", files.key)
    if files.client_ca:
        trust(context, "tls_client_ca", files.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
        context.options |= ssl.OP_NO_TICKET  # whoever resumes a session is not asked for a certificate again
        context.num_tickets = 0
    return _Loaded(context, holds)


def _validity_of(path: str) -> Validity:
    try:
        return validity(read("tls_cert", path))
    except InvalidError as error:
        raise error if error.field == "tls_cert" else InvalidError("tls_cert", f"{path}: {error}") from None


def _require_holding(files: TlsFiles, holds: Validity, now: float) -> None:
    if holds.not_after_s <= now:
        raise InvalidError("tls_cert", f"the certificate in {files.cert} ended on {date(holds.not_after_s)}")
    if holds.not_before_s > now:
        raise InvalidError("tls_cert", f"the certificate in {files.cert} does not hold before {date(holds.not_before_s)} (UTC)")


class ClientFiles(NamedTuple):
    """What a client trusts and shows; empty: the system's CAs, and no certificate."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    """Empty: it is in the same file as the certificate."""
    verify: bool = True


class ClientTrust:
    """What a client of ours trusts, and the certificate it shows. Lives as long as who connects with it."""

    def __init__(self, files: ClientFiles, fields: ClientFiles) -> None:
        """`fields` names where each file is said, for errors. Nothing is read before the first `context`."""
        self.files = files
        self._fields = fields
        self._seen: tuple[object, ...] | None = None
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """For the next connection: made anew when a file has changed. Raises `InvalidError` when there is none that works."""
        seen = signature(self.files[:3])
        if self._context is None or seen != self._seen:
            try:
                self._context = self._made()
            except InvalidError as error:
                if self._context is None:
                    raise
                _log.error("the changed file cannot be used, what was read before goes on: %s", error)
            self._seen = seen
        return self._context

    def _made(self) -> ssl.SSLContext:
        ca, cert, key, verify = self.files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif ca:
            trust(context, self._fields.ca, ca)
        else:
            context.load_default_certs()
        if cert:
            show(context, self._fields.cert, cert, self._fields.key if key else self._fields.cert, key or cert)
        elif key:
            raise InvalidError(self._fields.key, f"is the key of no certificate; say {self._fields.cert} too")
        return context


def words(error: ssl.SSLError) -> str:
    """Why there is no TLS connection, in a few words; about the other side as seen from this one."""
    error = error.why if isinstance(error, HandshakeError) else error
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message or error.reason}"
    reason = error.reason or str(error)
    return _WORDS.get(reason) or reason.lower().replace("_", " ")


_NO_TLS: Final = "what answers there does not speak TLS"
_WORDS: Final = {
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "HTTP_REQUEST": "it speaks HTTP without TLS",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it shows no certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants a certificate of ours",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not trust the CA of our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it refuses our certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it refuses our certificate",
    "TLSV1_ALERT_CERTIFICATE_EXPIRED": "it says that our certificate has expired",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "it says that our certificate has expired",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it refuses the handshake (does it want a certificate of ours?)",
    "UNSUPPORTED_PROTOCOL": "it speaks no version from TLS 1.2 on",
    "TLSV1_ALERT_PROTOCOL_VERSION": "it speaks no version of TLS that this side speaks",
    "NO_SHARED_CIPHER": "there is no cipher that both sides have",
}
