"""The description of the API and the API: whatever is described is taken, and whatever is taken is described."""

import re
import sys
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.frontend.native import table
from callboard.frontend.native.document import document
from callboard.frontend.native.errors import CODES, EVERYWHERE
from callboard.frontend.native.operations import Operation
from callboard.frontend.native.settings import NativeSettings
from callboard.model.rows import RefusalReason
from callboard.net.http.message import Route
from callboard.testing.frontend_suite_harnesses import NativeHarness
from callboard.testing.frontend_suite_http import routes_of
from callboard.testing.frontend_suite_kit import MadeRequest, World
from callboard.wire import native_parameters
from callboard.wire.native_words import PRINTABLE
from callboard.wire.url import Query
from tests.frontend.native.conftest import Api

TTL = {"ttl_ms": 10_000}


@pytest.fixture(scope="module")
def description() -> Any:
    return as_json(document(table.TABLE, NativeSettings()))


def as_json(value: msgspec.Struct) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def operations(description: Any) -> Iterator[tuple[str, str, Any]]:
    for path, item in description["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def nodes(value: Any) -> Iterator[Any]:
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(inner)


# -- one table


def test_every_route_is_an_operation_of_the_table_and_every_operation_is_a_route() -> None:
    with World((NativeHarness(),)) as world:
        served = sorted((route.method, route.path, route.quick) for route in routes_of(world.door(NativeHarness())))
    assert served == sorted((operation.method, operation.prefix, operation.quick) for operation in table.TABLE)


def test_the_document_is_served_as_it_is_made(api: Api) -> None:
    served = api.ok("GET", "/openapi.json")
    assert served == as_json(document(table.TABLE, NativeSettings()))
    assert {(method, path) for method, path, _ in operations(served)} == {(each.method, each.path) for each in table.TABLE}


def test_names_of_operations_are_their_own() -> None:
    assert len({operation.name for operation in table.TABLE}) == len(table.TABLE)


def test_every_reference_leads_somewhere_and_every_schema_is_referred_to(description: Any) -> None:
    named = {node["$ref"].rpartition("/")[2] for node in nodes(description) if isinstance(node, dict) and "$ref" in node}
    assert named - description["components"]["schemas"].keys() == set()
    assert description["components"]["schemas"].keys() - named == {"InstanceEvent", "MarkEvent"}, "data of events are named in words only"


def test_everything_has_a_description(description: Any) -> None:
    for method, path, operation in operations(description):
        assert operation["summary"].endswith("."), (method, path)
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], (method, path, parameter["name"])
    for name, schema in description["components"]["schemas"].items():
        assert schema["description"], name


def test_limits_that_can_be_set_are_those_in_force() -> None:
    schemas = document(table.TABLE, NativeSettings(checks_max_count=3, beats_max_count=7)).components.schemas
    assert schemas["Registration"]["properties"]["checks"]["maxItems"] == 3
    assert schemas["Beats"]["properties"]["beats"]["maxItems"] == 7


# -- parameters


class WatchedQuery(Query):
    """Tells what was asked of it."""

    def __init__(self, raw: str) -> None:
        super().__init__(raw)
        self.asked: set[str] = set()

    def get(self, name: str) -> str | None:
        self.asked.add(name)
        return super().get(name)

    def all(self, name: str) -> list[str]:
        self.asked.add(name)
        return super().all(name)

    def __contains__(self, name: str) -> bool:
        self.asked.add(name)
        return super().__contains__(name)


def asked(route: Route, sample: Any) -> set[str]:
    """The parameters that a handler looks at."""
    path, _, raw = sample.target.partition("?")
    request = MadeRequest(sample, path, path[len(route.path) :] if route.path.endswith("/") else "")
    request.query = query = WatchedQuery(raw)
    route.handler(request)
    return query.asked


@pytest.mark.parametrize("operation", table.TABLE, ids=lambda operation: operation.name)
def test_a_handler_looks_at_the_parameters_of_its_operation_and_at_no_other(operation: Operation) -> None:
    harness = NativeHarness()
    with World((harness,)) as world:
        (route,) = (each for each in routes_of(world.door(harness)) if (each.method, each.path) == (operation.method, operation.prefix))
        looked: set[str] = set()
        for sample in harness.samples:
            path = sample.target.partition("?")[0]
            if sample.method == route.method and (path.startswith(route.path) if route.path.endswith("/") else path == route.path):
                looked |= asked(route, sample)
        world.settle()
    assert looked == (operation.known or frozenset())


@pytest.mark.parametrize("operation", [each for each in table.TABLE if each.known is not None], ids=lambda operation: operation.name)
def test_another_parameter_is_refused_by_name(api: Api, operation: Operation) -> None:
    path = operation.prefix.removeprefix("/api/v1") + ("web" if operation.name_in_path else "")
    assert api.problem(operation.method, f"{path}?nonsense=1") == (400, "invalid", "nonsense")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/services?after=1000000000000000000", "after"),
        ("/services?wait_ms=1000000000000000000", "wait_ms"),
        ("/resolve/web?limit=0", "limit"),
        ("/resolve/web?limit=1000000000000000000", "limit"),
        (f"/resolve/web?version={'1' * 257}", "version"),
        (f"/resolve/web?fallback={'1' * 257}", "fallback"),
        ("/resolve/web?label=%3D1", "label"),
        (f"/resolve/web?tag=v1&tag={'x' * 513}", "tag"),
        ("/resolve/web?prefer=best", "prefer"),
        ("/services?consistency=some", "consistency"),
        (f"/services?namespace={'x' * 256}", "namespace"),
        (f"/instances/x?node={'x' * 256}", "node"),
        ("/instances/", "id"),
        (f"/instances/{'x' * 256}", "id"),
        ("/resolve/", "service"),
        ("/watch?service=", "service"),
    ],
)
def test_a_parameter_beyond_its_limit_is_refused_by_name(api: Api, path: str, field: str) -> None:
    assert api.problem("GET", path) == (400, "invalid", field)


@pytest.mark.parametrize(
    "path",
    [
        f"/services?after=0&wait_ms={native_parameters.NUMBER_MAX}",
        f"/resolve/web?limit={native_parameters.NUMBER_MAX}",
        f"/services?namespace={'x' * 255}",
        f"/services/{'x' * 255}",
        f"/resolve/web?tag={'x' * 512}",
        "/resolve/web?label=a%3D&label=b%3D%3D",
    ],
)
def test_a_parameter_at_its_limit_is_taken(api: Api, path: str) -> None:
    assert api.ask("GET", path).status == 200


# -- bodies


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"ports": [{"name": "x" * 256, "port": 1, "default": True}]}, "ports"),
        ({"checks": [{"http": "http://a/", "interval_ms": 1000, "method": "x" * 50}]}, "checks[0].method"),
        ({"checks": [{"http": "http://a/", "interval_ms": 1000, "headers": {"a": "x" * 5000}}]}, "checks[0].headers"),
        ({"checks": [{"http": "http://a/", "interval_ms": 1000, "headers": {f"h{n}": "" for n in range(200)}}]}, "checks[0].headers"),
        ({"checks": [{"http": "http://a/", "interval_ms": 1000, "body": "x" * 500_000}]}, "checks[0].body"),
        ({"checks": [{"grpc": "a:1/" + "x" * 5000, "interval_ms": 1000}]}, "checks[0].grpc"),
    ],
)
def test_a_refused_registration_names_the_field_as_the_caller_wrote_it(api: Api, body: Any, field: str) -> None:
    assert api.problem("PUT", "/instances", {"service": "web"} | body) == (400, "invalid", field)


@pytest.mark.parametrize("name", ["id", "node", "namespace"])
def test_a_refused_beat_is_named_by_its_place(api: Api, name: str) -> None:
    beats = {"beats": [{"id": "web"}, {"id": "web"} | {name: "x" * 256}]}
    assert api.problem("POST", "/heartbeats", beats) == (400, "invalid", f"beats[1].{name}")


def at_limits(schema: Any) -> Iterator[tuple[Any, Any]]:
    """Values of a schema just within and just beyond its limits."""
    if "maxLength" in schema:
        yield "x" * schema["maxLength"], "x" * (schema["maxLength"] + 1)
    if "minimum" in schema:
        yield schema["minimum"], schema["minimum"] - 1
    if "maximum" in schema:
        yield schema["maximum"], schema["maximum"] + 1
    if "maxItems" in schema and schema["items"].get("type") == "string":
        yield ["x"] * schema["maxItems"], ["x"] * (schema["maxItems"] + 1)
        yield ["x" * schema["items"]["maxLength"]], ["x" * (schema["items"]["maxLength"] + 1)]
    if "maxProperties" in schema:
        many = {f"k{number}": "v" for number in range(schema["maxProperties"] + 1)}
        yield dict(list(many.items())[1:]), many
        yield {"k" * schema["propertyNames"]["maxLength"]: "v"}, {"k" * (schema["propertyNames"]["maxLength"] + 1): "v"}
        yield {"k": "v" * schema["additionalProperties"]["maxLength"]}, {"k": "v" * (schema["additionalProperties"]["maxLength"] + 1)}


def test_a_registration_is_taken_up_to_the_limits_of_its_schema_and_no_further(api: Api, description: Any) -> None:
    schemas = description["components"]["schemas"]
    tried = 0
    for name, schema in schemas["Registration"]["properties"].items():
        for within, beyond in at_limits(schema):
            assert api.ask("PUT", "/instances", {"service": "web", name: within}).status == 200, name
            assert api.problem("PUT", "/instances", {"service": "web", name: beyond}) == (400, "invalid", name)
            tried += 1
    for name, schema in schemas["Weights"]["properties"].items():
        for within, beyond in at_limits(schema):
            assert api.ask("PUT", "/instances", {"service": "web", "weights": {name: within}}).status == 200, name
            status, _, field = api.problem("PUT", "/instances", {"service": "web", "weights": {name: beyond}})
            assert (status, field.partition(".")[0]) == (400, "weights")
            tried += 1
    assert tried >= 15


@pytest.mark.parametrize("name", ["id", "name", "notes", "method", "headers", "body"])
def test_a_check_is_taken_up_to_the_limits_of_its_schema_and_no_further(api: Api, description: Any, name: str) -> None:
    probe = {"http": "http://192.0.2.7/", "interval_ms": 1000}
    for within, beyond in at_limits(description["components"]["schemas"]["CheckRequest"]["properties"][name]):
        assert api.ask("PUT", "/instances", {"service": "web", "checks": [{**probe, name: within}]}).status == 200, name
        status, code, field = api.problem("PUT", "/instances", {"service": "web", "checks": [{**probe, name: beyond}]})
        assert (status, code, field.split(" ")[-1].removeprefix("checks[0].")) == (400, "invalid", name)


@given(st.text(max_size=8))
def test_a_name_the_model_takes_fits_the_pattern(text: str) -> None:
    assert not text.isprintable() or re.search(PRINTABLE, text)


def test_the_pattern_of_names_lets_through_no_character_that_is_assigned_and_refused() -> None:
    control = [chr(code) for code in range(0xFFFF) if not chr(code).isprintable() and not 0xD800 <= code <= 0xDFFF]
    assert len(control) > 100
    assert all(re.fullmatch(PRINTABLE, char) is None for char in control if char.isspace() or ord(char) < 0xB0)
    assert all(re.fullmatch(PRINTABLE, chr(code)) for code in range(sys.maxunicode + 1) if chr(code).isprintable())


# -- errors


def test_every_code_of_a_refusal_is_described(description: Any) -> None:
    enumerated = set(description["components"]["schemas"]["Problem"]["properties"]["code"]["enum"])
    assert enumerated == CODES.keys()
    assert set(get_args(RefusalReason)) <= enumerated


def test_operations_name_codes_there_are() -> None:
    for operation in table.TABLE:
        assert {*operation.refusals, *EVERYWHERE} <= CODES.keys(), operation.name


@pytest.mark.parametrize("sample", NativeHarness.samples, ids=str)
def test_a_good_request_is_answered_as_described(sample: Any) -> None:
    with World((NativeHarness(),)) as world:
        door = world.door(NativeHarness())
        before = NativeHarness.samples[: NativeHarness.samples.index(sample)]
        exchange = [door.exchange(each) for each in (*before, sample)][-1]
    (operation,) = (each for each in table.TABLE if f"{each.method} {each.prefix}" == exchange.route)
    given = next(each for each in operation.given if each.status == exchange.answer.status)
    assert exchange.answer.content_type.decode() == given.content_type
    if given.struct is not None:
        msgspec.json.decode(exchange.answer.body, type=given.struct)
