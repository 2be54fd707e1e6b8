"""The short way of TTL updates: one look-up and one deadline, where that is all there is to do. Else `agent_checks` is asked.

It lives as long as the server, and remembers the bodies of `check/update` that say what most bodies say.
"""

from collections.abc import Callable
from typing import Final

from callboard.core.liveness import CheckKey
from callboard.frontend.consul.blocking import check_agent
from callboard.frontend.consul.door import DONE, Door
from callboard.frontend.consul.settings import ConsulStats
from callboard.model.check import Status
from callboard.model.names import PUBLIC
from callboard.net.http.message import Answer, Brief, Request

_BODIES_MAX_COUNT: Final = 1_024
_BODY_MAX_BYTES: Final = 512


class Beats:
    """Signs of life for checks on the caller's own node that are, and stay, as the caller says."""

    def __init__(self, door: Door) -> None:
        self._stats = door.stats
        self._caller = door.caller
        self._renew = door.registry.renew
        self._bodies: dict[bytes, tuple[Status, str]] = {}
        self._find = self._node

    def pushed(self, status: Status) -> Brief:
        """Of `check/pass` and its like, whose body says nothing."""
        return Brief(self._find, _Pushed(self._renew, self._stats, status).hear)

    def updated(self) -> Brief:
        """Of `check/update`."""
        return Brief(self._find, self._hear_body)

    def remember(self, body: bytes, status: Status, output: str) -> None:
        """What a body of `check/update` said."""
        if len(body) <= _BODY_MAX_BYTES:
            if len(self._bodies) >= _BODIES_MAX_COUNT:
                self._bodies.clear()
            self._bodies[body] = status, output

    def _node(self, request: Request) -> str | None:
        """The caller's node; None for a caller who tells an output among the parameters."""
        check_agent(request.query)
        return self._caller(request).key if not request.query.get("note") else None

    def _hear_body(self, node: str, check: str, body: bytes) -> Answer | None:
        said = self._bodies.get(body)
        if said is None or not self._renew((PUBLIC, node, check), *said):
            return None
        self._stats.heartbeats += 1
        return DONE


class _Pushed:
    """What `check/pass` and its like do. One call leads to the next here, for each beat: there is no step that could be left out."""

    __slots__ = ("_renew", "_stats", "_status")

    def __init__(self, renew: Callable[[CheckKey, Status, str], bool], stats: ConsulStats, status: Status) -> None:
        self._renew = renew
        self._stats = stats
        self._status = status

    def hear(self, node: str, check: str, _body: bytes) -> Answer | None:
        """A sign of life, of a check of the caller's own node."""
        if not self._renew((PUBLIC, node, check), self._status, ""):
            return None
        self._stats.heartbeats += 1
        return DONE
