"""Whatever is asked of whatever is there: the answer can be read, is about the question, and fits; kept answers say what new ones say."""

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.model.instance import Weights
from callboard.model.service import NamedPort
from tests.frontend.dns.world import World, a_world, registration

LONG = "l" * 63
HOST = ".".join(["h" * 60] * 4)
NAMES = st.sampled_from(
    [
        "web.service.consul", "_web._tcp.consul", "v1.web.service.dc1.consul", f"{LONG}.service.consul", "aliased.service.consul",
        "circle.service.consul", "n1.node.consul", "named.node.consul", f"{LONG}.node.consul", "consul", "ns.consul", "web.connect.consul",
        "http.port.web.service.consul", "0a000001.addr.dc1.consul", "1.0.0.10.in-addr.arpa", "7.0.0.10.in-addr.arpa",
        "9.9.9.9.in-addr.arpa", "service.consul", "none.service.consul", "example.com", ".",
    ]
)  # fmt: skip
KINDS = st.sampled_from(["A", "AAAA", "ANY", "CNAME", "MX", "NAPTR", "NS", "PTR", "SOA", "SRV", "TXT", "HTTPS", "DNSKEY"])
ADDRESSES = st.sampled_from(["", "10.0.0.7", "2001:db8::5", "host.example.com", "web.service.consul", "circle.service.consul", HOST])
QUESTION = st.tuples(NAMES, KINDS, st.sampled_from([0, 512, 1232, 8192]), st.booleans())
INSTANCE = st.tuples(st.sampled_from(["web", LONG, "aliased", "circle"]), ADDRESSES, st.integers(0, 9), st.booleans())


def filled(world: World, instances: list[tuple[str, str, int, bool]]) -> None:
    world.do(*(
        registration(
            service, f"i{number}", address=address, tags=["v1"] if flag else [], weights=Weights(passing=weight + 1),
            ports=[NamedPort("http", 8000 + number, default=True)] if flag else [], connect_native=flag,
        )
        for number, (service, address, weight, flag) in enumerate(instances)
    ))  # fmt: skip
    world.node("n1", "10.0.0.1", note="x" * 300, other="y" * 500)
    world.node("named", "host.example.com")
    world.node(LONG, "2001:db8::9")


@settings(max_examples=60)
@given(st.lists(INSTANCE, max_size=8), st.lists(QUESTION, min_size=1, max_size=12))
def test_every_answer_can_be_read_and_fits(
    instances: list[tuple[str, str, int, bool]], questions: list[tuple[str, str, int, bool]]
) -> None:
    with a_world() as world:
        filled(world, instances)
        asked = world.asked(additional_meta_txt=True, srv_weight_scale=256)
        for name, kind, payload, tcp in questions:
            told = [asked.ask(name, kind, payload=payload, tcp=tcp) for _ in range(3)]  # new, by name, by bytes
            whole = [response for response in told if not response.flags & dns.flags.TC]
            assert len({(response.rcode(), summary(response)) for response in whole}) <= max(1, len(instances))
            assert whole == told or not tcp, "what is cut off is asked for over TCP, which cuts nothing off"
            for response in told:
                assert_sound(response)


def summary(response: dns.message.Message) -> frozenset[str]:
    return frozenset(str(rdata) for rrset in response.answer for rdata in rrset)


def assert_sound(response: dns.message.Message) -> None:
    """Answers are about the question, or about what its CNAME leads to; a name with a CNAME has but one, and nothing else of ours."""
    (question,) = response.question
    names = {question.name}
    for rrset in response.answer:
        assert rrset.name in names
        if rrset.rdtype == dns.rdatatype.CNAME:
            assert len(rrset) == 1
            names.add(rrset[0].target)
        elif question.rdtype != dns.rdatatype.ANY:
            assert rrset.rdtype == question.rdtype
    if not response.answer and response.rcode() in {0, 3} and not response.flags & dns.flags.TC:
        assert [rrset.rdtype for rrset in response.authority] == [dns.rdatatype.SOA] or "arpa" in str(question.name)
    assert not response.flags & dns.flags.RA


@pytest.mark.parametrize("labels", [[LONG, LONG, LONG, "x" * 45], ["a"] * 119])
def test_names_at_their_limit_are_answered(world: World, labels: list[str]) -> None:
    name = dns.name.Name([*(label.encode() for label in labels), b"service", b"consul", b""])
    assert len(name.to_wire() or b"") in range(240, 256)
    assert world.asked().ask(str(name)).rcode() == 3
