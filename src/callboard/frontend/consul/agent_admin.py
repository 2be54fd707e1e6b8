"""Orders to "the agent" itself: reload, join, leave, force another to leave, tokens.

There is no gossip to join or to leave: members find each other through their store, and a dead one is gone when its lease ends.
"""

from ipaddress import ip_address
from typing import Final

from callboard.core.catalog.commands import DeregisterNode
from callboard.core.catalog.queries import all_checks_on
from callboard.frontend.base import Operations
from callboard.frontend.consul.blocking import check_agent
from callboard.frontend.consul.door import DONE, Door
from callboard.frontend.consul.enterprise import check_headers
from callboard.frontend.consul.errors import ConsulError, refusal_answer
from callboard.frontend.consul.servers import servers
from callboard.model.check import Status
from callboard.model.errors import CallboardError
from callboard.model.names import PUBLIC
from callboard.model.rows import Refusal
from callboard.net.http.message import Answer, Reply, Request, Route

_PASSED_ON: Final = ("x-forwarded-for", "forwarded", "x-real-ip", "via")
"""Fields by which proxies say for whom they ask."""
_NOT_HERE: Final = ConsulError(503, "this part stands without a server around it")


def operations_of(door: Door) -> Operations:
    """Raises `ConsulError` where nobody has said what may be asked."""
    if door.operations is None:
        raise _NOT_HERE
    return door.operations


class AgentAdmin:
    """Handlers of `agent/{reload,join,leave,force-leave,token}`."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def routes(self) -> tuple[Route, ...]:
        """This subject's part of the table."""
        return (
            Route("PUT", "/v1/agent/reload", self.reload, quick=False),
            Route("PUT", "/v1/agent/join/", self.join),
            Route("PUT", "/v1/agent/leave", self.leave, quick=False),
            Route("PUT", "/v1/agent/force-leave/", self.force_leave),
            Route("PUT", "/v1/agent/token/", self.token),
        )

    def reload(self, request: Request) -> Reply:
        """Read again what can change while the server runs."""
        self._check(request)
        try:
            operations_of(self._door).reload()
        except ConsulError:
            raise
        except CallboardError as error:
            raise ConsulError(500, str(error)) from None
        return DONE

    def join(self, request: Request) -> Reply:
        """A member that is present already is joined; others come through the store."""
        self._check(request)
        host, _, port = request.rest.rpartition(":")
        named = host if port.isdigit() and host else request.rest
        if not any(named.lower() in {server.host.lower(), server.name.lower()} for server in servers(self._door)):
            raise ConsulError(
                500, f"Failed to join {request.rest}: no member that is present is reached there; members find each other through their"
                " store, so start that server with the same --store",
            )  # fmt: skip
        return DONE

    def leave(self, request: Request) -> Reply:
        """Stop gracefully. The answer comes first."""
        self._check(request)
        allowed = self._door.settings.leave_from
        if allowed != "anywhere" and not (allowed == "loopback" and _is_here(request)):
            raise ConsulError(403, f"Permission denied: the server takes this from {allowed} only; set leave_from in [tune.consul]")
        operations_of(self._door).leave()
        return DONE

    def force_leave(self, request: Request) -> Reply:
        """Remove a node that has failed: every check on it is critical. A member, and a node that is alive, stay as they are."""
        self._check(request)
        door = self._door
        name = request.rest.lower()
        if "wan" in request.query:
            name = name.removesuffix(f".{door.registry.settings.datacenter}".lower())
        if name == door.home or any(name == server.name.lower() for server in servers(door)):
            return DONE
        if name not in door.view.nodes:
            raise ConsulError(500, f"agent: No node found with name '{request.rest}'")
        checks = all_checks_on(door.view, PUBLIC, name)
        if checks and all(check.status is Status.CRITICAL for check in checks):
            return door.submit(DeregisterNode(name), refused=_gone_is_fine)
        return DONE

    def token(self, request: Request) -> Reply:
        """There is no access control to have tokens for."""
        self._check(request)
        raise ConsulError(401, "ACL support disabled")

    @staticmethod
    def _check(request: Request) -> None:
        check_agent(request.query)
        check_headers(request.headers)


def _gone_is_fine(refusal: Refusal) -> Answer:
    return DONE if refusal.reason == "unknown_node" else refusal_answer(refusal)


def _is_here(request: Request) -> bool:
    """Whether it was sent on this machine. What a proxy here has passed on comes from anywhere, also where nobody has said it is one."""
    if any(name in request.headers for name in _PASSED_ON):
        return False
    try:
        return ip_address(request.peer).is_loopback
    except ValueError:
        return False
