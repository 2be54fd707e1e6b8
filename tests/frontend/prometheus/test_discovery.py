from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from callboard.core.catalog.commands import Register, SetPhase, Target
from callboard.model.check import Status
from callboard.model.instance import InstanceSpec, NodeSpec, Phase
from callboard.net.http.message import Read
from callboard.testing.frontend_suite_harnesses import PrometheusHarness
from callboard.testing.frontend_suite_kit import Example, Sample, World

HARNESS = PrometheusHarness()
HOME = NodeSpec(name="callboard", address="127.0.0.1", implicit=True)


@pytest.fixture
def world() -> Iterator[World]:
    with World((HARNESS,)) as world:
        yield world


def register(world: World, service: str, instance: str, port: int = 80, **fields: Any) -> None:
    spec = InstanceSpec(service=service, id=instance, port=port, **fields)
    world.submit(Register(nonce=instance, node=HOME, instance=spec, namespace=spec.namespace))


def read(world: World, query: str = "") -> Read:
    found = world.door(HARNESS).exchange(Sample("GET", f"/sd/prometheus{query}")).read
    assert found is not None
    return found


def groups(world: World, query: str = "") -> list[dict[str, Any]]:
    decoded: list[dict[str, Any]] = msgspec.json.decode(read(world, query).render().answer.body)
    return decoded


def ids(world: World, query: str = "") -> list[str]:
    return [group["labels"]["__meta_callboard_id"] for group in groups(world, query)]


def test_each_instance_is_a_group_with_its_own_labels(world: World) -> None:
    register(world, "web", "web-1", 8080, address="2001:db8::1", tags=("blue", "v2"), meta={"git-sha": "abc"})
    assert groups(world) == [{
        "targets": ["[2001:db8::1]:8080"],
        "labels": {
            "__meta_callboard_service": "web", "__meta_callboard_id": "web-1", "__meta_callboard_node": "callboard",
            "__meta_callboard_namespace": "public", "__meta_callboard_status": "passing", "__meta_callboard_phase": "serving",
            "__meta_callboard_tags": ",blue,v2,", "__meta_callboard_meta_git_sha": "abc",
        },
    }]  # fmt: skip


def test_services_any_of_them_and_tags_all_of_them(world: World) -> None:
    for service in ("web", "db", "cache"):
        register(world, service, service, tags=("a", service))
    assert ids(world) == ["cache", "db", "web"]
    assert ids(world, "?service=web&service=DB") == ["db", "web"]
    assert ids(world, "?tag=a") == ["cache", "db", "web"]
    assert ids(world, "?tag=a&tag=db") == ["db"]


def test_a_sick_target_is_listed_with_its_status_unless_only_passing_ones_are_wanted(world: World) -> None:
    for instance in ("well", "sick", "draining"):
        register(world, "web", instance)
    world.report(Example("web", "sick", 80), Status.CRITICAL)
    world.submit(SetPhase(Target("callboard", "draining"), Phase.DRAINING))
    assert ids(world) == ["draining", "sick", "well"]
    assert ids(world, "?passing_only=true") == ["well"]


def test_without_a_port_it_is_no_target(world: World) -> None:
    register(world, "web", "web-1", 0)
    assert ids(world) == []


def test_the_servers_own_entry_is_listed_only_when_it_is_asked_for(world: World) -> None:
    assert ids(world) == []
    assert ids(world, "?service=consul") == ["consul"]


def test_namespaces_are_apart(world: World) -> None:
    register(world, "web", "there", namespace="blue")
    assert ids(world) == []
    assert ids(world, "?namespace=blue") == ["there"]


def test_an_order_of_parameters_is_no_other_answer(world: World) -> None:
    assert read(world, "?service=a&service=b&tag=x&tag=y").key == read(world, "?tag=y&tag=x&tag=x&service=B&service=a").key


@pytest.mark.parametrize("query", ["?services=web", "?passing_only=maybe", "?service=", "?" + "&".join(f"service={n}" for n in range(65))])
def test_a_wrong_parameter_is_refused_with_a_line_of_text(world: World, query: str) -> None:
    answer = world.door(HARNESS).call("GET", f"/sd/prometheus{query}")
    assert (answer.status, answer.content_type) == (400, b"text/plain; charset=utf-8")
    assert answer.body.count(b"\n") == 1
