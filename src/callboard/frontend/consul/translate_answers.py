"""From the view to Consul's answers. Pure: a function of view values, made while an answer is rendered.

A phase that takes no traffic (starting, draining) is a critical check of the instance in health answers; it exists nowhere else.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from operator import itemgetter
from typing import Final, NamedTuple

from msgspec import UNSET, Raw, UnsetType
from msgspec.structs import replace

from callboard.core.catalog import queries
from callboard.core.catalog.queries import Found
from callboard.core.catalog.view import View
from callboard.frontend.consul.translate import RESERVED
from callboard.frontend.consul.translate_addresses import ip_version, node_addresses
from callboard.model.check import Check, MaintenanceCheck, ManualCheck, ProbeDefinition, Status
from callboard.model.instance import Instance, Node, Phase
from callboard.wire import consul_json as json
from callboard.wire.consul_go import format_duration
from callboard.wire.consul_proxy import for_agent, for_catalog

_WORDS: Final = {
    Status.PASSING: "passing", Status.WARNING: "warning", Status.CRITICAL: "critical", Status.MAINTENANCE: "critical",
}  # fmt: skip
_NONE: Final = format_duration(0)
_FIRST_WEIGHTS: Final = json.Weights(1, 1)


class _Shown(NamedTuple):
    """A node's row, how it is shown, and that as JSON."""

    row: Node
    node: json.Node
    encoded: Raw


class Scene:
    """Answers of one server: its data centre, its own node, and nodes as they were last shown, for most answers show the same ones.

    It lives as long as the server. A node is put together again when its row is another one; all are forgotten when there are too many.
    """

    __slots__ = ("_datacenter", "_home", "_nodes", "_nodes_max_count")

    def __init__(self, datacenter: str, home: str, nodes_max_count: int) -> None:
        """`home` is the server's own node, in lower case."""
        self._datacenter = datacenter
        self._home = home
        self._nodes_max_count = nodes_max_count
        self._nodes: dict[str, _Shown] = {}

    def node(self, node: Node) -> json.Node:
        """A node."""
        return self._shown(node).node

    def _shown(self, node: Node) -> _Shown:
        known = self._nodes.get(node.name)
        if known is None or known.row is not node:
            if len(self._nodes) >= self._nodes_max_count:
                self._nodes.clear()
            made = self._make_node(node)
            known = self._nodes[node.name] = _Shown(node, made, Raw(json.encode(made)))
        return known

    def _make_node(self, node: Node) -> json.Node:
        agent = node.implicit or node.name.lower() == self._home
        return json.Node(
            id=node_id(node) if agent else node.id, node=node.name, address=node.address, datacenter=self._datacenter,
            tagged_addresses=node.tagged or (node_addresses(node.address) if agent else None),
            meta=node.meta or ({} if agent else None), create_index=node.created, modify_index=node.modified,
        )  # fmt: skip

    def health(self, found: Found) -> json.ServiceHealth:
        """An instance with its node and every check that counts for it."""
        return json.ServiceHealth(self._shown(found.node).encoded, service(found.instance), health_checks(found))

    def service_node(self, found: Found) -> json.ServiceNode:
        """An instance and its node in one flat object."""
        node, instance = self.node(found.node), found.instance
        plain = json.ServiceNode(
            id=node.id, node=node.node, address=node.address, datacenter=node.datacenter, tagged_addresses=node.tagged_addresses,
            node_meta=node.meta, service_kind=instance.kind, service_id=instance.id, service_name=instance.service,
            service_tags=instance.tags, service_address=instance.address, service_tagged_addresses=_service_addresses(instance),
            service_weights=_weights(instance), service_meta=instance.meta, service_port=instance.port,
            service_enable_tag_override=instance.enable_tag_override, create_index=instance.created, modify_index=instance.modified,
        )  # fmt: skip
        return plain if _is_plain(instance) else replace(
            plain, service_ports=_ports(instance) or None, service_socket_path=instance.socket_path, service_connect=_connect(instance),
            service_proxy=for_catalog(instance.proxy), service_locality=_locality(instance) or None,
        )  # fmt: skip

    def agent_service(self, instance: Instance) -> json.AgentService:
        """An instance as its agent shows it."""
        plain = json.AgentService(
            kind=instance.kind or UNSET, id=instance.id, service=instance.service, tags=instance.tags, meta=instance.meta,
            port=instance.port, address=instance.address, tagged_addresses=_service_addresses(instance), weights=_weights(instance),
            enable_tag_override=instance.enable_tag_override, datacenter=self._datacenter,
        )  # fmt: skip
        return plain if _is_plain(instance) else replace(
            plain, ports=_ports(instance) or UNSET, socket_path=instance.socket_path or UNSET, locality=_agents_locality(instance),
            proxy=for_agent(instance.proxy) if instance.kind else UNSET, connect=json.NATIVE if instance.connect_native else UNSET,
        )  # fmt: skip

    def hashed_agent_service(self, instance: Instance) -> json.AgentService:
        """The same with the hash of all that."""
        plain = self.agent_service(instance)
        return replace(plain, content_hash=blake2b(json.encode(plain), digest_size=8).hexdigest())


Tagged = tuple[str, bytes]
"""The name of a service, and that name with its tags as a member of a JSON object."""


def service_tags(view: View, namespace: str, service: str) -> tuple[Tagged, ...]:
    """The names of a service, mostly one, for they may differ in case, each with the tags of its instances."""
    named = queries.tags_by_name(view.of_service(namespace, service).values())
    return tuple((name, json.encode({name: tags})[1:-1]) for name, tags in named.items())


def listed(services: Iterable[tuple[Tagged, ...]]) -> Raw:
    """All of them as one JSON object, by name."""
    named = [each for names in services for each in names]
    named.sort(key=itemgetter(0))
    return Raw(b"{%b}" % b",".join(map(itemgetter(1), named)))


def node_id(node: Node) -> str:
    """The UUID of a node: its own, else one that follows from its incarnation."""
    if node.id:
        return node.id
    digest = blake2b(node.nonce.encode(), digest_size=16).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:]}"


def service(instance: Instance) -> json.Service:
    """An instance as the catalog shows it."""
    plain = json.Service(
        kind=instance.kind or UNSET, id=instance.id, service=instance.service, tags=instance.tags, address=instance.address,
        tagged_addresses=_service_addresses(instance), meta=instance.meta, port=instance.port or UNSET, weights=_weights(instance),
        enable_tag_override=instance.enable_tag_override, create_index=instance.created, modify_index=instance.modified,
    )  # fmt: skip
    return plain if _is_plain(instance) else replace(
        plain, ports=_ports(instance) or UNSET, socket_path=instance.socket_path or UNSET, locality=_locality(instance) or UNSET,
        proxy=for_catalog(instance.proxy), connect=_connect(instance),
    )  # fmt: skip


def _is_plain(instance: Instance) -> bool:
    """Whether there is no more to show than of most instances: they are shown in large numbers."""
    return not (
        instance.kind or instance.ports or instance.connect_native or instance.socket_path or instance.proxy or instance.locality.region
    )


def _ports(instance: Instance) -> tuple[json.Port, ...]:
    return tuple(json.Port(port.name, port.port, port.default) for port in instance.ports)


def _locality(instance: Instance) -> json.Locality | None:
    locality = instance.locality
    return json.Locality(locality.region, locality.zone or UNSET) if locality.region else None


def _agents_locality(instance: Instance) -> json.Locality | UnsetType:
    locality = instance.locality
    return json.Locality(locality.region, locality.zone) if locality.region else UNSET


def _connect(instance: Instance) -> Raw:
    return json.NATIVE if instance.connect_native else json.NO_CONNECT


def _weights(instance: Instance) -> json.Weights:
    weights = instance.weights
    return _FIRST_WEIGHTS if weights.passing == weights.warning == 1 else json.Weights(weights.passing, weights.warning)


def _service_addresses(instance: Instance) -> dict[str, json.TaggedAddress] | UnsetType:
    """What was tagged, and an IP address under the names Consul's agent gives it; names in order."""
    version = ip_version(instance.address)
    own = json.TaggedAddress(instance.address, instance.port)
    tagged = {f"lan_ipv{version}": own, f"wan_ipv{version}": own} if version else {}
    if instance.tagged:
        tagged.update((label, json.TaggedAddress(address.address, address.port)) for label, address in instance.tagged.items())
        return dict(sorted(tagged.items()))
    return tagged or UNSET


# -- checks


def health_checks(found: Found) -> list[json.Check]:
    """Every check that counts for an instance, its phase among them."""
    of_node = [check_of(check, found.node.name, None) for check in found.checks if not check.instance]
    return of_node + instance_checks(found.instance, [check for check in found.checks if check.instance], found.node.name)


def instance_checks(instance: Instance, checks: Iterable[Check], node: str) -> list[json.Check]:
    """The checks of an instance without those of its node, its phase among them."""
    out = [check_of(check, node, instance) for check in checks]
    if instance.phase is not Phase.SERVING:
        out.append(phase_check(instance, node))
    return out


def check_of(check: Check, node: str, instance: Instance | None) -> json.Check:
    """A check; `node` as first spelled, `instance` the one it belongs to."""
    kind, interval, timeout = _asked(check)
    return json.Check(
        node=node, check_id=check.id, name=check.name, status=_WORDS[check.status], notes=check.notes, output=check.output,
        service_id=check.instance, service_name=instance.service if instance is not None else "",
        service_tags=instance.tags if instance is not None else (), type=kind, interval=interval, timeout=timeout,
        definition=_definition(check), create_index=check.created, modify_index=check.modified,
    )  # fmt: skip


def in_state(check: Check, state: str) -> bool:
    """Whether that is what Consul calls its status."""
    return _WORDS[check.status] == state


def _definition(check: Check) -> Raw:
    """Consul shows that of a check of the catalog, and of no other."""
    shown = check.definition.shown if isinstance(check.definition, ManualCheck) else ""
    return Raw(shown.encode()) if shown else json.NO_DEFINITION


def _asked(check: Check) -> tuple[str, str, str]:
    """Type, interval and timeout in Consul's words."""
    definition = check.definition
    if isinstance(definition, ManualCheck):
        return definition.kind, "", ""
    kind = str(definition.__struct_config__.tag)  # our words for kinds are Consul's
    if isinstance(definition, ProbeDefinition):
        return kind, format_duration(definition.interval), format_duration(definition.timeout)
    return (kind, "", "") if isinstance(definition, MaintenanceCheck) else (kind, _NONE, _NONE)


def phase_check(instance: Instance, node: str) -> json.Check:
    """The check that stands for a phase without traffic."""
    phase = instance.phase.value
    return json.Check(
        node=node, check_id=f"{RESERVED}{phase}:{instance.id}", name=f"Service is {phase}", status="critical",
        notes=f"The instance is {phase}: it takes no new traffic.", output="", service_id=instance.id, service_name=instance.service,
        service_tags=instance.tags, type="maintenance", interval="", timeout="",
        create_index=instance.modified, modify_index=instance.modified,
    )  # fmt: skip


def aggregated(checks: Iterable[json.Check]) -> str:
    """What checks make together in the agent's words, where maintenance goes over everything."""
    worst = "passing"
    for check in checks:
        if check.type == "maintenance":
            return "maintenance"
        if check.status == "critical" or worst == "critical":
            worst = "critical"
        elif check.status == "warning":
            worst = "warning"
    return worst


# -- selections


def keeps_tags(wanted: Sequence[str]) -> Callable[[Instance], bool]:
    """Whether an instance has all of these tags, in any case."""
    lowered = frozenset(tag.lower() for tag in wanted)
    if not lowered:
        return lambda _instance: True
    return lambda instance: lowered <= {tag.lower() for tag in instance.tags}


def keeps(tags: Sequence[str], meta: Sequence[tuple[str, str]]) -> Callable[[Found], bool] | None:
    """Whether an instance has all of these tags, and its node all of these pairs; None when nothing is wanted."""
    if not tags and not meta:
        return None
    keep, keep_node = keeps_tags(tags), keeps_meta(meta)
    return lambda found: keep(found.instance) and keep_node(found.node)


def keeps_meta(wanted: Sequence[tuple[str, str]]) -> Callable[[Node], bool]:
    """Whether a node has all of these pairs."""
    return lambda node: all(node.meta.get(key) == value for key, value in wanted)
