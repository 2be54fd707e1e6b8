"""What is kept of answers from one rendering to the next: after any changes it says what an answer made from scratch says."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.core.catalog import queries
from callboard.core.catalog.fragments import Fragments
from callboard.core.catalog.queries import Found
from callboard.frontend.consul.translate_answers import Scene
from tests.frontend.consul.harness import Consul, consul
from tests.support import run

WEB = "/v1/health/service/web"
CATALOG = "/v1/catalog/service/web"
SERVICES = "/v1/catalog/services"
Change = Callable[[Consul, int], Awaitable[Any]]


async def _register(door: Consul, number: int) -> None:
    await door.put("/v1/agent/service/register", {"Name": "Web", "ID": f"w{number % 5}", "Port": number}, peer=f"10.0.0.{number % 3 + 1}")


async def _register_check(door: Consul, number: int) -> None:
    body = {"Name": f"c{number % 2}", "ServiceID": f"w{number % 5}", "TTL": "1h", "Status": "passing" if number % 7 else "warning"}
    await door.ask("PUT", "/v1/agent/check/register", body, peer=f"10.0.0.{number % 3 + 1}")


async def _register_node_check(door: Consul, number: int) -> None:
    body = {"Name": f"n{number % 2}", "TTL": "1h", "Status": "passing" if number % 7 else "warning"}
    await door.ask("PUT", "/v1/agent/check/register", body, peer=f"10.0.0.{number % 3 + 1}")


async def _turn(door: Consul, number: int) -> None:
    word, check = ("pass", "warn", "fail")[number % 3], f"{'cn'[number % 2]}{number // 2 % 2}"
    await door.ask("PUT", f"/v1/agent/check/{word}/{check}?note={number}", peer=f"10.0.0.{number % 3 + 1}")


async def _remove_check(door: Consul, number: int) -> None:
    await door.ask("PUT", f"/v1/agent/check/deregister/{'cn'[number % 2]}{number // 2 % 2}", peer=f"10.0.0.{number % 3 + 1}")


async def _remove(door: Consul, number: int) -> None:
    await door.ask("PUT", f"/v1/agent/service/deregister/w{number % 5}", peer=f"10.0.0.{number % 3 + 1}")


async def _rename(door: Consul, number: int) -> None:
    await door.put("/v1/agent/service/register", {"Name": "other", "ID": f"w{number % 5}"}, peer=f"10.0.0.{number % 3 + 1}")


async def _change_node(door: Consul, number: int) -> None:
    body = {"Node": f"10-0-0-{number % 3 + 1}", "Address": "10.9.9.9", "NodeMeta": {"n": str(number)}}
    await door.put("/v1/catalog/register", body)


async def _drain(door: Consul, number: int) -> None:
    await door.ask("PUT", f"/v1/agent/service/maintenance/w{number % 5}?enable={'ft'[number % 2]}", peer=f"10.0.0.{number % 3 + 1}")


CHANGES: tuple[Change, ...] = (
    _register, _register_check, _register_node_check, _turn, _remove_check, _remove, _rename, _change_node, _drain,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, 209), st.booleans()), max_size=30))
def test_an_answer_of_parts_is_the_answer_from_scratch(changes: list[tuple[Change, int, bool]]) -> None:
    async def story() -> None:
        async with consul() as door:
            for number in range(4):
                await _register(door, number)
            scene = Scene("dc1", "callboard", 100)
            for change, number, looks in changes:
                await change(door, number)
                view = door.registry.view
                if not looks:
                    continue
                found = queries.instances_of(view, "public", "web")
                got = await door.ask("GET", WEB)
                assert got.body == msgspec.json.encode([scene.health(one) for one in found])
                assert (await door.ask("GET", CATALOG)).body == msgspec.json.encode([scene.service_node(one) for one in found])
                assert (await door.ask("GET", SERVICES)).body == msgspec.json.encode(queries.services(view, "public"))
                assert (await door.get(WEB + "?passing")) == [one for one in got.json() if _all_pass(one)]

    run(story())


def _id_and_output(found: Found) -> bytes:
    return msgspec.json.encode((found.instance.id, [check.output for check in found.checks]))


def _all_pass(entry: dict[str, Any]) -> bool:
    return all(check["Status"] == "passing" for check in entry["Checks"])


def test_what_did_not_change_is_not_encoded_again() -> None:
    async def story() -> None:
        async with consul() as door:
            for number in range(3):
                await door.put("/v1/agent/service/register", {"Name": "web", "ID": f"w{number}", "Check": {"TTL": "1h"}})
            fragments = Fragments(_id_and_output, 1_000_000)
            fragments.of_service(door.registry.view, "public", "web")
            before = fragments.of_service(door.registry.view, "public", "web")
            await door.put("/v1/agent/check/pass/service:w1")
            after = fragments.of_service(door.registry.view, "public", "WEB")
            assert [old is new for old, new in zip(before, after, strict=True)] == [True, False, True]

    run(story())


def test_bytes_are_bounded_and_come_back() -> None:
    async def story() -> None:
        async with consul() as door:
            for service in range(20):
                for number in range(3):
                    await door.put("/v1/agent/service/register", {"Name": f"s{service}", "ID": f"s{service}-{number}"})
            limit = 15_000
            fragments = Fragments(_id_and_output, limit)
            for _ in range(3):
                for service in range(20):
                    assert len(fragments.of_service(door.registry.view, "public", f"s{service}")) == 3
                    assert 0 < fragments.weight <= limit
            for service in range(20):
                for number in range(3):
                    await door.put(f"/v1/agent/service/deregister/s{service}-{number}")
                assert fragments.of_service(door.registry.view, "public", f"s{service}") == []
            for service in range(200):  # services that there are not are not kept
                assert fragments.of_service(door.registry.view, "public", f"none{service}") == []
            assert fragments.weight <= 20 * 400

    run(story())
