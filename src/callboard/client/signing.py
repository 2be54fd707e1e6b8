"""Signing in and out over `/api/v1`: what keeping one registration takes, without the reading side.

Heartbeats have a connection of their own, so that nothing slow stands before them. It lives as long as the registration or the board.
"""

import contextlib
from typing import Final
from urllib.parse import quote, urlencode

import msgspec

from callboard.client.answers import value_of
from callboard.client.backend import ForgottenError
from callboard.client.errors import NotFoundError, ProblemError
from callboard.client.settings import ClientSettings
from callboard.client.transport import Call, Transport
from callboard.wire.native import Beat, Registration, Written

_FORGOTTEN: Final = frozenset({"unknown_instance", "not_ttl"})
"""Codes of refused heartbeats that mean: it is not there, or not as it was signed in."""
_PLAIN: Final = Beat()


class NativeSigning:
    """The writing half of a backend (`callboard.client.backend.Backend`)."""

    def __init__(self, settings: ClientSettings) -> None:
        self._writing = Transport(settings)
        self._pulse = Transport(settings)

    def register(self, registration: Registration) -> Written:
        """Repeatable, for the same registration again changes nothing."""
        return value_of(self._writing.request(Call("PUT", "/api/v1/instances", msgspec.json.encode(registration))), Written)

    def heartbeat(self, held: Written, beat: Beat, timeout_ms: int) -> None:
        """Renew every TTL check of an instance, and say how it is."""
        body = b"" if beat == _PLAIN else msgspec.json.encode(beat)
        try:
            value_of(self._pulse.request(Call("PUT", _target("heartbeat", held), body), timeout_ms), Written)
        except ProblemError as error:
            if error.problem_code in _FORGOTTEN:
                raise ForgottenError(str(error)) from None
            raise

    def drain(self, held: Written, *, on: bool) -> None:
        """Raises `NotFoundError`."""
        value_of(self._writing.request(Call("PUT" if on else "DELETE", _target("drain", held))), Written)

    def deregister(self, held: Written, timeout_ms: int) -> None:
        """Remove it."""
        with contextlib.suppress(NotFoundError):
            value_of(self._writing.request(Call("DELETE", _target("instances", held)), timeout_ms), Written)

    def close(self) -> None:
        """Close the idle connections."""
        self._writing.close()
        self._pulse.close()


def _target(kind: str, held: Written) -> str:
    """The node is named, also the caller's own: without, a server looks for the id elsewhere too, and there it may be another's."""
    query = urlencode([(name, value) for name, value in (("namespace", held.namespace), ("node", held.node)) if value])
    return f"/api/v1/{kind}/{quote(held.id, safe='')}?{query}"
