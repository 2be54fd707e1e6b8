from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.frontend.dns.names import (
    AddressLookup,
    Apex,
    ConnectLookup,
    Hollow,
    Lookup,
    Missing,
    NodeLookup,
    Outside,
    Place,
    ReverseLookup,
    ServiceLookup,
    lookup_of,
)

PLACE = Place((b"consul",), b"dc1", "consul")

LABELS = st.sampled_from(["dc", "dc1", "port", "service", "node", "addr", "connect", "web", "_web", "_tcp", "0a000001"])


def asked(name: str, place: Place = PLACE) -> Lookup:
    return lookup_of(tuple(label.encode() for label in name.split(".")) if name else (), place)


@pytest.mark.parametrize(
    ("name", "lookup"),
    [
        ("web.service.consul", ServiceLookup("web")),
        ("web.service.dc1.consul", ServiceLookup("web")),
        ("v1.web.service.consul", ServiceLookup("web", "v1")),
        ("v1.2.web.service.dc1.consul", ServiceLookup("web", "v1.2")),
        ("_web._tcp.service.consul", ServiceLookup("web")),
        ("_web._udp.service.dc1.consul", ServiceLookup("web")),
        ("_web._v1.service.consul", ServiceLookup("web", "v1")),
        ("_web._tcp.consul", ServiceLookup("web")),
        ("_web._v1.dc1.consul", ServiceLookup("web", "v1")),
        ("node.service.consul", ServiceLookup("node")),
        ("service.service.consul", ServiceLookup("service")),
        ("ns.consul", ServiceLookup("consul")),
        ("größe.service.consul", ServiceLookup("größe")),
        ("web.service.dc1.dc.consul", ServiceLookup("web")),
        ("http.port.web.service.consul", ServiceLookup("web", port="http")),
        ("web.service.http.port.consul", ServiceLookup("web", port="http")),
        ("v1.web.service.http.port.dc1.dc.consul", ServiceLookup("web", "v1", "http")),
        ("_web._tcp.service.dc1.dc.http.port.consul", ServiceLookup("web", port="http")),
        ("a.http.port.web.service.consul", ServiceLookup("web", "a.http.port")),
        ("port.service.consul", ServiceLookup("port")),
        ("dc.service.consul", ServiceLookup("dc")),
        ("web.connect.consul", ConnectLookup("web")),
        ("v1.web.connect.dc1.consul", ConnectLookup("web")),
        ("n1.node.dc1.dc.consul", NodeLookup("n1")),
        ("n1.node.consul", NodeLookup("n1")),
        ("host.example.com.node.dc1.consul", NodeLookup("host.example.com")),
        ("0a000001.addr.dc1.consul", AddressLookup(bytes([10, 0, 0, 1]))),
        ("0a000001.addr.consul", AddressLookup(bytes([10, 0, 0, 1]))),
        ("20010db8000000000000000000000005.addr.dc1.consul", AddressLookup(bytes.fromhex("20010db8000000000000000000000005"))),
    ],
)
def test_names_that_ask_for_something(name: str, lookup: Lookup) -> None:
    assert asked(name) == lookup


def test_the_domain_itself() -> None:
    assert asked("consul") == Apex()


@pytest.mark.parametrize(
    "name",
    [
        "service.consul",
        "node.dc1.consul",
        "addr.consul",
        "dc1.consul",
        "_tcp.consul",
        "_tcp.dc1.consul",
        "connect.consul",
        "dc.consul",
        "dc1.dc.consul",
        "port.consul",
        "http.port.consul",
        "service.http.port.consul",
    ],
)
def test_hollow_names_are_told_from_missing_ones(name: str) -> None:
    assert asked(name) == Hollow()


@pytest.mark.parametrize(
    "name",
    [
        "web.consul", "web.service.dc2.consul", "web.service.dc1.dc1.consul", "dc2.consul", "web._tcp.consul", "_a._b._c.consul",
        "web.service.dc2.dc.consul", "web.service.dc.consul", "dc2.dc.consul", "n1.node.http.port.consul", "web.connect.http.port.consul",
        "web.service.a.port.b.port.consul", "web.service.dc1.dc.dc1.dc.consul", "web.virtual.consul", "web.ingress.consul",
        "0a0001.addr.consul", "x.0a000001.addr.consul", "zz000001.addr.consul", "0a 00001.addr.consul", "web.query.consul",
    ],
)  # fmt: skip
def test_names_of_no_known_form_and_of_other_data_centres_are_missing(name: str) -> None:
    assert asked(name) == Missing()


def test_labels_that_are_no_text_are_missing() -> None:
    assert lookup_of((b"\xff", b"service", b"consul"), PLACE) == Missing()


@pytest.mark.parametrize("name", ["", "com", "example.com", "xconsul", "consul.example.com"])
def test_names_of_others(name: str) -> None:
    assert asked(name) == Outside()


def test_a_domain_may_have_several_labels() -> None:
    place = Place((b"sd", b"example", b"com"), b"dc1", "consul")
    assert asked("web.service.sd.example.com", place) == ServiceLookup("web")
    assert asked("sd.example.com", place) == Apex()
    assert asked("example.com", place) == Outside()


def test_a_label_with_a_dot_in_it_finds_names_with_dots() -> None:
    assert lookup_of((b"com.example.api", b"service", b"consul"), PLACE) == ServiceLookup("com.example.api")


@given(st.ip_addresses())
def test_every_address_is_read_from_its_reverse_name(address: IPv4Address | IPv6Address) -> None:
    name = address.reverse_pointer
    assert asked(name) == ReverseLookup(address.packed)
    assert asked("x." + name) == asked(name.partition(".")[2]) == Outside()


@given(st.lists(LABELS, max_size=7))
def test_any_row_of_labels_is_read_as_something(labels: list[str]) -> None:
    lookup = asked(".".join([*labels, "consul"]))
    assert isinstance(lookup, Lookup)
    assert not isinstance(lookup, Outside | ReverseLookup)
