"""Files of certificates and keys (PEM): read into a context, with errors that name the setting, the file, and what is wrong with it."""

import os
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from callboard.model.errors import InvalidError

_FILE_MAX_BYTES: Final = 1_048_576


def show(context: ssl.SSLContext, cert_field: str, cert: str, key_field: str, key: str) -> None:
    """Load a certificate and its key. Raises `InvalidError`."""
    read(cert_field, cert)
    read(key_field, key)

    def no_password() -> str:
        raise InvalidError(key_field, f"the key in {key} has a password; write it without one (openssl pkey -in {key} -out FILE)")

    try:
        context.load_cert_chain(cert, key, password=no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise InvalidError(key_field, f"the key in {key} does not belong to the certificate in {cert}") from None
        raise InvalidError(key_field, f"{cert} and {key} hold no certificate and key that can be used ({error.reason or error})") from None
    except OSError as error:
        raise InvalidError(cert_field, f"{cert} or {key} cannot be read: {_said(error)}") from None


def trust(context: ssl.SSLContext, field: str, path: str) -> None:
    """Load CAs; one between others and their root is believed without its root, if it is the one that is named. Raises `InvalidError`."""
    read(field, path)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(path)
    except (ssl.SSLError, OSError) as error:
        raise InvalidError(field, f"{path} holds no certificate of a CA in PEM form ({_said(error)})") from None


def read(field: str, path: str) -> bytes:
    """What a file holds. Raises `InvalidError`."""
    try:
        with Path(path).open("rb") as file:
            return file.read(_FILE_MAX_BYTES)
    except (OSError, ValueError) as error:
        raise InvalidError(field, f"{path} cannot be read: {_said(error)}") from None


def _said(error: Exception) -> str:
    return ((isinstance(error, OSError) and error.strerror) or str(error)).lower()


def signature(paths: tuple[str, ...]) -> tuple[object, ...]:
    """What changes when a file is written, replaced, or made readable; a link counts as what it leads to."""
    out: list[object] = []
    for path in paths:
        try:
            found = os.stat(path) if path else None  # noqa: PTH116  # every second: a Path would be made for nothing
        except (OSError, ValueError):
            out.append("")
        else:
            out.append(found and (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))
    return tuple(out)


def date(seconds: int) -> str:
    """For people (UTC)."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
