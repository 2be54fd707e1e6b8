"""TLS, as far as a client sees it: why a certificate is refused, until when it holds, and who speaks TLS at all."""

import socket
import ssl
from typing import Final

from callboard.cli.doctor.findings import Finding, well
from callboard.client.settings import CA_VARIABLE, CERT_VARIABLE, KEY_VARIABLE, URL_VARIABLE, Base, ClientSettings
from callboard.client.trust import is_refusal
from callboard.model.errors import InvalidError
from callboard.net.tls import ClientTrust, words
from callboard.net.tls_files import date
from callboard.wire.x509 import Validity, names, validity

_TIMEOUT_S: Final = 2.0
WARN_BEFORE_S: Final = 14 * 86_400
_NAMES_MAX_COUNT: Final = 10
_DAY_S: Final = 86_400
_NOT_YET: Final = 9
_EXPIRED: Final = 10
_UNKNOWN_CA: Final = frozenset({2, 18, 19, 20, 21})
_OTHER_NAME: Final = frozenset({62, 64})
"""Verdicts of OpenSSL (X509_V_ERR_*)."""
_RENEW: Final = "put a new certificate and its key where --tls-cert and --tls-key of the server say; it takes them by itself within seconds"


def speaks_tls(base: Base) -> bool:
    """Whether there is a handshake, whoever it is."""
    return _shown(base) is not None


def refused(base: Base, error: ssl.SSLError, settings: ClientSettings) -> Finding:
    """Why there is no connection over TLS."""
    url = str(base)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _judged(base, error, settings)
    if is_refusal(error):
        return Finding(
            "tls",
            "critical",
            f"the server refuses this machine: {words(error)}",
            "it serves only callers with a certificate of its own CAs (--tls-client-ca)",
            f"export {CERT_VARIABLE}=FILE.pem {KEY_VARIABLE}=FILE-key.pem",
            url,
        )
    return Finding(
        "tls",
        "critical",
        f"{base.host}:{base.port} speaks no TLS, and was asked for it ({words(error)})",
        f"{url} says https where http is meant",
        f"export {URL_VARIABLE}={base._replace(secure=False)}   (or serve TLS: callboard serve --https ... --tls-cert FILE --tls-key FILE)",
        url,
    )


def _judged(base: Base, error: ssl.SSLCertVerificationError, settings: ClientSettings) -> Finding:
    url, code, holds = str(base), error.verify_code, _holds(base)
    if code == _EXPIRED:
        ended = f" on {date(holds.not_after_s)} (UTC)" if holds is not None else ""
        return Finding("tls", "critical", f"the server's certificate has expired{ended}", "it was not renewed in time", _RENEW, url)
    if code == _NOT_YET:
        begins = f" before {date(holds.not_before_s)} (UTC)" if holds is not None else ""
        cause = "it was made for later, or this machine's clock is wrong"
        return Finding(
            "tls", "critical", f"the server's certificate does not hold{begins}", cause, "date -u   (then: timedatectl set-ntp true)", url
        )
    if code in _UNKNOWN_CA:
        cause = f"{settings.ca_file} (from {CA_VARIABLE}) does not hold it" if settings.ca_file else "the system's CAs do not hold it"
        return Finding(
            "tls",
            "critical",
            f"the CA of the server's certificate is not trusted here ({error.verify_message})",
            cause,
            f"export {CA_VARIABLE}=CA.pem   (the CA that issued the file of --tls-cert)",
            url,
        )
    if code in _OTHER_NAME:
        there = ", ".join(_names(base)[:_NAMES_MAX_COUNT])
        return Finding(
            "tls",
            "critical",
            f"the server's certificate is not for {base.host}",
            f"it is for {there}" if there else f"{error.verify_message}",
            f"issue it with {base.host} among its names (subjectAltName), or ask the server by a name that it has",
            url,
        )
    return Finding("tls", "critical", f"the server's certificate is refused: {error.verify_message}", mend=_RENEW, server=url)


def certificate(base: Base, trust: ClientTrust, now_s: float) -> Finding:
    """Until when one that is trusted holds."""
    url, holds = str(base), _holds(base)
    if not trust.files.verify:
        return Finding(
            "tls", "warning", "nobody checks who the server is", "CONSUL_HTTP_SSL_VERIFY says false", "unset CONSUL_HTTP_SSL_VERIFY", url
        )
    if holds is None:
        return well("tls", "the server's certificate is trusted", url)
    left = holds.not_after_s - now_s
    until = f"until {date(holds.not_after_s)} (UTC), {left // _DAY_S:.0f} days"
    if left <= WARN_BEFORE_S:
        return Finding("tls", "warning", f"the server's certificate holds only {until}", "it was not renewed yet", _RENEW, url)
    return well("tls", f"the server's certificate is trusted and holds {until}", url)


def _holds(base: Base) -> Validity | None:
    shown = _shown(base)
    try:
        return validity(ssl.DER_cert_to_PEM_cert(shown).encode()) if shown else None
    except InvalidError:
        return None


def _names(base: Base) -> tuple[str, ...]:
    shown = _shown(base)
    try:
        return names(ssl.DER_cert_to_PEM_cert(shown).encode()) if shown else ()
    except InvalidError:
        return ()


def _shown(base: Base) -> bytes | None:
    """The certificate that is shown, whether or not it is trusted; nothing is sent to whoever shows it. None without a handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((base.host, base.port), timeout=_TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=base.host) as secured,
        ):
            return secured.getpeercert(binary_form=True)
    except OSError:
        return None
