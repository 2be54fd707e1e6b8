"""Parameters and header fields that all reads share."""

import pytest

from callboard.frontend.consul.settings import ConsulSettings
from callboard.model.time import MINUTE, SECOND
from callboard.net.http.message import Read
from tests.frontend.consul.harness import consul, served
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
            assert "x-cache" not in (await door.ask("GET", "/v1/catalog/datacenters")).headers
            assert (await door.ask("GET", "/v1/catalog/datacenters?cached")).headers["x-cache"] == "HIT"

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
        ("filter=a+%3D%3D+b", 500, 'Failed to create boolean expression evaluator: Selector "a" is not valid'),
        ("sg=p", 500, "sameness groups are not supported in consul CE"),
        ("sameness-group=p", 500, "sameness groups are not supported in consul CE"),
    ],
)
def test_what_a_read_cannot_do_is_refused_in_consuls_words(path: str, query: str, status: int, text: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            got = await door.ask("GET", f"/v1/{path}?{query}")
            assert (got.status, got.text) == (status, text)

    run(scenario())


@pytest.mark.parametrize("path", ["catalog/datacenters", "event/list"])
def test_what_is_known_of_every_data_centre_is_answered_for_any(path: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            assert await door.get(f"/v1/{path}?dc=dc2") == await door.get(f"/v1/{path}")
            assert (await door.ask("GET", f"/v1/{path}?ns=team")).status == 400

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
def test_the_agent_refuses_namespaces_too(path: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            assert (await door.ask("GET", f"/v1/{path}?ns=team")).status == 400
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


def test_passing_is_a_truth_value() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", {"Name": "web", "Check": {"TTL": "1h"}})
            for value, count in [("", 0), ("=", 0), ("=1", 0), ("=true", 0), ("=T", 0), ("=0", 1), ("=false", 1), ("=F", 1)]:
                assert len(await door.get(f"/v1/health/service/web?passing{value}")) == count, value
            for value in ("maybe", "yes", "2", "tRUE"):
                got = await door.ask("GET", f"/v1/health/service/web?passing={value}")
                assert (got.status, got.text) == (400, "Invalid value for ?passing")

    run(scenario())


@pytest.mark.parametrize("path", ["catalog/service/web", "health/service/web"])
def test_tags_must_all_be_there_in_any_case(path: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", {"Name": "web", "Tags": ["v1", "Prod"]})
            for query, count in [("tag=v1", 1), ("tag=PROD", 1), ("tag=prod&tag=V1", 1), ("tag=prod&tag=v2", 0), ("tag=pro", 0)]:
                assert len(await door.get(f"/v1/{path}?{query}")) == count, query

    run(scenario())


@pytest.mark.parametrize("path", ["catalog/nodes", "catalog/services", "catalog/service/web", "health/service/web", "health/checks/web"])
def test_node_meta_must_all_be_there_exactly(path: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            service = {"Service": {"Service": "web"}, "Check": {"Name": "c", "ServiceID": "web"}}
            await door.put("/v1/catalog/register", {"Node": "n1", "Address": "10.0.0.1", "NodeMeta": {"a": "b", "url": "x:y"}} | service)
            wanted = [("a:b", 1), ("a:b&node-meta=url:x:y", 1), ("a:B", 0), ("A:b", 0), ("a:b&node-meta=c:d", 0), ("a", 0), ("c:", 0)]
            for meta, count in wanted:
                assert len(await door.get(f"/v1/{path}?node-meta={meta}")) == count, meta

    run(scenario())


IGNORED = ("leader", "merge-central-config", "token=t", "near=nobody", "use-cache", "peer=", "segment=x", "unknown=1")


@pytest.mark.parametrize("path", READS)
def test_what_is_accepted_and_ignored_changes_nothing(path: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", {"Name": "web", "Check": {"TTL": "1h"}})
            plain = await door.ask("GET", f"/v1/{path}")
            for query in IGNORED:
                assert await door.ask("GET", f"/v1/{path}?{query}") == plain, query

    run(scenario())


@pytest.mark.parametrize("path", READS)
def test_reads_take_no_other_method_and_say_which_they_take(path: str) -> None:
    async def scenario() -> None:
        async with served() as server:
            for method in ("HEAD", "POST", "PUT", "DELETE"):
                response = await server.client.request(method, f"/v1/{path}")
                text = "" if method == "HEAD" else f"method {method} not allowed"
                assert (response.status_code, response.headers["allow"], response.text) == (405, "OPTIONS,GET", text)
            response = await server.client.request("OPTIONS", f"/v1/{path}")
            assert (response.status_code, response.headers["allow"], response.text) == (200, "OPTIONS,GET", "")

    run(scenario())


def test_equal_questions_share_an_answer_and_different_ones_do_not() -> None:
    async def scenario() -> None:
        async with consul() as door:
            path = "/v1/health/service/web"
            shared = ["", "?index=5&wait=1s", "?token=root", "?merge-central-config", "?filter="]
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
                "?near=x",
                "?near=_agent",
                "?filter=Node.Node+!%3D+x",
                "?filter=Node.Node+!%3D+y",
            ]
            keys = {query: reply.key for query in shared + other if isinstance(reply := door.reply("GET", path + query), Read)}
            assert len({keys[query] for query in shared}) == 1
            assert len(set(keys.values())) == 1 + len(other)

    run(scenario())


HOT = ("/v1/health/service/consul", "/v1/catalog/services", "/v1/catalog/service/consul?stale", "/v1/health/state/any", "/v1/catalog/nodes")


@pytest.mark.parametrize("field", ["Namespace", "Partition"])
@pytest.mark.parametrize("path", HOT)
def test_a_namespace_in_a_header_is_refused_however_well_the_answer_is_known(path: str, field: str) -> None:
    async def scenario() -> None:
        async with served() as door:
            if field == "Partition" or path != "/v1/catalog/nodes":
                for _ in range(4):
                    assert (await door.get(path)).status_code == 200
                    refused = await door.get(path, **{f"X-Consul-{field}": "team"})
                    assert (refused.status_code, refused.text) == (
                        400, f'Invalid header: "X-Consul-{field}" - {field}s are a Consul Enterprise feature',
                    )  # fmt: skip
            assert (await door.get(path, **{f"X-Consul-{field}": "default"})).status_code == 200
            assert (await door.get("/v1/catalog/datacenters", **{f"X-Consul-{field}": "team"})).status_code == 200
            for _ in range(3):
                await door.get(path)
            hits = door.http.stats.hits
            for _ in range(3):
                await door.get(path)
            assert door.http.stats.hits == hits + 3

    run(scenario())


@pytest.mark.parametrize("path", ["/v1/health/service", "/v1/catalog/node", "/v1/agent/check/pass"])
def test_a_missing_last_slash_leads_to_the_path_that_has_it(path: str) -> None:
    async def scenario() -> None:
        async with served() as door:
            got = await door.get(f"{path}?passing&tag=a%26b")
            assert (got.status_code, got.headers["location"]) == (307, f"{path}/?passing=&tag=a%26b")
            assert "Temporary Redirect" in got.text
            assert (await door.get(f"{path}?%ff")).status_code == 400
            assert (await door.get("/v1/foo")).status_code == 404
            assert (await door.client.put("/v1/agent/check/pass")).headers["location"] == "/v1/agent/check/pass/"

    run(scenario())


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/v1//catalog/nodes?tag=a%26b", "/v1/catalog/nodes?tag=a%26b"),
        ("/v1/./health/service/w%20b", "/v1/health/service/w%20b"),
        ("/v1/x/../agent/service/register", "/v1/agent/service/register"),
        ("/v1/catalog//service", "/v1/catalog/service"),
    ],
)
def test_a_path_with_slashes_too_many_leads_to_the_one_that_was_meant(path: str, meant: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            got = await door.ask("PUT", path, {"Name": "web"})
            assert (got.status, got.headers["location"]) == (307, meant)

    run(scenario())
