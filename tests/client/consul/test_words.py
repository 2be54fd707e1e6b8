"""Bodies for Consul are what its agent takes, and its answers become what `/api/v1` would have said."""

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from callboard.client.consul.words import (
    agent_node,
    instances_of,
    maintenance_reason,
    namespace_query,
    pushed_checks,
    registration_body,
    summaries_of,
    update_body,
)
from callboard.model.check import Status
from callboard.model.errors import InvalidError
from callboard.model.instance import Phase
from callboard.model.time import MILLISECOND
from callboard.wire.consul_body import SERVICE, UPDATE
from callboard.wire.native import CheckRequest, Registration, Weights

TEXT = st.text(max_size=12)
NAME = st.text(min_size=1, max_size=12)
SPAN = st.integers(1, 10**9)
STATUS = st.sampled_from(["passing", "warning", "critical"])
TTL = st.builds(CheckRequest, id=TEXT, name=TEXT, notes=TEXT, status=STATUS, ttl_ms=SPAN, deregister_after_ms=st.integers(0, 10**9))
HTTP = st.builds(
    CheckRequest, id=TEXT, status=STATUS, http=NAME, method=TEXT, headers=st.dictionaries(NAME, TEXT, max_size=3), body=TEXT,
    interval_ms=SPAN, timeout_ms=SPAN, failures_before_critical=st.integers(0, 9), success_before_passing=st.integers(0, 9),
)  # fmt: skip
TCP = st.builds(CheckRequest, id=TEXT, status=STATUS, tcp=NAME, interval_ms=SPAN, failures_before_warning=st.integers(0, 9))
REGISTRATION = st.builds(
    Registration, service=NAME, id=TEXT, address=TEXT, port=st.integers(0, 65535), tags=st.lists(TEXT, max_size=3).map(tuple),
    meta=st.dictionaries(NAME, TEXT, max_size=3), weights=st.builds(Weights, st.integers(0, 99), st.integers(0, 99)),
    phase=st.sampled_from([None, *Phase]), checks=st.lists(TTL | HTTP | TCP, max_size=4).map(tuple),
)  # fmt: skip


@given(REGISTRATION)
def test_a_registration_says_the_same_in_consuls_words(said: Registration) -> None:
    body = SERVICE.decode(registration_body(said))
    assert (body.name, body.id, body.address, body.port) == (said.service, said.id or said.service, said.address, said.port)
    assert (body.tags, body.meta) == (said.tags, said.meta)
    weights = (1, 1) if body.weights is None else (body.weights.passing, body.weights.warning)
    assert weights == (said.weights.passing, said.weights.warning)
    assert [bool(check.ttl) for check in body.checks] == sorted((bool(check.ttl_ms) for check in said.checks), reverse=True)
    hidden = said.phase in {Phase.STARTING, Phase.DRAINING}
    for check, told in zip(sorted(said.checks, key=lambda check: not check.ttl_ms), body.checks, strict=True):
        assert (told.ttl, told.interval, told.timeout) == tuple(
            span * MILLISECOND for span in (check.ttl_ms, check.interval_ms, check.timeout_ms)
        )
        assert told.deregister_critical_service_after == check.deregister_after_ms * MILLISECOND
        assert (told.http, told.tcp, told.method, told.body, told.notes) == (check.http, check.tcp, check.method, check.body, check.notes)
        assert told.header == {name: (value,) for name, value in check.headers.items()}
        assert told.status == ("critical" if hidden and check.ttl_ms else check.status)
        assert told.failures_before_critical == check.failures_before_critical
        assert told.failures_before_warning == check.failures_before_warning
        assert told.success_before_passing == check.success_before_passing


@given(REGISTRATION)
def test_heartbeats_go_to_the_ids_that_were_signed_in(said: Registration) -> None:
    told = SERVICE.decode(registration_body(said)).checks
    assert [pushed.check_id for pushed in pushed_checks(said)] == [check.check_id for check in told if check.ttl]
    assert all(check.check_id for check in told)


def test_checks_are_numbered_as_every_registry_numbers_them() -> None:
    ttl, tcp = CheckRequest(ttl_ms=1), CheckRequest(tcp="h:1", interval_ms=1)
    one = Registration(service="web", id="w1", checks=(ttl,))
    assert [pushed.check_id for pushed in pushed_checks(one)] == ["service:w1"]
    both = replace(one, checks=(tcp, replace(ttl, id="mine"), ttl))
    assert [pushed.check_id for pushed in pushed_checks(both)] == ["mine", "service:w1:3"]


def test_what_is_not_said_is_not_sent_for_an_older_consul_refuses_what_it_does_not_know() -> None:
    body = json.loads(registration_body(Registration(service="web", checks=(CheckRequest(ttl_ms=15_000),))))
    assert body == {"ID": "web", "Name": "web", "Checks": [{"CheckID": "service:web", "Status": "critical", "TTL": "15s"}]}


@given(STATUS, TEXT)
def test_a_heartbeat_says_status_and_output(status: Any, output: str) -> None:
    told = UPDATE.decode(update_body(status, output))
    assert (told.status, told.output) == (status, output)


def check(check_id: str, status: str = "passing", **said: Any) -> dict[str, Any]:
    return {"CheckID": check_id, "Status": status, "Node": "n1", **said}


def health(*checks: dict[str, Any], **service: Any) -> bytes:
    entry = {"Node": {"Node": "n1", "Address": "10.0.0.1"}, "Service": {"ID": "a", "Service": "web", **service}, "Checks": list(checks)}
    return json.dumps([entry]).encode()


def own(check_id: str, status: str = "passing", **said: Any) -> dict[str, Any]:
    return check(check_id, status, ServiceID="a", ServiceName="web", **said)


def test_an_answer_of_an_older_consul_is_understood() -> None:
    (found,) = instances_of(health(Tags=None, Meta=None, Address=""), "")
    assert (found.address, found.port, found.tags, found.meta, found.weights) == ("10.0.0.1", 0, (), {}, Weights())
    assert (found.namespace, found.phase, found.status, found.checks) == ("public", Phase.SERVING, Status.PASSING, ())


def test_checks_of_the_node_count_and_stand_first() -> None:
    body = health(own("service:a", Type="ttl"), check("serfHealth", "critical"), ModifyIndex=7, CreateIndex=5)
    (found,) = instances_of(body, "")
    assert [(each.id, each.kind) for each in found.checks] == [("serfHealth", "manual"), ("service:a", "ttl")]
    assert (found.status, found.created, found.modified) == (Status.CRITICAL, 5, 7)


@pytest.mark.parametrize(
    ("said", "phase", "status", "shown"),
    [
        (own("_service_maintenance:a", "critical", Notes="draining"), Phase.DRAINING, Status.PASSING, []),
        (own("_service_maintenance:a", "critical", Notes="starting"), Phase.STARTING, Status.PASSING, []),
        (own("_service_maintenance:a", "critical", Notes="disk"), Phase.DRAINING, Status.MAINTENANCE, ["maintenance"]),
        (check("_node_maintenance", "critical", Notes="disk"), Phase.DRAINING, Status.MAINTENANCE, ["maintenance"]),
        (own("_callboard_draining:a", "critical", Type="maintenance"), Phase.DRAINING, Status.PASSING, []),
        (own("_callboard_starting:a", "critical", Type="maintenance"), Phase.STARTING, Status.PASSING, []),
        (own("mine", "nonsense"), Phase.SERVING, Status.CRITICAL, ["manual"]),
    ],
)
def test_maintenance_is_a_phase(said: dict[str, Any], phase: Phase, status: Status, shown: list[str]) -> None:
    (found,) = instances_of(health(said), "")
    assert (found.phase, found.status, [each.kind for each in found.checks]) == (phase, status, shown)


def test_nobody_is_told_in_two_ways() -> None:
    assert instances_of(b"[]", "") == instances_of(b"null", "") == ()


def test_services_are_counted_by_the_checks_of_their_instances() -> None:
    services = json.dumps({"web": ["b", "a"], "api": [], "idle": None}).encode()
    checks = [
        check("serfHealth"), check("serfHealth", "critical", Node="n2"),
        own("service:a"), own("other", "warning"),
        check("service:b", ServiceID="b", ServiceName="web"), check("_service_maintenance:b", "critical", ServiceID="b", ServiceName="web",
        Notes="draining"),
        check("service:c", ServiceID="c", ServiceName="api", Node="n2"),
    ]  # fmt: skip
    api, idle, web = summaries_of(services, json.dumps(checks).encode(), "default")
    assert (web.name, web.tags, web.instances, web.passing, web.warning, web.critical, web.draining) == ("web", ("a", "b"), 2, 1, 1, 0, 1)
    assert (api.instances, api.critical, api.namespace) == (1, 1, "public")
    assert (idle.instances, idle.tags) == (0, ())


def test_the_agents_node_and_why_something_is_in_maintenance() -> None:
    assert agent_node(b'{"Config":{"NodeName":"n1","Datacenter":"dc1"},"Member":{}}') == "n1"
    assert agent_node(b"{}") == ""
    assert maintenance_reason(json.dumps({"Checks": [own("service:a"), own("_service_maintenance:a", Notes="disk")]}).encode()) == "disk"
    assert maintenance_reason(b'{"AggregatedStatus":"critical","Service":null,"Checks":null}') == ""


def test_the_default_name_space_is_not_said() -> None:
    assert namespace_query("") == namespace_query("default") == namespace_query("public") == []
    assert namespace_query("blue") == [("ns", "blue")]
    with pytest.raises(InvalidError):
        namespace_query("a\n")


@given(st.binary(max_size=60))
def test_garbage_is_a_decoding_error_and_nothing_else(body: bytes) -> None:
    for read in (lambda: instances_of(body, ""), lambda: summaries_of(body, body, ""), lambda: agent_node(body)):
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            read()
