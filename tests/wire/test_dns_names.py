import dns.exception
import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.model.errors import InvalidError
from callboard.wire.dns_names import Compression, encode_labels, encode_name, end_of_name, end_of_owner, split_name

LABELS = st.lists(st.binary(min_size=1, max_size=63), max_size=8).filter(lambda labels: sum(map(len, labels)) + len(labels) < 255)


@given(LABELS)
def test_labels_are_what_dnspython_reads(labels: list[bytes]) -> None:
    wire = encode_labels(labels)
    name, used = dns.name.from_wire(wire, 0)
    assert (name.labels, used) == ((*labels, b""), len(wire))
    assert split_name(wire) == tuple(labels)
    assert end_of_name(b"head" + wire + b"tail", 4) == 4 + len(wire)


@given(st.lists(st.binary(max_size=70), max_size=8))
def test_labels_are_refused_exactly_when_dnspython_refuses_them(labels: list[bytes]) -> None:
    try:
        expected = dns.name.Name([*labels, b""]).to_wire()
    except dns.exception.DNSException:
        expected = None
    try:
        assert encode_labels(labels) == expected
    except InvalidError:
        assert expected is None


def test_names_are_written_with_or_without_the_last_dot() -> None:
    assert encode_name("web.service.Consul") == encode_name("web.service.Consul.") == b"\3web\7service\6Consul\0"


@pytest.mark.parametrize("text", ["", ".", "a..b", ".a", "a" * 64, "a." * 130])
def test_text_that_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="domain name"):
        encode_name(text)


@given(LABELS.filter(bool), LABELS)
def test_compressed_names_mean_the_same(question: list[bytes], other: list[bytes]) -> None:
    asked = encode_labels(question)
    compression = Compression(asked)
    for labels in (question, other, [*other[:2], *question[1:]], [label.swapcase() for label in question]):
        if sum(map(len, labels)) + len(labels) < 255:
            name = encode_labels(labels)
            short = compression.shorten(name)
            message = b"\0" * 12 + asked + short
            read, used = dns.name.from_wire(message, 12 + len(asked))
            assert (read, used) == (dns.name.Name([*labels, b""]), len(short))
            assert end_of_owner(message, 12 + len(asked)) == len(message)


def test_compression_saves_the_longest_ending() -> None:
    compression = Compression(encode_name("_web._tcp.service.consul"))
    assert compression.shorten(encode_name("_web._tcp.SERVICE.consul")) == b"\xc0\x0c"
    assert compression.shorten(encode_name("c0a80001.addr.dc1.consul")) == b"\x08c0a80001\4addr\3dc1\xc0\x1e"
    assert compression.shorten(encode_name("service.other")) == encode_name("service.other")


@given(st.binary(max_size=80), st.integers(0, 80))
def test_reading_a_name_gives_its_end_or_a_refusal(message: bytes, at: int) -> None:
    for read in (end_of_name, end_of_owner):
        try:
            end = read(message, at)
        except InvalidError:
            continue
        assert at < end <= len(message)


@pytest.mark.parametrize("owner", [b"\xc0", b"\xc0\x02", b"\xc0\xff", b"\x01a\xc0\x02", b"\x40" + b"a" * 64 + b"\0", b"\x05abc"])
def test_owners_that_are_cut_off_or_lead_forward_are_refused(owner: bytes) -> None:
    with pytest.raises(InvalidError, match="record"):
        end_of_owner(b"\0\0" + owner, 2)
