"""Random histories for property tests: commands over a small world, so that everything collides with everything.

A `Maker` turns into a command when it is run: what it needs to know of the catalog by then (the nonce of a check, when it turned) it asks
the oracle. Most parts are drawn from ready-made lists: one draw each keeps long histories cheap.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

from hypothesis import strategies as st

from callboard.core.catalog import commands as cmd
from callboard.model.check import AliasCheck, CheckSpec, Definition, HttpCheck, ManualCheck, Status, TcpCheck, TtlCheck
from callboard.model.instance import InstanceSpec, NodeSpec, Phase
from callboard.model.names import PUBLIC
from callboard.model.service import NamedPort
from callboard.model.time import SECOND, Duration, Timestamp
from callboard.testing.oracle import Oracle

NAMESPACES = (PUBLIC, "blue")
NODES = ("n1", "N1", "n2", "home")
SERVICES = ("web", "Web", "db")
INSTANCES = ("a", "b")
CHECKS = ("c1", "c2", "_service_maintenance:a")
STATUSES = (Status.PASSING, Status.WARNING, Status.CRITICAL)
OUTPUTS = ("", "fine", "so so")
DEFINITIONS: tuple[Definition, ...] = (
    TtlCheck(Duration(SECOND)),
    TtlCheck(Duration(2 * SECOND), deregister_after=Duration(3 * SECOND)),
    HttpCheck("http://127.0.0.1/", Duration(SECOND), deregister_after=Duration(2 * SECOND)),
    TcpCheck("127.0.0.1", 80, Duration(SECOND)),
    ManualCheck("manual"),
)
ALIASES: tuple[Definition, ...] = (
    AliasCheck("", "a", deregister_after=Duration(2 * SECOND)),
    AliasCheck("N1", "b", deregister_after=Duration(SECOND)),
    AliasCheck("n2"),
)
NODE_SPECS = [
    NodeSpec(name=name, address=address, implicit=implicit, id=node_id, meta=meta)
    for implicit, name, address, (node_id, meta) in product(
        (True, False), NODES, ("10.0.0.1", "10.0.0.2"), (("", {}), ("id", {"rack": "1"}))
    )
]
CHECK_SPECS = [
    CheckSpec(id=name, definition=definition, name=words, status=status, output=output)
    for words, output, name, definition, status in product(("", "name"), OUTPUTS, CHECKS, DEFINITIONS, STATUSES)
]
ALIAS_SPECS = [
    CheckSpec(id=name, definition=definition, name=words, status=status)
    for words, name, definition, status in product(("", "name"), CHECKS, ALIASES, STATUSES)
]
INSTANCE_SPECS = [
    InstanceSpec(service=service, id=name, namespace=namespace, tags=tags, phase=phase)
    for tags, phase, service, name, namespace in product(
        ((), ("t1",), ("t1", "t2")), (None, Phase.SERVING, Phase.DRAINING), SERVICES, INSTANCES, NAMESPACES
    )
]
SIDECAR = "a-sidecar-proxy"
MESH_SPECS = [
    InstanceSpec(service="web", id="a", tags=("t1",), enable_tag_override=True),
    InstanceSpec(service="web", id="a", tags=("t2",), enable_tag_override=True),
    InstanceSpec(service="web", id="a", tags=("t2",), phase=Phase.DRAINING),
    InstanceSpec(service="web", id="a", port=80, connect_native=True),
    InstanceSpec(service="db", id="a", port=80, connect_native=True),
    InstanceSpec(service="Web", id="b", port=81, kind="connect-proxy", destination="web", proxy='{"Mode":""}'),
    InstanceSpec(service="web", id="b", port=82, kind="connect-proxy", destination="DB"),
    InstanceSpec(service="db", id="b", port=82, kind="connect-proxy", destination="db"),
    InstanceSpec(service="web", id=SIDECAR, port=21_000),
    InstanceSpec(service="web", id="b", ports=(NamedPort("http", 21_000, default=True), NamedPort("admin", 9))),
]
SIDECARS = [
    None,
    None,
    cmd.Sidecar(instance=InstanceSpec(service="web", id=SIDECAR, kind="connect-proxy", destination="web"), listens_at="10.0.0.7"),
    cmd.Sidecar(
        instance=InstanceSpec(service="db", id=SIDECAR, kind="connect-proxy", destination="web", port=9),
        listens_at="10.0.0.7", checks=(CheckSpec(id="c2", definition=TtlCheck(Duration(SECOND))),),
    ),
]  # fmt: skip
"""What an instance `a` of the public namespace may bring along."""
TARGETS = [
    cmd.Target(node, name, namespace, anywhere=anywhere)
    for anywhere, node, name, namespace in product((False, True), NODES, INSTANCES, NAMESPACES)
]
CHECK_TARGETS = [
    cmd.Target(node, name, namespace, anywhere=anywhere)
    for anywhere, node, name, namespace in product((False, True), NODES, CHECKS, NAMESPACES)
]


@dataclass(frozen=True)
class Maker:
    """A command to be. `number` makes its randomness its own."""

    what: str
    make: Callable[[Oracle, str], cmd.Command]

    def __call__(self, oracle: Oracle, number: int) -> cmd.Command:
        """The command on the state that the oracle is in."""
        return self.make(oracle, f"r{number}")

    def __repr__(self) -> str:
        return self.what


def fixed(command: cmd.Command) -> Maker:
    """A command that needs to know nothing."""
    return Maker(repr(command), lambda _oracle, _nonce: command)


nodes = st.sampled_from(NODES)
statuses = st.sampled_from(STATUSES)
outputs = st.sampled_from(OUTPUTS)
targets = st.sampled_from(TARGETS)
node_specs = st.sampled_from(NODE_SPECS)
check_specs = st.sampled_from(CHECK_SPECS)
_FLAGS: list[dict[str, Any]] = [
    {"set_status": s, "replace_checks": r, "update_node": u} for s, r, u in product((False, True), (False, True), (True, False))
]


@st.composite
def _register(draw: st.DrawFn, specs: st.SearchStrategy[CheckSpec]) -> Maker:
    attached = st.builds(cmd.Attached, st.sampled_from(("a", "b", "")), specs)
    node, spec, flags = draw(node_specs), draw(st.sampled_from([*INSTANCE_SPECS, None])), draw(st.sampled_from(_FLAGS))
    checks = tuple(draw(st.lists(attached, max_size=2)))
    namespace = spec.namespace if spec is not None else PUBLIC

    def make(_oracle: Oracle, nonce: str) -> cmd.Command:
        return cmd.Register(nonce=nonce, node=node, instance=spec, checks=checks, namespace=namespace, **flags)

    return Maker(f"Register({node}, {spec}, {checks}, {flags})", make)


@st.composite
def _register_mesh(draw: st.DrawFn) -> Maker:
    """What speaks for a service, sidecars, and registrations through the catalog."""
    node, spec, of_catalog = draw(node_specs), draw(st.sampled_from(MESH_SPECS)), draw(st.booleans())
    sidecar = draw(st.sampled_from(SIDECARS)) if spec.id == "a" else None
    checks = tuple(cmd.Attached(spec.id, check) for check in draw(st.lists(st.sampled_from(CHECK_SPECS), max_size=1)))

    def make(_oracle: Oracle, nonce: str) -> cmd.Command:
        return cmd.Register(nonce=nonce, node=node, instance=spec, checks=checks, of_catalog=of_catalog, sidecar=sidecar)

    return Maker(f"Register({node}, {spec}, {checks}, {of_catalog=}, {sidecar=})", make)


@st.composite
def _register_check(draw: st.DrawFn, specs: st.SearchStrategy[CheckSpec]) -> Maker:
    node, check, target = draw(node_specs), draw(specs), draw(st.sampled_from([*TARGETS, None]))
    return Maker(
        f"RegisterCheck({node}, {check}, {target})",
        lambda _, nonce: cmd.RegisterCheck(nonce=nonce, node=node, check=check, instance=target),
    )


@st.composite
def _maintenance(draw: st.DrawFn) -> Maker:
    node, enable, target, reason = draw(node_specs), draw(st.booleans()), draw(st.sampled_from([*TARGETS, None])), draw(outputs)
    return Maker(
        f"SetMaintenance({node}, {enable}, {target}, {reason!r})",
        lambda _, nonce: cmd.SetMaintenance(nonce=nonce, node=node, enable=enable, instance=target, reason=reason),
    )


@st.composite
def _of_incarnation(draw: st.DrawFn) -> Maker:
    """What the registry itself submits: about an incarnation of a check that is there, or, now and then, no longer."""
    kind, number, status, output = (
        draw(st.sampled_from(["expire", "reap", "probed"])),
        draw(st.integers(0, 9)),
        draw(statuses),
        draw(outputs),
    )
    stale = draw(st.sampled_from(["", "", "", "", "check", "nonce", "turned"]))

    def make(oracle: Oracle, _nonce: str) -> cmd.Command:
        there = sorted(oracle.checks.items())
        if not there or stale == "check":
            target, nonce, turned = cmd.Target("n1", "gone"), "nonce", Timestamp(0)
        else:
            (namespace, node, name), check = there[number % len(there)]
            target, nonce, turned = cmd.Target(node, name, namespace), check.nonce, check.turned
        nonce = "stale" if stale == "nonce" else nonce
        if kind == "expire":
            return cmd.ExpireTtl(target, nonce)
        if kind == "reap":
            return cmd.Reap(target, nonce, Timestamp(turned - 1) if stale == "turned" else turned)
        return cmd.ReportCheck(target=target, status=status, output=output, nonce=nonce)

    return Maker(f"{kind}({number}, {stale=}, {status}, {output!r})", make)


_PLAIN = [
    *(fixed(cmd.DeregisterInstance(target)) for target in TARGETS),
    *(fixed(cmd.DeregisterCheck(target)) for target in CHECK_TARGETS),
    *(fixed(cmd.DeregisterNode(node)) for node in NODES),
    *(fixed(cmd.SetPhase(target, phase)) for target, phase in product(TARGETS, Phase)),
]
_REPORTS = [
    fixed(cmd.ReportCheck(target=target, status=status, output=output))
    for target, status, output in product(CHECK_TARGETS, STATUSES, (None, "fine"))
]
_SIDECARS = [
    maker
    for node in NODES
    for maker in (fixed(cmd.DeregisterInstance(cmd.Target(node, SIDECAR))), fixed(cmd.SetPhase(cmd.Target(node, "a"), Phase.DRAINING)))
]
_SWEEPS = [fixed(cmd.SweepFloors(keep)) for keep in range(5)]


def _makers(specs: st.SearchStrategy[CheckSpec]) -> st.SearchStrategy[Maker]:
    """Everything that may happen, with checks like these."""
    return st.one_of(
        _register(specs), _register(specs), _register(specs), _register_check(specs), _maintenance(), _of_incarnation(),
        st.sampled_from(_PLAIN), st.sampled_from(_REPORTS), st.sampled_from(_SWEEPS),
    )  # fmt: skip


makers = _makers(check_specs)
alias_makers = _makers(check_specs | st.sampled_from(ALIAS_SPECS))
mesh_makers = st.one_of(_register_mesh(), _register_mesh(), st.sampled_from(_SIDECARS), alias_makers)


def lists_of(count: int, makers: st.SearchStrategy[Maker] = makers) -> st.SearchStrategy[list[Maker]]:
    """Histories of up to `count` commands. (A plain list strategy would seldom go beyond ten.)"""
    return st.integers(0, count).flatmap(lambda length: st.lists(makers, min_size=length, max_size=length))


histories: st.SearchStrategy[list[Maker]] = lists_of(40)
alias_histories: st.SearchStrategy[list[Maker]] = lists_of(25, alias_makers)
"""Where checks are aliases as well."""
mesh_histories: st.SearchStrategy[list[Maker]] = lists_of(25, mesh_makers)
"""Where instances speak for services, have sidecars, and are registered through the catalog as well."""
