"""Who calls behind proxies: what a stranger writes into the field never counts, and nothing that it holds is ever an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.model.errors import InvalidError
from callboard.net.http.proxies import Proxies
from tests.net.http.fake import World, connected, run, serving

OURS = Proxies(["10.0.0.0/8", "192.0.2.7", "fd00::/8"])
STRANGERS = st.one_of(
    st.ip_addresses(network="198.51.100.0/24"), st.ip_addresses(network="2001:db8::/32"), st.ip_addresses(network="11.0.0.0/8")
).map(str)
OWN = st.one_of(st.ip_addresses(network="10.0.0.0/8"), st.ip_addresses(network="fd00::/8")).map(str)


@pytest.mark.parametrize(
    ("peer", "field", "caller"),
    [
        ("198.51.100.1", "198.51.100.9", "198.51.100.1"),  # a stranger's word
        ("10.1.1.1", "198.51.100.9", "198.51.100.9"),
        ("10.1.1.1", "198.51.100.9, 10.2.2.2", "198.51.100.9"),
        ("10.1.1.1", "127.0.0.1, 198.51.100.9", "198.51.100.9"),  # written by the stranger before our proxy added to it
        ("10.1.1.1", "10.3.3.3, 10.2.2.2", "10.3.3.3"),  # our own machines all the way
        ("10.1.1.1", "unknown, 10.2.2.2", "10.2.2.2"),
        ("10.1.1.1", "", "10.1.1.1"),
        ("192.0.2.7", "198.51.100.9:4711", "198.51.100.9"),
        ("fd00::1", '"[2001:db8::9]:4711"', "2001:db8::9"),
        ("10.1.1.1", "::ffff:198.51.100.9", "198.51.100.9"),
        ("192.0.2.8", "198.51.100.9", "192.0.2.8"),
        ("", "198.51.100.9", ""),
    ],
)
def test_the_last_address_that_is_no_proxy_of_ours_calls(peer: str, field: str, caller: str) -> None:
    assert OURS.caller(peer, field) == caller


@given(st.text(max_size=40), STRANGERS, st.lists(OWN, max_size=5), OWN)
def test_what_stands_before_the_stranger_changes_nothing(said: str, stranger: str, between: list[str], peer: str) -> None:
    assert OURS.caller(peer, ", ".join([said, stranger, *between])) == stranger


@given(STRANGERS, st.text(max_size=80))
def test_a_stranger_is_who_it_is(peer: str, said: str) -> None:
    assert OURS.caller(peer, said) == peer


@given(OWN, st.text(alphabet='0123456789abcdef:.,[]" x', max_size=80))
def test_no_field_is_an_error(peer: str, said: str) -> None:
    assert OURS.caller(peer, said)


@pytest.mark.parametrize("network", ["10.0.0.0/33", "10.0.0.1/8", "proxy.example.org", ""])
def test_what_is_no_network_is_refused(network: str) -> None:
    with pytest.raises(InvalidError, match="trusted_proxy"):
        Proxies([network])


@pytest.mark.parametrize("path", ["/where", "/slow/where"])
@pytest.mark.parametrize(("networks", "caller"), [((), "127.0.0.1"), (("127.0.0.0/8",), "198.51.100.9")])
def test_both_doors_tell_handlers_who_calls(path: str, networks: tuple[str, ...], caller: str) -> None:
    async def scenario() -> None:
        async with serving(World(), trusted_proxies=networks) as port, connected(port) as client:
            for _ in range(3):
                answer = await client.get(path, "x-forwarded-for: 198.51.100.9")
                assert answer.body == f"{caller} 127.0.0.1".encode()
            assert (await client.get(path)).body == b"127.0.0.1 127.0.0.1"

    run(scenario())
