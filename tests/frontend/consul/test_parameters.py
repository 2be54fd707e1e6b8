"""Parameters and header fields that all reads share."""

import pytest

from callboard.frontend.consul.settings import ConsulSettings
from callboard.model.time import MINUTE, SECOND
from callboard.net.http.message import Read
from tests.frontend.consul.harness import consul
from tests.support import run

READS = (
    "catalog/nodes", "catalog/services", "catalog/service/web", "catalog/node/n", "catalog/node-services/n", "health/service/web",
    "health/checks/web", "health/node/n", "health/state/any",
)  # fmt: skip
AGENT_READS = ("agent/services", "agent/checks", "agent/self", "agent/members", "agent/service/consul", "agent/health/service/id/x")


@pytest.mark.parametrize("path", READS)
def test_every_read_says_how_it_was_answered(path: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            for query, consistency in (("", "leader"), ("?stale", "stale"), ("?consistent=", "consistent"), ("?max_stale=5s", "stale")):
                headers = dict((await door.ask("GET", f"/v1/{path}{query}")).headers)
                assert int(headers.pop("x-consul-index")) >= 1
                assert headers == {
                    "x-consul-default-acl-policy": "allow", "x-consul-effective-consistency": consistency, "x-consul-knownleader": "true",
                    "x-consul-lastcontact": "0", "x-consul-query-backend": "blocking-query",
                }  # fmt: skip
            cached = (await door.ask("GET", f"/v1/{path}?cached")).headers
            assert (cached["x-cache"], cached["age"]) == ("HIT", "0")

    run(scenario())


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("stale&consistent", 400, "Cannot specify ?stale with ?consistent, conflicting semantics."),
        ("cached&consistent", 400, "Cannot specify ?cached with ?consistent, conflicting semantics."),
        ("wait=soon", 400, "Invalid wait time"),
        ("index=-1", 400, "Invalid index"),
        ("index=1.5", 400, "Invalid index"),
        ("index=18446744073709551616", 400, "Invalid index"),
        ("max_stale=x", 400, 'Invalid max_stale value "x"'),
        ("dc=dc2", 500, "No path to datacenter"),
        ("dc=dc1&datacenter=dc2", 500, "No path to datacenter"),
        ("ns=team", 400, 'Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature'),
        ("partition=p", 400, 'Invalid query parameter: "partition" - Partitions are a Consul Enterprise feature'),
        ("filter=a+%3D%3D+b", 400, "filter expressions are not built yet; use ?tag=, ?node-meta= or ?passing, or select at the client"),
        ("sg=p", 400, "sameness groups are not built yet; leave out ?sg="),
    ],
)
def test_what_a_read_cannot_do_is_refused_in_consuls_words(path: str, query: str, status: int, text: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            got = await door.ask("GET", f"/v1/{path}?{query}")
            assert (got.status, got.text) == (status, text)

    run(scenario())


@pytest.mark.parametrize("path", READS + AGENT_READS)
def test_default_spellings_are_accepted_and_pretty_is_indented(path: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            plain = await door.ask("GET", f"/v1/{path}")
            same = await door.ask("GET", f"/v1/{path}?dc=dc1&ns=default&partition=default&filter=&near=_agent&token=root&index=0&wait=")
            assert same.body == plain.body
            pretty = await door.ask("GET", f"/v1/{path}?pretty")
            if plain.status == 200 and plain.body not in {b"null", b"[]", b"{}"}:
                assert pretty.body.endswith(b"\n")
                assert b"\n    " in pretty.body
                assert pretty.json() == plain.json()

    run(scenario())


@pytest.mark.parametrize("path", AGENT_READS)
def test_the_agent_refuses_namespaces_and_filters_too(path: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            assert (await door.ask("GET", f"/v1/{path}?ns=team")).status == 400
            assert (await door.ask("GET", f"/v1/{path}?filter=x")).status == 400
            if path != "agent/members":
                got = await door.ask("GET", f"/v1/{path}", headers={"x-consul-namespace": "team"})
                assert (got.status, got.text) == (400, 'Invalid header: "X-Consul-Namespace" - Namespaces are a Consul Enterprise feature')

    run(scenario())


@pytest.mark.parametrize(
    ("wait", "nanoseconds"),
    [
        ("", 5 * MINUTE),
        ("&wait=10s", 10 * SECOND),
        ("&wait=20ms", SECOND // 50),
        ("&wait=1h", 10 * MINUTE),
        ("&wait=-1s", 5 * MINUTE),
        ("&wait=0", 5 * MINUTE),
    ],
)
def test_a_wait_is_as_said_within_the_limits(wait: str, nanoseconds: int) -> None:
    async def scenario() -> None:
        async with consul() as door:
            reply = door.reply("GET", f"/v1/health/service/web?index=3{wait}")
            assert isinstance(reply, Read)
            assert (reply.after, reply.wait) == (3, nanoseconds)
        async with consul(ConsulSettings(wait_default_ms=1000, wait_max_ms=2000)) as door:
            reply = door.reply("GET", f"/v1/health/service/web?index=3{wait}")
            assert isinstance(reply, Read)
            assert reply.wait <= 2 * SECOND

    run(scenario())


def test_equal_questions_share_an_answer_and_different_ones_do_not() -> None:
    async def scenario() -> None:
        async with consul() as door:
            path = "/v1/health/service/web"
            shared = ["", "?index=5&wait=1s", "?token=root", "?near=x"]
            other = [
                "?passing",
                "?tag=a",
                "?tag=a&tag=b",
                "?tag=b&tag=a&passing",
                "?stale",
                "?consistent",
                "?cached",
                "?pretty",
                "?node-meta=a:b",
            ]
            keys = {query: reply.key for query in shared + other if isinstance(reply := door.reply("GET", path + query), Read)}
            assert len({keys[query] for query in shared}) == 1
            assert len(set(keys.values())) == 1 + len(other)

    run(scenario())
