"""Blocked queries whose read is kept by their line: whatever has happened since, it is what the handler would make of that line now.

A read names its answer by a key under which answers are shared, so what is compared is the read itself, and not only what is told.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.net.http.message import Read, Reply
from callboard.wire.url import Query
from tests.frontend.consul.harness import Asked, Consul, Served, consul, served
from tests.frontend.consul.test_blocking import WAKES, Write, index_of
from tests.support import run

LASTING = (
    "health/service/web", "health/service/web?passing", "health/service/WEB?tag=a&node-meta=n:1&passing=1&pretty",
    "health/service/none?cached", "health/service/web?peer=x", "health/service/web?near=n1&stale", "health/checks/web",
    "health/checks/web?node-meta=n:1&near=n1", "health/node/n1", "health/node/callboard", "health/state/any",
    "health/state/critical?node-meta=n:1", "health/state/passing?near=n2", "catalog/nodes", "catalog/nodes?node-meta=n:1&near=n1",
    "catalog/services", "catalog/services?node-meta=n:1", "catalog/service/web", "catalog/service/web?tag=a&tag=b&near=n1",
    "catalog/service/consul", "catalog/node/n1", "catalog/node/none", "catalog/node-services/n1", "catalog/connect/web",
    "health/connect/web?passing", "health/connect/web?tag=a&near=n1", "health/ingress/web", "catalog/gateway-services/web",
    "coordinate/nodes", "coordinate/nodes?node-meta=n:1&segment=", "coordinate/node/n1", "event/list", "event/list?name=deploy",
)  # fmt: skip
"""Of every handler that says so, what leads it through its branches."""
NOT_LASTING = {
    "health/service/web?filter=Service.Port==1": "what a filter judged of a view counts against it",
    "catalog/connect/web?filter=ServicePort==1": "the same",
    "health/service/web?near=_agent": "the caller's own node",
    "health/service/web?consistent": "it waits until the view shows everything that was acknowledged before",
    "health/service/web?max_stale=1h": "how old the view is decides",
    "catalog/node/abcd": "a name, or when that node is gone the beginning of an ID",
    "catalog/node/dcba": "the beginning of an ID, or when there is such a node a name",
    "catalog/node-services/11111111-2222-3333-4444-555555555555": "the same",
    "agent/services": "the caller's own node",
    "agent/checks": "the caller's own node",
    "agent/service/web1?hash=0000": "the caller's own node, and what the service is now",
}
"""What must not be kept, and why."""
NODE_ID = "abcd1111-2222-3333-4444-555555555555"
Change = Callable[[Consul, int], Awaitable[Any]]


class Anybody(Mapping[str, str]):
    """Header fields that nobody may look at."""

    def __getitem__(self, name: str) -> NoReturn:
        raise AssertionError(f"the header field {name} was looked at")

    def __iter__(self) -> NoReturn:
        raise AssertionError("the header fields were looked at")

    __len__ = __iter__


class AskedByAnybody(Asked):
    """A request that says nothing but its line."""

    def __init__(self, path: str, rest: str, query: str) -> None:
        super().__init__("GET", path, rest, b"", Query(query), Anybody(), "", "")

    def __getattribute__(self, name: str) -> Any:
        assert name not in {"peer", "local"}, "the caller's address was looked at"
        return super().__getattribute__(name)


def line_of(target: str, index: int, wait: str = "10s") -> str:
    return f"/v1/{target}{'&' if '?' in target else '?'}index={index}&wait={wait}"


def ask(door: Consul, line: str) -> Reply:
    """What the handler says, who may look at the line only."""
    path, _, query = line.partition("?")
    route = door.routes(path)["GET"]
    return route.handler(AskedByAnybody(path, path.removeprefix(route.path), query))


def lasting_read(door: Consul, line: str) -> Read:
    read = ask(door, line)
    assert isinstance(read, Read)
    assert read.lasting is not None, line
    assert read.lasting(), line
    return read


async def _instance(door: Consul, number: int) -> None:
    body: dict[str, object] = {
        "Name": ("web", "Web", "api")[number % 3],
        "ID": f"i{number % 4}",
        "Port": number,
        "Tags": ["a", "b"][: number % 3],
    }
    if number % 5 == 0:
        body |= {"Kind": "connect-proxy", "Proxy": {"DestinationServiceName": "web"}}
    await door.ask("PUT", f"/v1/agent/service/register?node=n{number % 3}", body)


async def _check(door: Consul, number: int) -> None:
    body: dict[str, object] = {"Name": f"c{number % 2}", "TTL": "1h", "Status": ("passing", "warning", "critical")[number % 3]}
    if number % 2:
        body["ServiceID"] = f"i{number % 4}"
    await door.ask("PUT", f"/v1/agent/check/register?node=n{number % 3}", body)


async def _gone(door: Consul, number: int) -> None:
    await door.ask("PUT", f"/v1/agent/service/deregister/i{number % 4}?node=n{number % 3}")


async def _node(door: Consul, number: int) -> None:
    name = ("n1", "n2", "abcd", "other")[number % 4]
    body = {"Node": name, "Address": f"10.0.0.{number % 9}", "NodeMeta": {"n": str(number % 2)}}
    await door.ask("PUT", "/v1/catalog/register", body | ({"ID": NODE_ID} if name == "other" else {}))


async def _node_gone(door: Consul, number: int) -> None:
    await door.ask("PUT", "/v1/catalog/deregister", {"Node": ("n1", "n2", "abcd", "other")[number % 4]})


async def _coordinate(door: Consul, number: int) -> None:
    place = {"Vec": [number / 100] + [0.0] * 7, "Error": 1.5, "Adjustment": 0.0, "Height": 0.001}
    await door.ask("PUT", "/v1/coordinate/update", {"Node": f"n{number % 3}", "Coord": place})


async def _event(door: Consul, number: int) -> None:
    await door.ask("PUT", f"/v1/event/fire/{('deploy', 'other')[number % 2]}", b"x")


async def _reload(door: Consul, _number: int) -> None:
    """The catalog is loaded anew, as when the store cannot tell what has happened since: there is another view."""
    before = door.registry.view
    await door.registry._following._reload()  # noqa: SLF001  # else a store would have to fail here
    assert door.registry.view is not before


CHANGES: tuple[Change, ...] = (_instance, _check, _gone, _node, _node_gone, _coordinate, _event, _reload)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, 59)), min_size=1, max_size=25), st.integers(0, 3))
def test_whatever_happens_a_lasting_read_is_the_one_that_the_handler_would_make_now(changes: list[tuple[Change, int]], before: int) -> None:
    async def story() -> None:
        async with consul() as door:
            for change, number in changes[:before]:
                await change(door, number)
            index = door.registry.revision
            kept = {line: lasting_read(door, line) for line in (line_of(target, index) for target in LASTING)}
            for change, number in changes[before:]:
                await change(door, number)
                for line, read in kept.items():
                    now = lasting_read(door, line)
                    assert read.lasting is not None
                    assert read.lasting()
                    assert (read.key, read.topics, read.after, read.wait) == (now.key, now.topics, now.after, now.wait), line
                    assert (read.index_field, read.by_line) == (now.index_field, now.by_line)
                    assert read.render() == now.render(), line
                    assert read.standing is not None
                    assert now.standing is not None
                    assert read.standing() == now.standing()

    run(story())


@pytest.mark.parametrize("target", NOT_LASTING)
def test_what_depends_on_more_than_the_line_does_not_last(target: str) -> None:
    async def scenario() -> None:
        async with served() as server:
            await server.put("/v1/agent/service/register", {"Name": "web", "ID": "web1"})
            await server.put("/v1/catalog/register", {"Node": "abcd", "Address": "10.0.0.1"})
            recalled = server.http.stats.recalled
            for _ in range(5):
                await server.get(line_of(target, 1, "1ms"))
            assert server.http.stats.recalled == recalled, NOT_LASTING[target]

    run(scenario())


def test_every_read_that_blocks_is_looked_at_here() -> None:
    """Who adds one puts it into one of the lists."""

    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", {"Name": "web", "ID": "web1"})
            seen = (await door.ask("GET", "/v1/agent/service/web1")).headers["x-consul-contenthash"]
            looked_at = {door.routes("/v1/" + target.partition("?")[0])["GET"].path for target in (*LASTING, *NOT_LASTING)}
            writes = {route.path for route in door.site.routes if route.method != "GET"}
            blocking = set()
            for route in door.site.routes:
                if route.method == "GET" and route.quick and route.path not in writes:
                    reply = door.reply("GET", f"{route.path}{'web1' * route.path.endswith('/')}?index=1&hash={seen}")
                    if isinstance(reply, Read) and reply.after:
                        blocking.add(route.path)
            assert len(blocking) >= 17
            assert blocking <= looked_at

    run(scenario())


def test_an_index_that_the_view_has_not_reached_is_waited_for_each_time_and_nothing_is_kept_of_a_registry_that_is_not_ready() -> None:
    async def scenario() -> None:
        async with consul() as door:
            index = door.registry.revision
            ahead = ask(door, line_of("health/service/web", index + 1))
            assert isinstance(ahead, Read), "this member leads, so nobody can have seen more"
            assert ahead.lasting is not None
            assert not ahead.lasting()
            await door.put("/v1/agent/service/register", {"Name": "other"})
            assert ahead.lasting()
            door.registry.ready = False
            assert not ahead.lasting()
            door.registry.ready = True

    run(scenario())


async def _write(server: Served, write: Write) -> None:
    await server.put(f"/v1/{write[0]}", write[1])


@pytest.mark.parametrize(("path", "before", "change"), WAKES)
def test_two_clients_with_a_known_line_are_told_what_one_with_a_new_line_is_told(path: str, before: list[Write], change: Write) -> None:
    async def scenario() -> None:
        async with served() as server:
            for write in before:
                await _write(server, write)
            first = await server.get(f"/v1/{path}")
            seen = index_of(first)
            known, short = line_of(path, seen), line_of(path, seen, "1ms")
            for line in (known, short):
                for _ in range(2):
                    task = asyncio.create_task(server.get(line))
                    if line is known:
                        await server.parked(1)
                        server.http._hub.parked.release_all()  # noqa: SLF001  # as a stop does: answered, so that the line can be asked anew
                    assert (await task).content == first.content
            stats = server.http.stats
            recalled, timeouts = stats.recalled, stats.timeouts
            unchanged = await server.get(short)
            assert (unchanged.content, index_of(unchanged)) == (first.content, seen)
            assert (stats.recalled, stats.timeouts) == (recalled + 1, timeouts + 1), "it has waited"
            blocked = [asyncio.create_task(server.get(known)) for _ in range(2)]
            await server.parked(2)
            assert stats.recalled == recalled + 3
            await _write(server, change)
            woken = [await asyncio.wait_for(task, 60) for task in blocked]
            later = [await server.get(line) for line in (known, short)]
            assert stats.recalled == recalled + 5
            new = await server.get(line_of(path, seen) + "&x=new")
            assert stats.recalled == recalled + 5
            assert new.content != first.content
            for response in (*woken, *later):
                assert (response.status_code, response.content, index_of(response)) == (200, new.content, index_of(new))
            refused = await server.get(known, **{"X-Consul-Partition": "team"})
            assert refused.status_code == 400, "what a site judges of the header is judged all the same"

    run(scenario())
