"""How this door tells what is wrong."""

from typing import get_args

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.core.callers import HEADER
from callboard.frontend.consul.errors import ConsulErrors, refusal_answer
from callboard.frontend.consul.plugin import PLUGIN, build
from callboard.model.errors import InvalidError, UnavailableError
from callboard.model.rows import Refusal, RefusalReason
from callboard.net.http.server import HttpServer
from callboard.net.http.settings import HttpSettings
from tests.frontend.consul.harness import HERE, consul
from tests.frontend.consul.operations import operated
from tests.support import run


@pytest.mark.parametrize("reason", get_args(RefusalReason))
def test_every_refusal_has_a_status_and_a_text(reason: RefusalReason) -> None:
    answer = refusal_answer(Refusal(reason, "x"))
    assert 400 <= answer.status < 600
    assert answer.body
    assert answer.content_type.startswith(b"text/plain")


@pytest.mark.parametrize("path", ["/v1/kv/a", "/v1/session/list", "/v1/nope", "/v1/agent", "/v1/connect/ca/roots", "/v1/txn"])
def test_what_is_not_built_answers_like_an_unknown_path(path: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            got = await door.ask("GET", path)
            assert (got.status, got.text) == (404, "Invalid URL path: not a recognized HTTP API endpoint\n")

    run(scenario())


def test_another_method_is_told_which_there_are() -> None:
    async def scenario() -> None:
        async with consul() as door:
            for method, path, allowed in (("POST", "/v1/catalog/register", "OPTIONS,PUT"), ("PUT", "/v1/catalog/nodes", "OPTIONS,GET"),
                                          ("HEAD", "/v1/catalog/nodes", "OPTIONS,GET"), ("GET", "/v1/agent/service/register",
                                          "OPTIONS,PUT")):  # fmt: skip
                got = await door.ask(method, path)
                assert (got.status, got.headers["allow"], got.text) == (405, allowed, f"method {method} not allowed")
            got = await door.ask("OPTIONS", "/v1/catalog/nodes")
            assert (got.status, got.headers["allow"], got.body) == (200, "OPTIONS,GET", b"")

    run(scenario())


def test_errors_of_ours_are_not_shown() -> None:
    errors = ConsulErrors()
    assert (errors.failure(ValueError("secret")).status, errors.failure(ValueError("secret")).body) == (500, b"internal error")
    assert (errors.failure(InvalidError("port", "too high")).status, errors.failure(InvalidError("port", "too high")).body) == (
        400,
        b"port: too high",
    )
    assert errors.failure(UnavailableError("gone")).status == 503
    assert (errors.refused(413, "too large").status, errors.refused(413, "too large").body) == (413, b"too large")


def test_before_the_registry_is_ready_nobody_leads() -> None:
    async def scenario() -> None:
        async with consul(opened=False) as door:
            for method, path in (("GET", "/v1/health/service/web"), ("PUT", "/v1/agent/service/register"), ("GET", "/v1/agent/self")):
                got = await door.ask(method, path, b"{}")
                assert (got.status, got.text, got.headers["retry-after"]) == (503, "No cluster leader", "1")
            assert await door.get("/v1/status/leader") == ""
            assert await door.get("/v1/status/peers") == []
            await door.registry.open()
            assert await door.get("/v1/status/leader") == "127.0.0.1:8300"

    run(scenario())


def test_a_registration_is_told_that_nobody_leads_before_what_is_wrong_with_it_also_by_its_short_way() -> None:
    async def scenario() -> None:
        async with consul(opened=False) as door:
            http = HttpServer(door.frontend.sites, HttpSettings(), lambda: door.registry.revision)
            ((host, port), *_) = await http.start(HERE, 0)
            try:
                async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=60, headers={HEADER: "x" * 300}) as client:
                    for _ in range(3):  # until its fields are known
                        got = await client.put("/v1/agent/service/register", content=b"{}")
                        assert (got.status_code, got.text) == (503, "No cluster leader")
                    await door.registry.open()
                    got = await client.put("/v1/agent/service/register", content=b"{}")
                    assert (got.status_code, got.text) == (400, "node: must have at most 255 characters, has 300")
            finally:
                await http.stop(1.0)

    run(scenario())


def test_the_plugin_builds_one_site() -> None:
    async def scenario() -> None:
        async with consul(opened=False) as door:
            (site,) = build(door.registry, PLUGIN.settings()).sites
            assert (PLUGIN.name, site.prefix) == ("consul", "/v1")
            assert len({(route.method, route.path) for route in site.routes}) == len(site.routes)

    run(scenario())


# -- anything on any route

_values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=6)
    | st.sampled_from(["10s", "passing", "web", "callboard", "127.0.0.1:80"])
)
_names = st.sampled_from(["Name", "ID", "Node", "Address", "Service", "Check", "Checks", "CheckID", "ServiceID", "TTL", "HTTP", "TCP",
"Interval", "Port",
                          "Tags", "Meta", "Status", "Output", "Weights", "TaggedAddresses"])  # fmt: skip
_bodies = st.dictionaries(
    _names, st.recursive(_values, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_names, inner, max_size=4), max_leaves=8)
)
_queries = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "index",
                "wait",
                "stale",
                "consistent",
                "cached",
                "passing",
                "tag",
                "node-meta",
                "pretty",
                "dc",
                "node",
                "enable",
                "note",
                "hash",
            ]
        ),
        st.sampled_from(["", "1", "10s", "true", "x", "%C3%A4", "a:b", "-1"]),
    ),
    max_size=3,
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))
_OURS = {
    "CheckID", "No path to datacenter", "Unknown service ID", "Failed to join", "agent: No node found", "id ", "address ",
    "cannot find peer", "no keyring", "Network segments are not supported", "Cannot provide tag filter", "Invalid service filter",
}  # fmt: skip
"""How the texts of 500 begin that are Consul's own."""


@given(
    number=st.integers(0, 10_000), rest=st.text(st.characters(categories=["L", "N", "P"]), max_size=6) | st.sampled_from(["web",
    "callboard", "consul"]),
    query=_queries, body=_bodies | st.binary(max_size=40),
)  # fmt: skip
def test_any_request_is_answered_and_a_refused_one_changes_nothing(number: int, rest: str, query: str, body: object) -> None:
    async def scenario() -> None:
        async with consul() as door:
            operated(door).talks = True
            route = door.site.routes[number % len(door.site.routes)]
            revision = door.registry.revision
            path = route.path + rest.replace("?", "%3F").replace("%", "%25") if route.path.endswith("/") else route.path
            got = await door.ask(route.method, f"{path}?{query}", body)
            assert got.status < 500 or any(got.text.startswith(text) for text in _OURS) or route.path.startswith("/v1/agent/health")
            assert got.status == 200 or door.registry.revision == revision

    run(scenario())
