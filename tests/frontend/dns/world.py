"""A catalog to ask, and dnspython to ask it with."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypedDict, TypeVar, Unpack

import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import msgspec

from callboard.core.catalog import commands as cmd
from callboard.frontend.dns.cache import Cache
from callboard.frontend.dns.plugin import zones_of
from callboard.frontend.dns.settings import DnsSettings, DnsStats
from callboard.model.check import CheckSpec, Status, TtlCheck
from callboard.model.instance import DEFAULT_WEIGHTS, InstanceSpec, NodeSpec, Phase, Weights
from callboard.model.rows import Outcome
from callboard.model.service import NamedPort
from callboard.model.time import HOUR
from callboard.registry.registry import Registry
from callboard.registry.settings import RegistrySettings
from callboard.store.memory.engine import MemoryEngine
from callboard.store.memory.store import MemoryStore
from callboard.testing.clock import SeededEntropy, VirtualClock

T = TypeVar("T")
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


class World:
    """A registry with its loop, driven from outside: each command is durable when its method returns."""

    def __init__(self, runner: asyncio.Runner, registry: Registry) -> None:
        self._runner = runner
        self.registry = registry

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def do(self, *commands: cmd.Command) -> None:
        async def doing() -> None:
            loop = asyncio.get_running_loop()
            waiting: list[asyncio.Future[Outcome]] = [loop.create_future() for _ in commands]
            for command, future in zip(commands, waiting, strict=True):
                self.registry.submit(command).then(future.set_result)
            for outcome in await asyncio.gather(*waiting):
                assert outcome.refusal is None, outcome.refusal

        self.run(doing())

    def register(self, service: str, instance: str = "", **spec: Unpack["Spec"]) -> None:
        self.do(registration(service, instance, **spec))

    def report(self, instance: str, status: Status, node: str = "n1") -> None:
        self.do(cmd.ReportCheck(target=cmd.Target(node, f"check:{instance}"), status=status, output=""))

    def deregister(self, instance: str, node: str = "n1") -> None:
        self.do(cmd.DeregisterInstance(cmd.Target(node, instance)))

    def phase(self, instance: str, phase: Phase, node: str = "n1") -> None:
        self.do(cmd.SetPhase(cmd.Target(node, instance), phase))

    def node(self, name: str, address: str, **meta: str) -> None:
        """A node with notes, and a check so that it stays."""
        check = CheckSpec(id="alive", definition=TtlCheck(ttl=HOUR), status=Status.PASSING)
        host = NodeSpec(name=name, address=address, meta={key.replace("rfc1035_", "rfc1035-"): value for key, value in meta.items()})
        self.do(cmd.Register(nonce=self.registry.entropy.nonce(), node=host, checks=(cmd.Attached("", check),)))

    def maintenance(self, instance: str | None, *, enable: bool, node: str = "n1", address: str = "10.0.0.1") -> None:
        target = cmd.Target(node, instance) if instance is not None else None
        self.do(
            cmd.SetMaintenance(
                nonce=self.registry.entropy.nonce(), node=NodeSpec(name=node, address=address), enable=enable, instance=target
            )
        )

    def asked(self, **settings: object) -> "Asked":
        """A cache over the catalog that hears of its changes."""
        return Asked(self.registry, **settings)


class Spec(TypedDict, total=False):
    node: str
    node_address: str
    address: str
    port: int
    tags: Sequence[str]
    weights: Weights
    phase: Phase
    status: Status
    ports: Sequence[NamedPort]
    kind: str
    destination: str
    connect_native: bool


def registration(service: str, instance: str = "", **spec: Unpack[Spec]) -> cmd.Register:
    """An instance with a TTL check on a node at 10.0.0.1."""
    name = instance or service
    node = spec.get("node", "n1")
    check = CheckSpec(id=f"check:{name}", definition=TtlCheck(ttl=HOUR), status=spec.get("status", Status.PASSING))
    about = InstanceSpec(
        service=service,
        id=name,
        address=spec.get("address", ""),
        port=spec.get("port", 0 if "ports" in spec else 80),
        tags=tuple(spec.get("tags", ())),
        weights=spec.get("weights", DEFAULT_WEIGHTS),
        phase=spec.get("phase", Phase.SERVING),
        ports=tuple(spec.get("ports", ())),
        kind=spec.get("kind", ""),
        destination=spec.get("destination", ""),
        connect_native=spec.get("connect_native", False),
    )
    host = NodeSpec(name=node, address=spec.get("node_address", "10.0.0.1"))
    return cmd.Register(nonce=f"{node}/{name}", node=host, instance=about, checks=(cmd.Attached(name, check),))


@contextmanager
def a_world(datacenter: str = "dc1", loop_factory: LoopFactory = asyncio.new_event_loop) -> Iterator[World]:
    with asyncio.Runner(loop_factory=loop_factory) as runner:

        async def opened() -> Registry:
            settings = RegistrySettings(member="m1", node="server", address="10.9.9.9", datacenter=datacenter)
            registry = Registry(MemoryStore(MemoryEngine()), settings, VirtualClock(), SeededEntropy(1))
            await registry.open()
            return registry

        registry = runner.run(opened())
        try:
            yield World(runner, registry)
        finally:
            runner.run(registry.close())


class Asked:
    """A cache, and questions to it. Every answer is read by dnspython and must be a response to its query."""

    def __init__(self, registry: Registry, **settings: object) -> None:
        self.settings = msgspec.convert(settings, DnsSettings)
        self.stats = DnsStats()
        self.cache = Cache(
            registry, zones_of(self.settings, registry.settings.datacenter), self.settings, registry.entropy.chance, self.stats
        )
        registry.subscribe(self.cache.changed)

    def ask(self, name: str, kind: str = "A", *, host: str = "192.0.2.7", payload: int = 0, tcp: bool = False) -> dns.message.Message:
        query = dns.message.make_query(name, kind, use_edns=0 if payload else -1, payload=payload)
        return self.send(query, host=host, tcp=tcp)

    def send(self, query: dns.message.QueryMessage, *, host: str = "192.0.2.7", tcp: bool = False) -> dns.message.Message:
        wire = query.to_wire()
        raw = self.cache.over_tcp(wire) if tcp else self.cache.over_udp(wire, host)
        assert isinstance(raw, bytes)
        response = dns.message.from_wire(raw)
        assert query.is_response(response)
        assert response.question == query.question
        assert [str(question.name) for question in response.question] == [str(question.name) for question in query.question]
        if not tcp:
            limit = max(512, query.payload) if query.edns >= 0 else 512
            assert len(raw) <= limit
        return response


def section(rrsets: Sequence[dns.rrset.RRset]) -> list[str]:
    """Records as text, each by itself, in their order on the wire as far as dnspython keeps it."""
    return [f"{rrset.name} {rrset.ttl} {dns.rdatatype.to_text(rrset.rdtype)} {rdata}" for rrset in rrsets for rdata in rrset]


def data(response: dns.message.Message) -> list[str]:
    """The answers without their owners."""
    return [str(rdata) for rrset in response.answer for rdata in rrset]


def outline(response: dns.message.Message) -> tuple[str, int, list[str]]:
    """Response code, how many answers, and the types in the authority section."""
    return dns.rcode.to_text(response.rcode()), len(data(response)), [dns.rdatatype.to_text(rrset.rdtype) for rrset in response.authority]
