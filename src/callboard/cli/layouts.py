"""Which columns each kind of answer has: in one place, so that every command shows a thing the same way."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from callboard.cli.output import Column, Layout
from callboard.wire.native import Endpoint, InstanceState, ServiceSummary
from callboard.wire.native_server import MemberState, ServerStatus


def address(host: str, port: int) -> str:
    """`host:port` as callers write it; the host alone when there is no port."""
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port}" if port else shown


def _tags(tags: Iterable[str]) -> str:
    return ",".join(tags)


def _meta(meta: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(meta.items()))


def health(instance: InstanceState) -> str:
    """One word: the phase while it is not serving, else the status."""
    return instance.status.value if instance.phase == "serving" else instance.phase.value


def _checks(instance: InstanceState) -> str:
    return ",".join(f"{check.id}={check.status.value}" for check in instance.checks)


SERVICES: Final = Layout[ServiceSummary](
    (
        Column("SERVICE", lambda service: service.name),
        Column("INSTANCES", lambda service: str(service.instances)),
        Column("PASSING", lambda service: str(service.passing)),
        Column("WARNING", lambda service: str(service.warning)),
        Column("CRITICAL", lambda service: str(service.critical)),
        Column("MAINTENANCE", lambda service: str(service.maintenance), wide=True),
        Column("DRAINING", lambda service: str(service.draining), wide=True),
        Column("NAMESPACE", lambda service: service.namespace, wide=True),
        Column("TAGS", lambda service: _tags(service.tags)),
    ),
    lambda service: service.name,
)

INSTANCES: Final = Layout[InstanceState](
    (
        Column("ID", lambda instance: instance.id),
        Column("NODE", lambda instance: instance.node),
        Column("ADDRESS", lambda instance: address(instance.address, instance.port)),
        Column("STATUS", lambda instance: instance.status.value),
        Column("PHASE", lambda instance: instance.phase.value),
        Column("TAGS", lambda instance: _tags(instance.tags)),
        Column("WEIGHT", lambda instance: f"{instance.weights.passing}/{instance.weights.warning}", wide=True),
        Column("NAMESPACE", lambda instance: instance.namespace, wide=True),
        Column("REVISION", lambda instance: str(instance.modified), wide=True),
        Column("META", lambda instance: _meta(instance.meta), wide=True),
        Column("CHECKS", _checks, wide=True),
    ),
    lambda instance: instance.id,
)

_VERSION: Final = Column[Endpoint]("VERSION", lambda endpoint: endpoint.version)


def endpoints(shown: Sequence[Endpoint]) -> Layout[Endpoint]:
    """With a column for versions when there are any."""
    versions = (_VERSION,) if any(endpoint.version for endpoint in shown) else ()
    return Layout(
        (
            Column("ADDRESS", lambda endpoint: address(endpoint.address, endpoint.port)),
            Column("ID", lambda endpoint: endpoint.id),
            Column("NODE", lambda endpoint: endpoint.node),
            Column("STATUS", lambda endpoint: endpoint.status.value),
            *versions,
            Column("WEIGHT", lambda endpoint: str(endpoint.weight), wide=True),
            Column("ZONE", lambda endpoint: endpoint.zone, wide=True),
            Column("TAGS", lambda endpoint: _tags(endpoint.tags)),
        ),
        lambda endpoint: address(endpoint.address, endpoint.port),
    )


def _store(status: ServerStatus) -> str:
    """One word; sizes where the engine tells them."""
    store = status.store
    return "-" if store is None else "reachable" if store.reachable else "unreachable"


def _time(milliseconds: int) -> str:
    """UTC, to the second."""
    return datetime.fromtimestamp(milliseconds // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if milliseconds else ""


MEMBERS: Final = Layout[MemberState](
    (
        Column("MEMBER", lambda member: member.name),
        Column("LEADER", lambda member: "yes" if member.leading else "no"),
        Column("URL", lambda member: member.url),
        Column("VERSION", lambda member: member.program),
        Column("STARTED", lambda member: _time(member.started_ms)),
        Column("LEVEL", lambda member: str(member.level), wide=True),
    ),
    lambda member: member.name,
)

STATUS: Final = Layout[ServerStatus](
    (
        Column("MEMBER", lambda status: status.member),
        Column("READY", lambda status: "yes" if status.ready else "no"),
        Column("LEADER", lambda status: status.leader),
        Column("VERSION", lambda status: status.version),
        Column("REVISION", lambda status: str(status.revision)),
        Column("SERVICES", lambda status: str(status.services)),
        Column("INSTANCES", lambda status: str(status.instances)),
        Column("MEMBERS", lambda status: str(status.members)),
        Column("AGE_MS", lambda status: str(status.age_ms)),
        Column("STORE", _store),
        Column("NODE", lambda status: status.node, wide=True),
        Column("DATACENTER", lambda status: status.datacenter, wide=True),
        Column("CHECKS", lambda status: str(status.checks), wide=True),
        Column("NODES", lambda status: str(status.nodes), wide=True),
    ),
    lambda status: status.member,
)
