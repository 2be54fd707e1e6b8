import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.model.errors import InvalidError
from callboard.wire.dns import HEADER_BYTES, parse_query
from callboard.wire.dns_names import encode_name
from callboard.wire.dns_records import opt_record
from callboard.wire.dns_responses import Asked, Chain, ask_message, chain_of, is_answer, is_cut, passed_on, rcode_of
from tests.net.upstreams import reply

NAME = "www.Example.com."
QUERY = dns.message.make_query(NAME, "A", use_edns=0, payload=1232, want_dnssec=True, id=0x4D4E)
WIRE = QUERY.to_wire()
END = parse_query(WIRE).end
OPT = opt_record(1232, dnssec_ok=True)
RECORDS = st.lists(
    st.sampled_from([f"{NAME} 60 A 192.0.2.{number}" for number in range(200)] + [f"{NAME} 60 TXT {'x' * 200}"]), max_size=60, unique=True
)


def test_a_question_is_passed_on_as_dnspython_reads_it() -> None:
    question = WIRE[HEADER_BYTES:END]
    plain = dns.message.from_wire(ask_message(Asked(question), 4711))
    assert (plain.id, plain.flags, plain.edns, plain.question) == (4711, dns.flags.RD, -1, QUERY.question)
    wished = dns.message.from_wire(ask_message(Asked(question, OPT, checking_disabled=True), 1))
    assert (wished.flags, wished.payload, wished.ednsflags) == (dns.flags.RD | dns.flags.CD, 1232, 0x8000)


@given(RECORDS, st.integers(512, 4096), st.booleans())
def test_what_is_passed_on_says_the_same_or_its_beginning_with_tc(records: list[str], room: int, edns: bool) -> None:
    response = reply(QUERY, *records)
    response.additional.append(dns.rrset.from_text("ns.example.com.", 60, "IN", "A", "192.0.2.250"))
    wire = response.to_wire(max_size=65_535)
    passed = passed_on(wire, WIRE[:2] + b"\1\0" + WIRE[4:], END, OPT if edns else b"", room)
    assert len(passed) <= room
    read = dns.message.from_wire(passed)
    assert (read.id, read.question, read.edns) == (0x4D4E, QUERY.question, 0 if edns else -1)
    assert read.flags & (dns.flags.RA | dns.flags.RD | dns.flags.QR) == dns.flags.RA | dns.flags.RD | dns.flags.QR
    whole = [str(rdata) for rrset in dns.message.from_wire(wire).answer for rdata in rrset]
    told = [str(rdata) for rrset in read.answer for rdata in rrset]
    assert set(told) <= set(whole)
    assert bool(read.flags & dns.flags.TC) is (len(told) < len(whole))


def test_the_clients_letters_and_the_whole_response_code_come_back() -> None:
    response = reply(QUERY, f"{NAME} 60 A 192.0.2.1")
    response.set_rcode(dns.rcode.BADCOOKIE)
    wire = response.to_wire()
    other = WIRE.replace(b"Example", b"eXaMPLe")
    read = dns.message.from_wire(passed_on(wire, other, END, OPT, 1232))
    assert (str(read.question[0].name), read.rcode()) == ("www.eXaMPLe.com.", dns.rcode.BADCOOKIE)


def test_only_what_was_asked_for_is_an_answer() -> None:
    question = WIRE[HEADER_BYTES:END]
    query = ask_message(Asked(question), 0x4D4E)
    good = reply(QUERY, f"{NAME} 60 A 192.0.2.1").to_wire()
    assert is_answer(good, query, question)
    assert is_answer(good.replace(b"Example", b"EXAMPLE"), query, question)
    for bad in (b"", good[:20], b"\0" + good[1:], query, good.replace(b"Example", b"Examply"), good[:4] + b"\0\0" + good[6:]):
        assert not is_answer(bad, query, question)
    assert (is_cut(good), rcode_of(good)) == (False, 0)


def test_a_chain_is_told_with_whole_names() -> None:
    response = reply(
        QUERY, f"{NAME} 60 CNAME a.example.com.", "a.example.com. 61 CNAME b.example.com.", "b.example.com. 62 A 192.0.2.1",
        "b.example.com. 62 TXT x",
    )  # fmt: skip
    wire = response.to_wire()
    chain = chain_of(wire, WIRE[HEADER_BYTES:END], 5)
    assert [len(chain.aliases), len(chain.addresses)] == [2, 1]
    head = WIRE[:2] + b"\x80\0\0\1\0\3\0\0\0\0"
    read = dns.message.from_wire(head + WIRE[HEADER_BYTES:END] + b"".join((*chain.aliases, *chain.addresses)))
    assert read.answer == response.answer[:3]
    assert chain_of(wire, WIRE[HEADER_BYTES:END], 2).addresses == ()


@settings(max_examples=1000)
@given(st.integers(0, 200), st.binary(min_size=1, max_size=8), st.integers(0, 200))
def test_spoiled_answers_are_passed_on_readable_or_refused(place: int, spoil: bytes, cut: int) -> None:
    good = reply(QUERY, f"{NAME} 60 CNAME a.example.com.", "a.example.com. 61 A 192.0.2.1").to_wire()
    place = END + place % (len(good) - END)
    bad = (good[:place] + spoil + good[place + len(spoil) :])[: len(good) - cut % (len(good) - END)]
    for message in (bad, good[:4] + good[4:6] + bytes((spoil * 6)[:6]) + good[12:]):
        try:
            passed = passed_on(message, WIRE, END, OPT, 1232)
            chain_of(message, WIRE[HEADER_BYTES:END], 5)
        except InvalidError:
            continue
        assert passed[:2] == WIRE[:2]


@pytest.mark.parametrize("data", [b"\xc0\xff", b"\xc0\x00\xc0", b"\x40", b"\x3fabc"])
def test_names_that_lead_astray_are_refused(data: bytes) -> None:
    question = encode_name("a.b") + b"\0\1\0\1"
    head = b"\0\1\x80\0\0\1\0\1\0\0\0\0"
    record = b"\xc0\x0c\0\5\0\1\0\0\0\1" + len(data).to_bytes(2, "big") + data
    with pytest.raises(InvalidError):
        chain_of(head + question + record, question, 5)


def test_a_name_that_points_at_itself_is_refused() -> None:
    question = encode_name("a.b") + b"\0\1\0\1"
    at = 12 + len(question) + 12
    record = b"\xc0\x0c\0\5\0\1\0\0\0\1\0\2" + (0xC000 | at).to_bytes(2, "big")
    with pytest.raises(InvalidError, match="no name before"):
        chain_of(b"\0\1\x80\0\0\1\0\1\0\0\0\0" + question + record, question, 5)
    assert chain_of(b"\0\1\x80\0\0\1\0\0\0\0\0\0" + question, question, 5) == Chain()
