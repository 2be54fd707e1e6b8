import socket

import dns.message
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.wire.dns_names import encode_name
from callboard.wire.dns_records import (
    Authority,
    Type,
    address_record,
    attribute_text,
    opt_record,
    packed_address,
    record,
    soa_record,
    srv_record,
    txt_record,
)

HEAD = bytes.fromhex("0000840000010001 00000000".replace(" ", ""))
QUESTION = encode_name("web.service.consul") + b"\0\1\0\1"
HERE = b"\xc0\x0c"


def read(wire: bytes) -> str:
    """The one record as dnspython understands it."""
    (answer,) = dns.message.from_wire(HEAD + QUESTION + wire).answer
    assert str(answer.name) == "web.service.consul."
    return f"{answer.ttl} {dns.rdatatype.to_text(answer.rdtype)} {answer[0]}"


def test_addresses() -> None:
    assert read(address_record(HERE, 7, bytes([192, 168, 0, 1]))) == "7 A 192.168.0.1"
    assert read(address_record(HERE, 7, socket.inet_pton(socket.AF_INET6, "2001:db8::5"))) == "7 AAAA 2001:db8::5"


def test_srv() -> None:
    wire = srv_record(HERE, 2, priority=1, weight=65535, port=8080, target=encode_name("n1.node.dc1.consul"))
    assert read(wire) == "2 SRV 1 65535 8080 n1.node.dc1.consul."


def test_soa_and_ns_with_compressed_names() -> None:
    wire = soa_record(HERE, b"\2ns\xc0\x18", b"\x0ahostmaster\xc0\x18", 1, Authority(2**32 - 1, 3600, 600, 86400, 1))
    assert read(wire) == "1 SOA ns.consul. hostmaster.consul. 4294967295 3600 600 86400 1"
    assert read(record(HERE, Type.NS, 10, b"\2ns\xc0\x18")) == "10 NS ns.consul."


@given(st.binary(max_size=2000))
def test_txt(text: bytes) -> None:
    (answer,) = dns.message.from_wire(HEAD + QUESTION + txt_record(HERE, 7, text)).answer
    assert b"".join(answer[0].strings) == text
    assert (len(answer[0].strings), answer.ttl) == (max(1, -(-len(text) // 255)), 7)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("rack", "7", "rack=7"),
        ("a", "b=`c`", "a=b=``c``"),
        ("RFC1035-x", "v=`y", "v=`y"),
        ("rfc1035-", "", ""),
        ("city", "Köln", "city=Köln"),
    ],
)
def test_notes_become_texts(key: str, value: str, text: str) -> None:
    assert attribute_text(key, value) == text.encode()


@pytest.mark.parametrize(("dnssec_ok", "rcode"), [(True, 0), (False, 16), (True, 4095)])
def test_opt(dnssec_ok: bool, rcode: int) -> None:
    head = bytes([0, 0, 0x80, rcode & 15, 0, 0, 0, 0, 0, 0, 0, 1])
    message = dns.message.from_wire(head + opt_record(1232, dnssec_ok=dnssec_ok, rcode=rcode))
    assert (message.payload, message.edns, message.rcode()) == (1232, 0, rcode)
    assert bool(message.ednsflags & 0x8000) is dnssec_ok


@given(st.ip_addresses())
def test_every_address_is_packed(address: object) -> None:
    family = socket.AF_INET6 if ":" in str(address) else socket.AF_INET
    assert packed_address(str(address)) == socket.inet_pton(family, str(address))


@pytest.mark.parametrize(
    "text",
    ["", "host", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.-4", "1.2.3.٣", "1.2.3.4 ", "::g", "[::1]", "1.2.3.1e1", "1..2.3"],
)
def test_what_is_no_address_is_a_host_name(text: str) -> None:
    assert packed_address(text) is None


def test_the_zone_of_an_address_is_left_out() -> None:
    assert packed_address("fe80::1%eth0") == socket.inet_pton(socket.AF_INET6, "fe80::1")
