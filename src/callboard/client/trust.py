"""Whom a client believes, by its settings. Files are read when a URL says https, and again when they change."""

import ssl
from typing import Final

from callboard.client.settings import CA_VARIABLE, CERT_VARIABLE, KEY_VARIABLE, ClientSettings
from callboard.net.tls import ClientFiles, ClientTrust, words

_FIELDS: Final = ClientFiles(CA_VARIABLE, CERT_VARIABLE, KEY_VARIABLE)
_UNKNOWN_CA: Final = frozenset({2, 18, 19, 20, 21})
"""Verdicts of OpenSSL (X509_V_ERR_*): the chain ends at nobody who is trusted."""
_WANTS_OURS: Final = frozenset({"TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_HANDSHAKE_FAILURE"})
_REFUSES_OURS: Final = frozenset(
    {
        "TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_BAD_CERTIFICATE", "SSLV3_ALERT_CERTIFICATE_UNKNOWN", "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "TLSV1_ALERT_CERTIFICATE_EXPIRED",
    }
)  # fmt: skip


def trust_of(settings: ClientSettings) -> ClientTrust | None:
    """None when no server is asked over TLS."""
    if not any(base.secure for base in settings.bases):
        return None
    return ClientTrust(ClientFiles(settings.ca_file, settings.cert_file, settings.key_file, settings.verify), _FIELDS)


def is_refusal(error: BaseException) -> bool:
    """Whether a server refused the connection before it read anything: with TLS 1.3 that is heard only after something was sent."""
    return isinstance(error, ssl.SSLError) and error.reason in _WANTS_OURS | _REFUSES_OURS


def tls_reason(error: ssl.SSLError) -> str:
    """Why there is no connection, and what to set."""
    said = words(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{said}; its CA is to be named by {CA_VARIABLE}" if error.verify_code in _UNKNOWN_CA else said
    if error.reason in _WANTS_OURS:
        return f"{said}; {CERT_VARIABLE} and {KEY_VARIABLE} name it"
    return f"{said}; that is the one in {CERT_VARIABLE}" if error.reason in _REFUSES_OURS else said
