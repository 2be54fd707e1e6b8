"""Bodies of Consul's writes: every spelling that Consul takes, and for anything else `InvalidError` and nothing but that."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from callboard.model.errors import InvalidError
from callboard.wire import consul_body
from callboard.wire.consul_body import CHECK, DEREGISTER, REGISTER, SERVICE, UPDATE, CatalogCheckBody, CheckBody
from callboard.wire.consul_fields import Body, go_name

SAMPLES: dict[str, tuple[Body[Any], bytes]] = {
    "service": (SERVICE, (
        b'{"ID":"web1","Name":"web","Tags":["v1"],"Address":"10.0.0.5","TaggedAddresses":{"lan":{"Address":"10.0.0.5","Port":80}},'
        b'"Meta":{"env":"prod"},"Port":80,"Weights":{"Passing":2,"Warning":1},"EnableTagOverride":true,'
        b'"Check":{"HTTP":"http://10.0.0.5/","Interval":"10s","Header":{"X":["a","b"]},"DeregisterCriticalServiceAfter":60000000000},'
        b'"Checks":[{"TTL":"15s","Status":"passing"}]}'
    )),
    "check": (CHECK, b'{"Name":"c","ServiceID":"web1","TCP":"10.0.0.5:80","Interval":"1m","Timeout":1e9,"FailuresBeforeCritical":3}'),
    "update": (UPDATE, b'{"Status":"passing","Output":"fine"}'),
    "register": (REGISTER, (
        b'{"Node":"n1","Address":"10.0.0.1","NodeMeta":{"a":"b"},"Service":{"Service":"web","Port":80},'
        b'"Checks":[{"Node":"n1","CheckID":"c","Name":"c","Status":"passing","ServiceID":"web","Definition":{"TCP":"x","Interval":"1s"}}]}'
    )),
    "deregister": (DEREGISTER, b'{"Datacenter":"dc1","Node":"n1","ServiceID":"web"}'),
}  # fmt: skip


def value_or_invalid(body: Body[Any], data: bytes) -> Struct | None:
    """The one promise of a decoder."""
    problem, value = None, None
    try:
        value = body.decode(data)
    except InvalidError as error:
        problem = error.problem
    assert isinstance(value, Struct) if problem is None else problem.startswith("Request decode failed: ")
    return value if isinstance(value, Struct) else None


# -- what is understood


def test_a_service_is_read_whole() -> None:
    body = SERVICE.decode(SAMPLES["service"][1])
    assert (body.id, body.name, body.tags, body.port, body.meta, body.enable_tag_override) == (
        "web1",
        "web",
        ("v1",),
        80,
        {"env": "prod"},
        True,
    )
    assert body.tagged_addresses["lan"].port == 80
    assert body.weights is not None
    assert (body.weights.passing, body.weights.warning) == (2, 1)
    assert body.check is not None
    assert (body.check.interval, body.check.deregister_critical_service_after) == (10_000_000_000, 60_000_000_000)
    assert body.check.header == {"X": ("a", "b")}
    assert body.checks[0].ttl == 15_000_000_000


@pytest.mark.parametrize(
    "spelled",
    [
        b'{"Name":"c","ServiceID":"s","DeregisterCriticalServiceAfter":"1m","TLSSkipVerify":true,"ScriptArgs":["x"]}',
        b'{"name":"c","serviceid":"s","deregistercriticalserviceafter":"1m","tlsskipverify":true,"scriptargs":["x"]}',
        b'{"NAME":"c","SERVICEID":"s","DEREGISTERCRITICALSERVICEAFTER":"1m","TLSSKIPVERIFY":true,"SCRIPTARGS":["x"]}',
        b'{"name":"c","service_id":"s","deregister_critical_service_after":"1m","tls_skip_verify":true,"script_args":["x"]}',
        b'{"name":"c","service_id":"s","deregister_critical_service_after":60000000000,"tls_skip_verify":true,"args":["x"]}',
    ],
)
def test_names_are_taken_in_any_case_and_in_snake_case(spelled: bytes) -> None:
    body = CHECK.decode(spelled)
    assert (body.name, body.service_id, body.tls_skip_verify, body.script_args) == ("c", "s", True, ("x",))
    assert body.deregister_critical_service_after == 60_000_000_000


def test_names_below_are_put_right_but_not_the_callers_own() -> None:
    body = SERVICE.decode(
        b'{"name":"w","meta":{"Name":"x"},"tagged_addresses":{"Port":{"address":"1.2.3.4","port":5}},"checks":[{"ttl":"1s"}]}'
    )
    assert body.meta == {"Name": "x"}
    assert body.tagged_addresses["Port"].port == 5
    assert body.checks[0].ttl == 1_000_000_000


def test_null_stands_for_nothing() -> None:
    body = SERVICE.decode(b'{"Name":"w","ID":null,"Tags":null,"Port":null,"Check":null,"Meta":null,"NoSuchField":null}')
    assert (body.id, body.tags, body.port, body.check, body.meta) == ("", (), 0, None, {})


def test_null_in_a_list_or_a_map_stands_for_an_empty_item() -> None:
    body = SERVICE.decode(
        b'{"Name":"w","Tags":["a",null],"Meta":{"a":null,"b":"c"},"TaggedAddresses":{"lan":null},"Check":{"TTL":"1s","Header":{"A":null,'
        b'"B":[null]}},"Proxy":{"Config":{"any":null}}}'
    )
    assert (body.tags, body.meta, body.tagged_addresses["lan"].port) == (("a", ""), {"a": "", "b": "c"}, 0)
    assert body.check is not None
    assert body.check.header == {"A": (), "B": ("",)}
    assert body.proxy is not None
    assert body.proxy.config == {"any": None}
    register = REGISTER.decode(b'{"Node":"n","NodeMeta":{"a":null},"TaggedAddresses":{"lan":null},"Service":{"Service":"s","Tags":[null]}}')
    assert (register.node_meta, register.tagged_addresses) == ({"a": ""}, {"lan": ""})
    assert SERVICE.decode(b"null").name == ""


def test_durations_are_text_or_nanoseconds() -> None:
    assert [CHECK.decode(b'{"TTL":%s}' % text).ttl for text in (b'"1.5s"', b"15", b"15.7", b'"0"')] == [1_500_000_000, 15, 15, 0]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "EOF"),
        (b'{"Name":"w","Colour":1}', 'json: unknown field "Colour"'),
        (b'{"Name":"w","Check":{"Colour":1}}', 'json: unknown field "Colour"'),
        (b'{"name":"w","checks":[{"Colour":1}]}', 'json: unknown field "Colour"'),
        (b'{"Port":"80"}', "Expected `int`, got `str`"),
        (b'{"Check":{"TTL":"soon"}}', 'time: invalid duration "soon"'),
        (b'{"Check":{"TTL":true}}', "must be a duration"),
        (b'{"Name"', "truncated"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"Name":"\xff"}', "utf-8"),
    ],
)
def test_what_is_wrong_is_said(body: bytes, text: str) -> None:
    with pytest.raises(InvalidError) as caught:
        SERVICE.decode(body)
    assert str(caught.value).startswith("Request decode failed: ")
    assert text in str(caught.value)


def test_names_are_those_of_go() -> None:
    assert [go_name(name) for name in ("id", "check_id", "tls_skip_verify", "ttl", "deregister_critical_service_after", "os_service")] == [
        "ID", "CheckID", "TLSSkipVerify", "TTL", "DeregisterCriticalServiceAfter", "OSService",
    ]  # fmt: skip


def test_an_answers_check_can_be_sent_back() -> None:
    shown = (
        b'{"Node":"n","CheckID":"c","Name":"c","Status":"passing","Notes":"","Output":"o","ServiceID":"","ServiceName":"","ServiceTags":[],'
        b'"Type":"ttl","Interval":"","Timeout":"","ExposedPort":0,"Definition":{},"CreateIndex":1,"ModifyIndex":2}'
    )
    assert msgspec.json.decode(shown, type=CatalogCheckBody).check_id == "c"


def test_what_the_mesh_is_told_is_read_in_any_spelling() -> None:
    body = SERVICE.decode(
        b'{"name":"w","ports":[{"Name":"http","port":80,"Default":true}],"connect":{"sidecar_service":{"port":1,"tagged_addresses":{},'
        b'"connect":{"native":true},"proxy":{"local_service_port":8,"upstreams":[{"destination_name":"db","mesh_gateway":{"Mode":"local"},'
        b'"Config":{"any_name":null}}],"access_logs":{"json_format":"{}"},"expose":{"paths":[{"listener_port":3}]}}}}}'
    )
    assert [(port.name, port.port, port.default) for port in body.ports] == [("http", 80, True)]
    assert body.connect is not None
    sidecar = body.connect.sidecar_service
    assert sidecar is not None
    assert sidecar.connect is not None
    assert sidecar.proxy is not None
    assert (sidecar.port, sidecar.connect.native, sidecar.proxy.local_service_port) == (1, True, 8)
    (upstream,) = sidecar.proxy.upstreams
    assert (upstream.destination_name, upstream.mesh_gateway.mode, upstream.config) == ("db", "local", {"any_name": None})
    assert (sidecar.proxy.access_logs.json_format, sidecar.proxy.expose.paths[0].listener_port) == ("{}", 3)


# -- round trips


@given(
    st.builds(
        CheckBody, name=st.text(), http=st.text(), header=st.dictionaries(st.text(), st.lists(st.text(), max_size=3).map(tuple), max_size=3)
    )
)
def test_a_body_survives_being_written_and_read(body: CheckBody) -> None:
    assert CHECK.decode(msgspec.json.encode(body, enc_hook=int)) == body


# -- anything else


@pytest.mark.parametrize("kind", SAMPLES)
def test_every_truncation_is_a_value_or_invalid(kind: str) -> None:
    body, sample = SAMPLES[kind]
    assert value_or_invalid(body, sample) is not None
    for end in range(len(sample)):
        assert value_or_invalid(body, sample[:end]) is None


@pytest.mark.parametrize("kind", SAMPLES)
@given(data=st.data())
def test_every_changed_byte_is_a_value_or_invalid(kind: str, data: st.DataObject) -> None:
    body, sample = SAMPLES[kind]
    at = data.draw(st.integers(0, len(sample) - 1))
    value_or_invalid(body, sample[:at] + data.draw(st.binary(max_size=3)) + sample[at + 1 :])


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_fields = sorted({field for name in vars(consul_body) if isinstance(struct := getattr(consul_body, name), type) and issubclass(struct,
Struct)
                  for field in struct.__struct_fields__})  # fmt: skip


@pytest.mark.parametrize("kind", SAMPLES)
@given(
    value=_json | st.dictionaries(st.sampled_from([go_name(field) for field in _fields]) | st.sampled_from(_fields), _json, max_size=5),
    raw=st.binary(),
)
def test_anything_is_a_value_or_invalid(kind: str, value: object, raw: bytes) -> None:
    body, _ = SAMPLES[kind]
    value_or_invalid(body, msgspec.json.encode(value))
    value_or_invalid(body, raw)


@pytest.mark.parametrize(
    "deep",
    [b"[" * 60_000, b'{"Proxy":' * 10_000, b'{"Checks":' + b"[" * 60_000, b'{"checks":[' * 9_000, b'{"Definition":' + b'{"a":' * 30_000],
)
def test_deep_nesting_is_invalid(deep: bytes) -> None:
    for body, _ in SAMPLES.values():
        assert value_or_invalid(body, deep) is None
