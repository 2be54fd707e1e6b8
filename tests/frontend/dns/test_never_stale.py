"""Whatever happens to the catalog, in whatever order: a kept answer says what one made anew would say, to every kind of question."""

import asyncio
from collections.abc import Callable
from typing import Any

import dns.message
import dns.name
import dns.rdatatype
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.core.catalog import commands as cmd
from callboard.model.check import Status
from callboard.model.instance import Phase, Weights
from callboard.model.service import NamedPort
from tests.frontend.dns.world import World, a_world, registration

Step = Callable[[World], None]
INSTANCES = ("a", "b")
NODES = ("n1", "n2")
QUESTIONS = [
    *((name, kind) for name in ("web.service.consul", "aliased.service.consul") for kind in ("A", "AAAA", "SRV", "ANY", "CNAME", "TXT")),
    *((name, kind) for name in ("v1.web.service.consul", "_web._tcp.consul", "_web._v1.consul") for kind in ("A", "SRV")),
    *((name, kind) for name in ("Web.Service.Consul", "http.port.web.service.consul") for kind in ("A", "SRV")),
    ("web.service.http.port.consul", "SRV"),
    *((name, kind) for name in ("web.connect.consul", "api.connect.consul") for kind in ("A", "SRV")),
    *((name, kind) for name in ("n1.node.consul", "n2.node.consul") for kind in ("A", "AAAA", "TXT", "ANY", "CNAME")),
    *((f"{last}.0.0.10.in-addr.arpa", kind) for last in (1, 2, 7) for kind in ("PTR", "ANY", "A")),
    (dns.name.from_text("5" + ".0" * 23 + ".8.b.d.0.1.0.0.2.ip6.arpa").to_text(), "PTR"),
    ("web.service.other", "SRV"), ("consul", "NS"), ("ns.consul", "A"),
]  # fmt: skip
ADDRESSES = ("", "10.0.0.7", "10.0.0.1", "2001:db8::5", "host.example.com", "web.service.consul", "n2.node.consul")


@st.composite
def _register(draw: st.DrawFn) -> Step:
    flag, node, number = draw(st.booleans()), draw(st.sampled_from(NODES)), draw(st.integers(1, 2))
    spec: dict[str, Any] = {
        "node": draw(st.sampled_from([node, node.upper()])), "node_address": draw(st.sampled_from(["10.0.0.1", "10.0.0.2", "2001:db8::5"])),
        "address": draw(st.sampled_from(ADDRESSES)), "tags": ["V1"] if flag else [], "weights": Weights(passing=number),
        "connect_native": draw(st.booleans()),
    }  # fmt: skip
    if draw(st.booleans()):
        spec["ports"] = [NamedPort("HTTP" if flag else "admin", 8000 + number, default=True)]
    elif flag:
        spec |= {
            "kind": "connect-proxy",
            "destination": draw(st.sampled_from(["web", "Api"])),
            "connect_native": False,
            "port": 80 + number,
        }
    command = registration(draw(st.sampled_from(["web", "Web", "aliased"])), draw(st.sampled_from(INSTANCES)), **spec)
    return lambda world: world.do(command)


@st.composite
def _other(draw: st.DrawFn) -> Step:
    node, name, on = draw(st.sampled_from(NODES)), draw(st.sampled_from(INSTANCES)), draw(st.booleans())
    target = cmd.Target(node, name)
    address, note = draw(st.sampled_from(["10.0.0.1", "10.0.0.2", "host.example.com"])), draw(st.sampled_from("xyz"))
    steps: list[Step] = [
        lambda world: attempt(world, cmd.ReportCheck(target=cmd.Target(node, f"check:{name}"), status=status_of(note), output="")),
        lambda world: attempt(world, cmd.ReportCheck(target=cmd.Target(node, "alive"), status=status_of(note), output="")),
        lambda world: attempt(world, cmd.DeregisterInstance(target)),
        lambda world: attempt(world, cmd.DeregisterCheck(cmd.Target(node, f"check:{name}"))),
        lambda world: attempt(world, cmd.DeregisterNode(node)),
        lambda world: attempt(world, cmd.SetPhase(target, Phase.DRAINING if on else Phase.SERVING)),
        lambda world: world.node(node, address, note=note),
        lambda world: world.maintenance(None, enable=on, node=node, address=address),
    ]
    return draw(st.sampled_from(steps))


def status_of(note: str) -> Status:
    return {"x": Status.PASSING, "y": Status.WARNING, "z": Status.CRITICAL}[note]


def attempt(world: World, command: cmd.Command) -> None:
    """What is not there is refused, which is as good as anything else."""
    world.run(submitted(world, command))


async def submitted(world: World, command: cmd.Command) -> None:
    done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    world.registry.submit(command).then(done.set_result)
    await done


def said(response: dns.message.Message) -> tuple[object, ...]:
    """An answer without its order, and without the serial number of the catalog, which is older in a kept denial."""
    sections = [
        sorted(
            f"{rrset.name} {rrset.ttl} {dns.rdatatype.to_text(rrset.rdtype)} {'' if rrset.rdtype == dns.rdatatype.SOA else rdata}"
            for rrset in part for rdata in rrset
        )
        for part in (response.answer, response.authority, response.additional)
    ]  # fmt: skip
    return response.rcode(), int(response.flags), *sections


@settings(max_examples=12)
@given(st.lists(st.one_of(_register(), _register(), _other()), min_size=1, max_size=10), st.data())
def test_a_kept_answer_says_what_a_new_one_says(steps: list[Step], data: st.DataObject) -> None:
    rules = {"additional_meta_txt": True, "alternative_domain": "other", "service_ttls": {"web": 5}}
    with a_world() as world:
        kept = world.asked(**rules)
        for step in steps:
            step(world)
            for name, kind in data.draw(st.lists(st.sampled_from(QUESTIONS), max_size=12)) if step is not steps[-1] else QUESTIONS:
                told = said(kept.ask(name, kind, tcp=True))
                assert any(told == said(world.asked(**rules).ask(name, kind, tcp=True)) for _ in range(60)), (name, kind)
                kept.ask(name, kind)
                kept.ask(name, kind)
