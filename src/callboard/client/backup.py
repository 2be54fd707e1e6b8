"""A backup from a running server, in pieces as they come. One call, one connection; nothing is kept."""

import time
from collections.abc import Iterator
from http.client import HTTPException
from typing import Final

from callboard.client.answers import error_of
from callboard.client.errors import ClientError, UnreachableError
from callboard.client.link import BrokenError, Link, reason
from callboard.client.settings import Base, ClientSettings
from callboard.client.transport import Reply
from callboard.client.trust import trust_of

TARGET: Final = "/api/v1/backup"
_PIECE_BYTES: Final = 1 << 18
_OK: Final = 200


def backup_pieces(settings: ClientSettings) -> Iterator[bytes]:
    """The lines of a backup, cut anywhere; whether that was all of it, only their last line says (`wire.backup`).

    From the first server that gives one. Raises `UnreachableError` when none can be asked, or when the one that gave it stops in the
    middle; and what the first refusal means.
    """
    reasons: dict[str, str] = {}
    refused: ClientError | None = None
    trust = trust_of(settings)
    for base in settings.bases:
        link = Link(base, time.monotonic() + settings.timeout_ms / 1000, trust)
        try:
            yield from _asked(link, base, settings)
        except ClientError as error:
            refused = refused or error
        except (BrokenError, OSError) as error:
            reasons[str(base)] = reason(error)
        else:
            return
        finally:
            link.shut()
    raise refused or UnreachableError(reasons)


def _asked(link: Link, base: Base, settings: ClientSettings) -> Iterator[bytes]:
    headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
    deadline = time.monotonic() + settings.timeout_ms / 1000
    response = link.send_request("GET", TARGET, b"", headers, deadline)
    if response.status != _OK:
        body = link.read_body(response, settings.answer_max_bytes, deadline) or b""
        raise error_of(Reply(response.status, body, str(base), response.headers.get("Retry-After", "")))
    link.limit(settings.silence_max_ms / 1000)
    try:
        while piece := response.read1(_PIECE_BYTES):
            yield piece
    except (OSError, HTTPException) as error:
        raise UnreachableError({str(base): f"the backup broke off ({reason(error)})"}) from None
