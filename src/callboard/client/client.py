"""The blocking client of `/api/v1`. It lives from construction to `close`, and may be used by several threads."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

from callboard.client.answers import value_of
from callboard.client.errors import ClientError
from callboard.client.settings import ClientSettings, from_environment
from callboard.client.transport import Call, Transport
from callboard.client.watch import Watch
from callboard.wire.native import (
    Beat,
    Digest,
    InstanceState,
    NodeList,
    Registration,
    Resolution,
    ServiceInstances,
    ServiceList,
    Written,
)
from callboard.wire.native_server import MemberList, ServerStatus

if TYPE_CHECKING:
    from callboard.client.held import Held

S = TypeVar("S", bound=Struct)
_PREFIX: Final = "/api/v1"


class Client:
    """Everything `/api/v1` can be asked.

    Every method raises `UnreachableError` when no server answers, and the `ProblemError` that a refusal means (`callboard.client.errors`).
    """

    def __init__(self, settings: ClientSettings | None = None) -> None:
        """Without `settings`: what the environment says. Opens no connection. Raises `InvalidError`."""
        self.settings = settings if settings is not None else from_environment(os.environ)
        self._transport = Transport(self.settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections. Watches and registrations have connections of their own."""
        self._transport.close()

    # -- reading

    def services(self, *, namespace: str = "") -> ServiceList:
        """Every service of a name space, by name."""
        return self._get("/services", ServiceList, namespace=namespace)

    def instances(self, service: str, *, namespace: str = "") -> ServiceInstances:
        """Every instance of a service with its health; none for a service that nobody registered."""
        return self._get(f"/services/{_path(service)}", ServiceInstances, namespace=namespace)

    def instance(self, instance_id: str, *, node: str = "", namespace: str = "") -> InstanceState:
        """One instance. Raises `NotFoundError`, and `AmbiguousError` when several nodes have one of this id."""
        return self._get(f"/instances/{_path(instance_id)}", InstanceState, namespace=namespace, node=node)

    def resolve(  # noqa: PLR0913  # what a caller may want of a service is one list of names
        self,
        service: str,
        *,
        tags: Sequence[str] = (),
        labels: Mapping[str, str] = {},
        version: str = "",
        prefer: Literal["any", "latest", "oldest"] = "any",
        fallback: str = "",
        zone: str = "",
        passing_only: bool = False,
        limit: int = 0,
        namespace: str = "",
    ) -> Resolution:
        """Where to call a service now, and why each instance was kept or left out.

        Only instances with all of `tags` and with the meta entries `labels`, whose meta `version` is in the range `version` (`^2.1`,
        `>=2,<3`, `2.x`); of these all, only the highest or only the lowest version (`prefer`). When nobody is: those of the range
        `fallback`, with `any` everybody. In `zone` first, if enough are there. Those with a warning are kept unless `passing_only`; at
        most `limit`, 0 for all. Raises `InvalidRequestError` for a range that is none.
        """
        query = [
            *(("tag", tag) for tag in tags),
            *(("label", f"{key}={value}") for key, value in labels.items()),
            *_query(
                ("version", version),
                ("prefer", prefer if prefer != "any" else ""),
                ("fallback", fallback),
                ("zone", zone),
                ("passing_only", "true" if passing_only else ""),
                ("limit", str(limit) if limit else ""),
                ("namespace", namespace),
            ),
        ]
        return self._ask(Call("GET", _target(f"/resolve/{_path(service)}", query)), Resolution)

    def digest(self, services: Iterable[str] = (), *, namespace: str = "") -> Digest:
        """What `wire.native_digest.digest_of` says of a complete picture of these services; without: of all of the name space."""
        query = [*(("service", service) for service in services), *_query(("namespace", namespace))]
        return self._ask(Call("GET", _target("/digest", query)), Digest)

    def nodes(self) -> NodeList:
        """Every node."""
        return self._get("/nodes", NodeList)

    def status(self) -> ServerStatus:
        """The server that answers, and what its catalog holds."""
        return self._get("/status", ServerStatus)

    def members(self) -> MemberList:
        """The servers of the cluster that are present."""
        return self._get("/members", MemberList)

    def watch(self, *services: str, namespace: str = "", lost: Callable[[ClientError], None] | None = None) -> Watch:
        """Follow these services, or all of the name space: see `Watch`. It connects when it is first asked for a change.

        `lost` is told each time the stream broke and each time it could not be opened again; the watch goes on by itself.
        """
        return Watch(self.settings, services, namespace, lost)

    # -- writing

    def register(self, registration: Registration) -> "Held":
        """Sign in, and stay: a thread sends heartbeats for the TTL checks, and signs in again when the server has forgotten.

        `close` of the answer signs out; it is a context manager. Checks that are not named in `registration` go.
        """
        from callboard.client.held import Held  # noqa: PLC0415  # most who ask the registry something do not stay

        return Held(self.settings, registration)

    def put(self, registration: Registration) -> Written:
        """Make or replace an instance, once: nobody keeps its TTL checks alive."""
        return self._ask(Call("PUT", f"{_PREFIX}/instances", msgspec.json.encode(registration), repeatable=False), Written)

    def heartbeat(self, instance_id: str, beat: Beat | None = None, *, node: str = "", namespace: str = "") -> Written:
        """One sign of life: renews every TTL check of an instance. Raises `NotFoundError`: register again."""
        body = msgspec.json.encode(beat) if beat is not None else b""
        query = _query(("namespace", namespace), ("node", node))
        return self._ask(Call("PUT", _target(f"/heartbeat/{_path(instance_id)}", query), body), Written)

    def deregister(self, instance_id: str, *, node: str = "", namespace: str = "") -> Written:
        """Remove an instance with its checks. Raises `NotFoundError`, `AmbiguousError`."""
        return self._write("DELETE", "instances", instance_id, node, namespace)

    def drain(self, instance_id: str, *, node: str = "", namespace: str = "") -> Written:
        """Hide an instance from new picks; who calls it already may finish. Raises `NotFoundError`, `AmbiguousError`."""
        return self._write("PUT", "drain", instance_id, node, namespace)

    def undrain(self, instance_id: str, *, node: str = "", namespace: str = "") -> Written:
        """Show a drained instance again. Raises `NotFoundError`, `AmbiguousError`."""
        return self._write("DELETE", "drain", instance_id, node, namespace)

    # -- inside

    def _get(self, path: str, to: type[S], *, namespace: str = "", node: str = "") -> S:
        return self._ask(Call("GET", _target(path, _query(("namespace", namespace), ("node", node)))), to)

    def _write(self, method: str, kind: str, instance_id: str, node: str, namespace: str) -> Written:
        query = _query(("namespace", namespace), ("node", node))
        return self._ask(Call(method, _target(f"/{kind}/{_path(instance_id)}", query), repeatable=False), Written)

    def _ask(self, call: Call, to: type[S]) -> S:
        return value_of(self._transport.request(call), to)


def _path(segment: str) -> str:
    return quote(segment, safe="")


def _query(*pairs: tuple[str, str]) -> list[tuple[str, str]]:
    """The pairs that say something."""
    return [pair for pair in pairs if pair[1]]


def _target(path: str, query: list[tuple[str, str]]) -> str:
    return _PREFIX + path + ("?" + urlencode(query) if query else "")
