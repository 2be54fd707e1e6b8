from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.client.advertise import advertised
from callboard.client.errors import UnreachableError
from callboard.model.errors import InvalidError


def is_callable(address: IPv4Address | IPv6Address) -> bool:
    mapped = getattr(address, "ipv4_mapped", None)
    return not (address.is_loopback or address.is_unspecified or (mapped is not None and mapped.is_loopback))


CALLABLE = st.ip_addresses().filter(is_callable).map(str)
SAID = st.one_of(st.just(""), CALLABLE)
LOOPBACK = st.one_of(
    st.ip_addresses(v=4, network="127.0.0.0/8").map(str), st.sampled_from(["::1", "localhost", "LOCALHOST", "::ffff:127.0.0.1", "[::1]"])
)


@given(SAID, SAID, SAID, CALLABLE, st.booleans())
def test_the_first_source_that_says_something_counts(said: str, advertise: str, pod: str, local: str, remote: bool) -> None:
    environment = {"CALLBOARD_ADVERTISE": advertise, "POD_IP": pod, "HOSTNAME": "8f3a9c2b1d", "HOST": "nobody"}
    found = advertised(said, environment, remote=remote, local_address=lambda: local)
    assert found == next(filter(None, (said, advertise, pod, local)))


@given(st.one_of(LOOPBACK), st.integers(0, 3))
def test_loopback_is_refused_from_every_source_when_the_registry_is_remote(address: str, source: int) -> None:
    said = [address if place == source else "" for place in range(4)]
    with pytest.raises(InvalidError, match="CALLBOARD_ADVERTISE or POD_IP"):
        advertised(said[0], {"CALLBOARD_ADVERTISE": said[1], "POD_IP": said[2]}, remote=True, local_address=lambda: said[3])
    bare = address.strip("[]")
    assert advertised(said[0], {"CALLBOARD_ADVERTISE": said[1], "POD_IP": said[2]}, remote=False, local_address=lambda: said[3]) == bare


@given(st.sampled_from(["0.0.0.0", "::", "[::]"]), st.booleans())
def test_what_one_listens_on_is_no_address(address: str, remote: bool) -> None:
    with pytest.raises(InvalidError, match="listens on"):
        advertised(address, {}, remote=remote, local_address=str)


@pytest.mark.parametrize("address", ["10.0.0.7:8000", "[fd00::7]:8000", "http://10.0.0.7", "two words", "a/b", "me@host"])
def test_what_is_more_than_an_address_is_refused_by_name(address: str) -> None:
    with pytest.raises(InvalidError, match="CALLBOARD_ADVERTISE"):
        advertised("", {"CALLBOARD_ADVERTISE": address}, remote=False, local_address=str)


@given(st.ip_addresses(v=6).filter(is_callable))
def test_brackets_around_an_ipv6_address_are_taken_off(address: IPv6Address) -> None:
    assert advertised(f"[{address}]", {}, remote=True, local_address=str) == str(address)


def test_a_host_name_may_be_said_and_is_never_guessed() -> None:
    assert advertised("orders.internal", {}, remote=True, local_address=str) == "orders.internal"
    with pytest.raises(UnreachableError, match="refused"):
        advertised("", {"HOSTNAME": "8f3a9c2b1d"}, remote=True, local_address=unreachable)


def unreachable() -> str:
    raise UnreachableError({"http://registry:8500": "connection refused"})


def test_the_way_to_the_registry_is_only_asked_when_nobody_said_anything() -> None:
    def ask() -> str:
        raise AssertionError("asked")

    assert advertised("", {"POD_IP": "10.0.0.7"}, remote=True, local_address=ask) == "10.0.0.7"
