import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rdatatype
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.model.errors import InvalidError
from callboard.wire.dns import Edns, Query, Rcode, glance, is_answerable, parse_query, refusal

COOKIE = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678")
COOKIE_WIRE = b"\0\x0a\0\x08" + b"12345678"
LABELS = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5)


@st.composite
def queries(draw: st.DrawFn) -> dns.message.QueryMessage:
    name = dns.name.Name([*draw(LABELS), b""])
    edns = draw(st.sampled_from([-1, 0, 1]))
    kind = dns.rdatatype.RdataType.make(draw(st.integers(1, 65535).filter(lambda kind: kind != 41)))
    query = dns.message.make_query(name, kind, draw(st.sampled_from(["IN", "CH", "ANY"])))
    if edns >= 0:
        options: list[dns.edns.Option] = [COOKIE] if draw(st.booleans()) else []
        query.use_edns(edns, draw(st.sampled_from([0, 0x8000])), draw(st.integers(1, 65535)), options=options)
    query.flags = dns.flags.Flag(draw(st.sampled_from([0, 0x0100, 0x0120, 0x0110])))
    return query


def read(message: bytes) -> Query | None:
    """The query, or None for FORMERR; anything else raised fails the test."""
    try:
        return parse_query(message)
    except InvalidError:
        return None


@given(queries())
def test_queries_of_dnspython_are_read(query: dns.message.QueryMessage) -> None:
    wire = query.to_wire()
    (asked,) = query.question
    options = COOKIE_WIRE if query.options else b""
    edns = Edns(query.payload, query.edns, bool(query.ednsflags & 0x8000), options) if query.edns >= 0 else None
    name = asked.name.to_wire()
    assert name is not None
    end = 12 + len(name) + 4
    assert parse_query(wire) == Query(name.lower(), int(asked.rdtype), int(asked.rdclass), end, edns)


@given(queries())
def test_a_glance_sees_what_reading_sees(query: dns.message.QueryMessage) -> None:
    wire = query.to_wire()
    seen, parsed = glance(wire), parse_query(wire)
    if seen is not None and b"\0" not in parsed.name[:-1]:
        assert query.edns <= 0
        assert seen == (parsed.end, parsed.edns.payload_bytes if parsed.edns else 0, parsed.edns is not None and parsed.edns.dnssec_ok)
    elif b"\0" not in parsed.name[:-1]:
        assert query.edns > 0


@given(queries())
def test_every_part_of_a_query_is_read_or_refused(query: dns.message.QueryMessage) -> None:
    wire = query.to_wire()
    for cut in range(len(wire)):
        assert read(wire[:cut]) is None
        glance(wire[:cut])


@settings(max_examples=1000)
@given(queries(), st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), min_size=1, max_size=6), st.binary(max_size=20))
def test_spoiled_queries_are_read_or_refused(query: dns.message.QueryMessage, spots: list[tuple[int, int]], tail: bytes) -> None:
    wire = bytearray(query.to_wire() + tail)
    for place, value in spots:
        wire[place % len(wire)] = value
    read(bytes(wire))
    glance(bytes(wire))


@settings(max_examples=1000)
@given(st.binary(max_size=600))
def test_any_bytes_are_read_or_refused(message: bytes) -> None:
    read(message)
    glance(message)
    read(b"\0\7\1\0\0\1\0\0\0\0\0\1" + message)
    glance(b"\0\7\1\0\0\1\0\0\0\0\0\1" + message)


QUERY = dns.message.make_query("web.service.consul", "SRV", use_edns=0, id=0x1234).to_wire()
OPT = QUERY[-11:]
SOA = b"\xc0\x0c\0\6\0\1\0\0\0\0\0\0"


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (b"", "at least 12"),
        (QUERY[:4] + b"\0\0" + QUERY[6:], "there are 0"),
        (QUERY[:4] + b"\0\2" + QUERY[6:], "there are 2"),
        (QUERY[:10] + b"\0\2" + QUERY[12:] + OPT, "one OPT"),
        (QUERY[:6] + b"\0\1\0\0\0\0" + QUERY[12:], "among the additional"),
        (QUERY + b"x", "1 bytes follow"),
        (QUERY[:-11] + b"\1a" + OPT, "root"),
        (QUERY[:12] + b"\xc0\x0c\0\1\0\1", "starts no label"),
        (
            QUERY[:12] + b"\x3f" + b"a" * 63 + b"\x3f" + b"a" * 63 + b"\x3f" + b"a" * 63 + b"\x3f" + b"a" * 63 + b"\0\0\1\0\1",
            "more than 255",
        ),
        (QUERY[:12] + b"\1a", "cut off"),
        (QUERY[:-1], "cut off"),
        (QUERY[:-1] + b"\1", "cut off"),
    ],
)
def test_what_is_no_query_is_refused_with_the_reason(message: bytes, problem: str) -> None:
    with pytest.raises(InvalidError, match=problem):
        parse_query(message)


def test_records_that_mean_nothing_to_us_are_passed_over() -> None:
    message = QUERY[:8] + b"\0\1\0\1" + QUERY[12:-11] + SOA + OPT  # the form of an IXFR
    assert parse_query(message).edns == Edns(1232, 0, dnssec_ok=False)
    assert glance(message) is None


def test_too_small_payloads_are_told_from_no_edns() -> None:
    message = QUERY[:-8] + b"\0\0" + QUERY[-6:]
    assert parse_query(message).edns == Edns(512, 0, dnssec_ok=False)
    assert glance(message) == (len(QUERY) - 11, 512, False)


@pytest.mark.parametrize("rcode", [Rcode.FORMERR, Rcode.NOTIMP])
def test_refusals_carry_id_opcode_and_rd(rcode: Rcode) -> None:
    query = dns.message.make_query("web.service.consul", "A")
    query.set_opcode(dns.opcode.NOTIFY)
    answer = dns.message.from_wire(refusal(query.to_wire(), rcode))
    assert (answer.id, answer.opcode(), answer.rcode()) == (query.id, dns.opcode.NOTIFY, int(rcode))
    assert answer.flags & (dns.flags.QR | dns.flags.RD | dns.flags.AA) == dns.flags.QR | dns.flags.RD


def test_responses_and_scraps_are_not_answered() -> None:
    response = dns.message.make_response(dns.message.from_wire(QUERY)).to_wire()
    assert [is_answerable(message) for message in (QUERY, response, QUERY[:11], b"")] == [True, False, False, False]
