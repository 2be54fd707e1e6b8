import dns.edns
import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.model.errors import InvalidError
from callboard.wire.dns import parse_query
from callboard.wire.dns_options import options_to_return
from callboard.wire.dns_records import opt_record

COOKIE = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678")


def options_of(*options: dns.edns.Option) -> bytes:
    edns = parse_query(dns.message.make_query("a.b", "A", use_edns=0, options=list(options)).to_wire()).edns
    assert edns is not None
    return edns.options


@given(st.ip_addresses(), st.integers(0, 128))
def test_a_network_comes_back_with_scope_0(address: object, prefix: int) -> None:
    prefix = min(prefix, 128 if ":" in str(address) else 32)
    asked = dns.edns.ECSOption(str(address), prefix)
    back = options_to_return(options_of(COOKIE, asked))
    head = bytes([0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    (told,) = dns.message.from_wire(head + opt_record(1232, dnssec_ok=False, options=back)).options
    assert isinstance(told, dns.edns.ECSOption)
    assert told.to_wire() == asked.to_wire()
    assert (told.srclen, told.scopelen) == (prefix, 0)


def test_other_options_are_passed_over() -> None:
    assert options_to_return(options_of(COOKIE)) == b""
    assert options_to_return(b"") == b""


@pytest.mark.parametrize(
    "data",
    [
        b"\0\x08\0\0", b"\0\x08\0\3\0\1\0", b"\0\x08\0\7\0\1\x18\0\x0a\0", b"\0\x08\0\7\0\1\x18\1\x0a\0\0", b"\0\x08\0\4\0\3\0\0\0",
        b"\0\x08\0\x09\0\1\x28\0\x0a\0\0\0\0", b"\0\x08\0\5\0\3\x08\0\1", b"\0\x08\0", b"\0\1\0\x08\0",
    ],
)  # fmt: skip
def test_a_network_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidError, match="EDNS"):
        options_to_return(data)


@given(st.binary(max_size=60))
def test_any_options_are_read_or_refused(data: bytes) -> None:
    for options in (data, b"\0\x08" + data):
        try:
            assert len(options_to_return(options)) <= len(options)
        except InvalidError:
            continue
