"""Sidecars: a proxy that is signed in together with the instance it stands beside, and goes with it.

Its id follows from that of its parent, so it is found without looking for it. A port that nobody named is chosen while it is planned: the
lowest of the range that nothing else on the node has, and the one it had before when it is registered again.
"""

from typing import Final

from msgspec.structs import replace

from callboard.core.catalog.commands import Sidecar
from callboard.core.catalog.draft import Draft
from callboard.model.check import AliasCheck, CheckSpec, TcpCheck
from callboard.model.instance import Instance, InstanceSpec
from callboard.model.rows import Refusal
from callboard.model.time import SECOND, Duration

SUFFIX: Final = "-sidecar-proxy"
"""What Consul puts behind the id and the name of the parent."""
PORT_MIN: Final = 21_000
PORT_MAX: Final = 21_255
LISTENING_INTERVAL: Final = Duration(10 * SECOND)


def sidecar_id(parent: str) -> str:
    """The id of an instance's sidecar."""
    return parent + SUFFIX


def sidecar_of(draft: Draft, parent: Instance) -> Instance | None:
    """The sidecar that an instance was registered with."""
    found = draft.instance(parent.namespace, parent.node, sidecar_id(parent.id))
    return found if found is not None and found.sidecar == parent.id else None


def with_port(draft: Draft, node: str, spec: InstanceSpec) -> InstanceSpec | Refusal:
    """The same with a port of its own; `node` in lower case."""
    if spec.port:
        return spec
    before = draft.instance(spec.namespace, node, spec.id)
    if before is not None and PORT_MIN <= before.port <= PORT_MAX:
        return replace(spec, port=before.port)
    used: set[int] = set()
    for other in draft.contents(node)[0]:
        if (other.namespace, other.id) != (spec.namespace, spec.id):
            used.update((other.port, *(named.port for named in other.ports)))
    free = next((port for port in range(PORT_MIN, PORT_MAX + 1) if port not in used), 0)
    if not free:
        text = f"no port provided for sidecar_service and none left in the configured range [{PORT_MIN}, {PORT_MAX}]"
        return Refusal("invalid", spec.id, text)
    return replace(spec, port=free)


def checks_of_sidecar(sidecar: Sidecar, spec: InstanceSpec, parent: str) -> tuple[CheckSpec, ...]:
    """Its own checks; without any, that it listens, and that its parent is healthy."""
    if sidecar.checks:
        return sidecar.checks
    listening = TcpCheck(host=sidecar.listens_at, port=spec.port, interval=LISTENING_INTERVAL, connect=sidecar.connect)
    return (
        CheckSpec(id=f"service:{spec.id}:1", name="Connect Sidecar Listening", definition=listening),
        CheckSpec(id=f"service:{spec.id}:2", name=f"Connect Sidecar Aliasing {parent}", definition=AliasCheck(alias_service=parent)),
    )


def remove_with_sidecar(draft: Draft, instance: Instance) -> None:
    """Remove an instance, its checks, and its sidecar."""
    sidecar = sidecar_of(draft, instance)
    if sidecar is not None:
        draft.remove_instance(sidecar)
    draft.remove_instance(instance)
