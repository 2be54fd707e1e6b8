"""Consul as a backend: the agent's API for signing in, blocking queries for following.

Consul's agent keeps what is signed in with it on its own node, so a board should have one URL: that of the agent of its host. What
Consul cannot say is told as it can: `docs/guides/consul.md` names it.
"""

from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import quote, urlencode

import msgspec
from msgspec.structs import replace

from callboard.client import reaching
from callboard.client.backend import ForgottenError
from callboard.client.consul.asking import ask_once
from callboard.client.consul.feed import ConsulFeed
from callboard.client.consul.refusals import is_forgotten, is_gone
from callboard.client.consul.transport import ConsulTransport
from callboard.client.consul.words import (
    REASONS,
    agent_node,
    instance_id,
    instances_of,
    maintenance_reason,
    namespace_query,
    pushed_checks,
    registration_body,
    summaries_of,
    update_body,
)
from callboard.client.errors import ClientError, ProblemError, ProtocolError
from callboard.client.settings import ClientSettings
from callboard.client.transport import Call
from callboard.model.instance import Phase
from callboard.model.names import namespace as canonical
from callboard.wire.native import Beat, Digest, Registration, ServiceInstances, ServiceList, Written

_Place = tuple[str, str]
"""Name space and id of an instance that was signed in here."""
_DECODING: Final = (msgspec.DecodeError, UnicodeDecodeError)


class ConsulBackend:
    """`/v1`."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._transport = ConsulTransport(settings)
        self._ttls: dict[_Place, tuple[str, ...]] = {}
        """Ids of the TTL checks of what was signed in here."""

    def register(self, registration: Registration) -> Written:
        """Sign in, and push each TTL check, for Consul keeps the status of one that was there before. `revision` is always 0."""
        space, place_id = canonical(registration.namespace), instance_id(registration)
        held = Written(id=place_id, node=registration.node, namespace=space, service=registration.service, revision=0, changed=True)
        kept = self._maintenance_of(held) if registration.phase is None and registration.replace_checks else ""
        query = [("replace-existing-checks", "true")] if registration.replace_checks else []
        self._put("service/register", held, query, registration_body(registration))
        pushed = pushed_checks(registration)
        self._ttls[space, place_id] = tuple(check.check_id for check in pushed)
        if registration.phase is not None:
            self._enter(held, REASONS.get(registration.phase, ""))
        elif kept:
            self._enter(held, kept)
        for check in pushed:
            self._put(_check(check.check_id), held, body=update_body(check.status, check.output))
        return replace(held, node=self._node_of(held))

    def heartbeat(self, held: Written, beat: Beat, timeout_ms: int) -> None:
        """Push every TTL check of an instance. One that was not signed in here, or has none, counts as forgotten."""
        checks = self._ttls.get((held.namespace, held.id), ())
        if not checks:
            raise ForgottenError(f"{held.id} was not signed in here with a TTL check; sign it in")
        body = update_body(beat.status, beat.output or "")
        try:
            for check in checks:
                self._put(_check(check), held, body=body, timeout_ms=max(1, timeout_ms // len(checks)))
        except ProblemError as error:
            if is_forgotten(error):
                raise ForgottenError(str(error)) from None
            raise

    def drain(self, held: Written, *, on: bool) -> None:
        """Maintenance with a reason of ours. Raises `NotFoundError`."""
        self._enter(held, REASONS[Phase.DRAINING] if on else "")

    def deregister(self, held: Written, timeout_ms: int) -> None:
        """Remove it."""
        try:
            self._put(f"service/deregister/{_path(held.id)}", held, timeout_ms=timeout_ms)
        except ProblemError as error:
            if not is_gone(error):
                raise
        self._ttls.pop((held.namespace, held.id), None)

    def services(self, namespace: str) -> ServiceList:
        """Two questions, however many services there are: instances without a check of their own are not counted."""
        query = urlencode([*namespace_query(namespace), ("stale", "")])
        listed = ask_once(self._settings, f"/v1/catalog/services?{query}")
        checked = ask_once(self._settings, f"/v1/health/state/any?{query}")
        try:
            return ServiceList(summaries_of(listed.body, checked.body, namespace), listed.revision)
        except _DECODING as error:
            raise ProtocolError(listed.url, str(error)) from None

    def instances(self, service: str, namespace: str) -> ServiceInstances:
        """`GET /v1/health/service/<name>`, with those that do not pass."""
        query = urlencode(namespace_query(namespace))
        answer = ask_once(self._settings, f"/v1/health/service/{_path(service)}?{query}")
        try:
            found = instances_of(answer.body, namespace)
        except _DECODING as error:
            raise ProtocolError(answer.url, str(error)) from None
        return ServiceInstances(service=service, namespace=canonical(namespace), revision=answer.revision, instances=found)

    def follow(self, namespace: str, services: tuple[str, ...], lost: Callable[[ClientError], None]) -> ConsulFeed:
        """A blocking query for each of them. Raises `InvalidError` without any, and for too many."""
        return ConsulFeed(self._settings, namespace, services, lost)

    def digest(self, namespace: str, services: tuple[str, ...]) -> Digest | None:
        """Consul has none. Every blocking query ends with an index, which says whether anything was missed."""
        return None

    def local_address(self) -> str:
        """Opens and closes a connection."""
        return reaching.local_address(self._settings)

    @property
    def remote(self) -> bool:
        """By the names in the URLs."""
        return reaching.is_remote(self._settings)

    def forked(self) -> None:
        """The transport looks at the process id itself. What the parent signed in is not the child's."""
        self._ttls = {}

    def close(self) -> None:
        """Close the idle connections."""
        self._transport.close()

    # -- inside

    def _enter(self, held: Written, reason: str) -> None:
        """Maintenance with this reason; without one, none."""
        query = [("enable", "true"), ("reason", reason)] if reason else [("enable", "false")]
        self._put(f"service/maintenance/{_path(held.id)}", held, query)

    def _maintenance_of(self, held: Written) -> str:
        """Why it is in maintenance; empty when it is not. Consul ends one when checks are replaced, so it must be known before."""
        reply = self._transport.request(Call("GET", _agent(f"health/service/id/{_path(held.id)}", held)))
        try:
            return maintenance_reason(reply.body)
        except _DECODING:
            return ""  # an older Consul, a token that may not look, or none is there

    def _node_of(self, held: Written) -> str:
        """The node it was put on; what was asked for when the token may not look."""
        try:
            reply = self._transport.ask(Call("GET", _agent("self", held)))
            return agent_node(reply.body) or held.node
        except (ClientError, *_DECODING):
            return held.node

    def _put(
        self, path: str, held: Written, query: Sequence[tuple[str, str]] = (), body: bytes = b"", timeout_ms: int = 0
    ) -> None:  # fmt: skip
        self._transport.ask(Call("PUT", _agent(path, held, query), body), timeout_ms)


def _agent(path: str, held: Written, query: Sequence[tuple[str, str]] = ()) -> str:
    """The node says to Callboard's door whose agent is meant. Consul does not look at it."""
    pairs = [*query, *namespace_query(held.namespace), *([("node", held.node)] if held.node else [])]
    return f"/v1/agent/{path}" + (f"?{urlencode(pairs)}" if pairs else "")


def _check(check_id: str) -> str:
    return f"check/update/{_path(check_id)}"


def _path(segment: str) -> str:
    return quote(segment, safe="")
