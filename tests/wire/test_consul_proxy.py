"""What a proxy is told: one text for equal definitions, which catalog answers show as it is and agents in another order."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.model.errors import InvalidError
from callboard.wire.consul_fields import Body
from callboard.wire.consul_proxy import (
    DEPTH_MAX_COUNT,
    AccessLogs,
    EnvoyExtension,
    Expose,
    ExposePath,
    MeshGateway,
    ProxyBody,
    TransparentProxy,
    UpstreamBody,
    canonical,
    for_agent,
    for_catalog,
)

PROXY = Body(ProxyBody)
texts = st.text(max_size=8)
ports = st.integers(0, 65535)
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
configs = st.dictionaries(texts, json, max_size=3)
gateways = st.builds(MeshGateway, texts)
proxies = st.builds(
    ProxyBody, destination_service_name=texts, local_service_port=ports, mode=texts, config=configs, mesh_gateway=gateways,
    envoy_extensions=st.lists(st.builds(EnvoyExtension, texts, st.booleans(), configs), max_size=2).map(tuple),
    upstreams=st.lists(
        st.builds(
            UpstreamBody, destination_type=texts, destination_name=texts, local_bind_port=ports, config=configs, mesh_gateway=gateways
        ),
        max_size=2,
    ).map(tuple),
    expose=st.builds(Expose, st.booleans(), st.lists(st.builds(ExposePath, ports, texts), max_size=2).map(tuple)),
    transparent_proxy=st.builds(TransparentProxy, ports, st.booleans()), access_logs=st.builds(AccessLogs, st.booleans(), path=texts),
)  # fmt: skip


@given(proxies)
def test_a_canonical_text_read_again_is_the_same_text(proxy: ProxyBody) -> None:
    text = canonical(proxy)
    assert canonical(PROXY.decode(bytes(for_catalog(text)))) == text


@given(proxies)
def test_the_agent_shows_the_same_proxy_without_its_extensions(proxy: ProxyBody) -> None:
    text = canonical(proxy)
    shown = bytes(for_agent(text))
    without = msgspec.structs.replace(PROXY.decode(bytes(for_catalog(text))), envoy_extensions=())
    assert PROXY.decode(shown) == without


@given(st.binary() | json.map(msgspec.json.encode))
def test_anything_else_is_refused_and_nothing_worse(data: bytes) -> None:
    try:
        canonical(PROXY.decode(data))
    except InvalidError as error:
        assert error.problem  # noqa: PT017  # either way is fine; only another error is not


def test_a_proxy_that_says_nothing_is_no_proxy() -> None:
    assert canonical(PROXY.decode(b'{"Mode":"","MeshGateway":{},"Expose":{}}')) == ""
    assert bytes(for_catalog("")) == b'{"Mode":"","MeshGateway":{},"Expose":{}}'
    assert bytes(for_agent("")) == b'{"MeshGateway":{},"Expose":{}}'


def test_the_type_of_an_upstream_is_filled_in_where_the_agent_does_so() -> None:
    proxy = PROXY.decode(b'{"upstreams":[{"destination_name":"db","local_bind_port":1}]}')
    assert '"DestinationType":""' in canonical(proxy)
    assert '"DestinationType":"service"' in canonical(proxy, "service")


@pytest.mark.parametrize("deep", [DEPTH_MAX_COUNT + 1, 400, 100_000])
def test_what_is_nested_too_deep_is_refused(deep: int) -> None:
    with pytest.raises(InvalidError):
        canonical(PROXY.decode(b'{"Config":{"a":' + b"[" * deep + b"]" * deep + b"}}"))


def test_whole_numbers_are_written_without_a_fraction() -> None:
    text = canonical(PROXY.decode(b'{"Config":{"b":1.0,"a":1.5,"c":-0.0,"d":12345678901234567890}}'))
    assert '"Config":{"a":1.5,"b":1,"c":0,"d":12345678901234567000}' in text.replace("1.2345678901234567e19", "12345678901234567000")


def test_a_number_that_clients_could_not_read_is_refused() -> None:
    for number in (b"1" * 400, b"-" + b"1" * 310):
        with pytest.raises(InvalidError, match="which no client could read"):
            canonical(PROXY.decode(b'{"Config":{"a":%s}}' % number))


@pytest.mark.parametrize(
    "body",
    [
        b'{"LocalServicePort":%s}', b'{"Upstreams":[{"DestinationName":"a","LocalBindPort":%s}]}',
        b'{"TransparentProxy":{"OutboundListenerPort":%s}}', b'{"Expose":{"Paths":[{"LocalPathPort":%s}]}}',
        b'{"Expose":{"Paths":[{"ListenerPort":%s}]}}',
    ],
)  # fmt: skip
def test_ports_are_numbers_that_clients_can_read(body: bytes) -> None:
    canonical(PROXY.decode(body % b"-5"))
    with pytest.raises(InvalidError):
        PROXY.decode(body % (b"1" * 30))
