"""The page about compatibility is what the code says, and the code has no route of Consul's that the page does not know."""

import asyncio
import re

import msgspec
import pytest

from tools.compatibility import (
    TARGET,
    asked_in,
    document,
    files_of_tests,
    files_that_name,
    is_built,
    ran_in,
    recorded_document,
    route_of,
    router,
    untested,
)
from tools.compatibility_rows import Row, rows

EXTRA = {("PUT", "/v1/operator/raft/transfer-leader")}
"""Routes that Consul's documentation names and its program does not have."""


def test_the_page_is_up_to_date() -> None:
    assert untested(TARGET.read_text("utf-8")) == untested(recorded_document()), "python -m tools.compatibility writes it"


def test_every_test_that_is_named_asks_its_endpoint() -> None:
    texts = files_of_tests()
    named = re.findall(r"^\| \w+ `(/v1/\S+)` \| yes \| ([^|]*) \|", TARGET.read_text("utf-8"), re.MULTILINE)
    assert len(named) > 60
    for path, files in named:
        asking = files_that_name(path, texts)
        assert set(re.findall(r"`([^`]+)`", files)) <= set(asking), path


def test_every_route_there_is_has_a_line() -> None:
    built = asyncio.run(router())
    known = {(row.method, row.example.removesuffix("x") if row.example.endswith("/x") else row.example) for row in rows()}
    routes = {
        (method, path) for table in (built._exact, built._prefixes) for path, methods in table.items() for method in methods  # noqa: SLF001
    }  # fmt: skip
    assert routes - known == EXTRA


def test_no_line_is_there_twice() -> None:
    lines = [(row.method, row.path) for row in rows()]
    assert len(lines) == len(set(lines)) > 150


def test_every_endpoint_of_discovery_and_operation_is_built_and_tested() -> None:
    built = asyncio.run(router())
    later = ("/v1/agent/connect/", "/v1/operator/utilization")
    subjects = {"Agent", "Catalog", "Health", "Status", "Events", "Coordinates", "Operator", "Snapshots"}
    wanted = [row for row in rows() if row.subject in subjects and not row.path.startswith(later)]
    assert [(row.method, row.path) for row in wanted if not is_built(built, row)] == []
    page = TARGET.read_text("utf-8")
    assert [row for row in wanted if f"| {row.method} `{row.path}` | yes |  |" in page] == []


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/v1/agent/self", "/v1/agent/self"),
        ("GET", "/v1/agent/service/web", "/v1/agent/service/:id"),
        ("PUT", "/v1/agent/service/register", "/v1/agent/service/register"),
        ("PUT", "/v1/kv/a/b/c", "/v1/kv/:key"),
        ("GET", "/v1/query/x/execute", "/v1/query/:id/execute"),
        ("GET", "/v1/query/x", "/v1/query/:id"),
        ("GET", "/v1/nothing", ""),
        ("POST", "/v1/agent/self", ""),
    ],
)
def test_a_path_belongs_to_one_line(method: str, path: str, route: str) -> None:
    assert route_of(method, path) == route


def test_a_log_of_a_run_fills_the_page() -> None:
    log = b"""[{"client":"py-consul","version":"1.2","method":"GET","route":"/v1/agent/self","status_counts":{"200":1200}},
        {"client":"go","version":"1.33","method":"GET","route":"/v1/agent/self","status_counts":{"200":1,"500":2}}]"""
    page = document(log)
    assert "| py-consul | 1.2 | 1 | 1,200 |" in page
    assert "| go | 1.33 | 1 | 3 |" in page
    assert "| go, py-consul |" in page
    with pytest.raises(msgspec.ValidationError):
        asked_in(b'[{"client":"x"}]')


def test_a_page_tells_what_programs_were_seen_to_do() -> None:
    page = document(b"[]", b"""[{"program":"dig","version":"9.18","stories":["finds every type","is told what is not there"]}]""")
    assert "- **dig 9.18** (2): finds every type; is told what is not there." in page
    with pytest.raises(msgspec.ValidationError):
        ran_in(b'[{"program":"dig"}]')


def test_a_shorter_route_does_not_stand_for_what_is_below_it() -> None:
    built = asyncio.run(router())
    assert not is_built(built, Row("x", "GET", "/v1/agent/service/:id/more", "", ""))
    assert not is_built(built, Row("x", "GET", "/v1/agent/service/connect/leaf", "", ""))


def test_files_are_found_by_the_path_they_name() -> None:
    texts = {"a": 'ask("/v1/agent/service/web1")', "b": "agent/service/register", "c": "agent/services", "d": "agent/self/x"}
    assert files_that_name("/v1/agent/service/:id", texts) == ["a"]
    assert files_that_name("/v1/agent/service/register", texts) == ["b"]
    assert files_that_name("/v1/agent/services", texts) == ["c"]
    assert files_that_name("/v1/agent/self", texts) == []


def test_the_names_of_tests_are_all_that_is_not_compared() -> None:
    line = "| GET `/v1/agent/self` | yes | `a.py`, `b.py` | go |  |  |"
    assert untested(line) == untested(line.replace("`b.py`", "`c.py`")) == untested(line.replace("`a.py`, `b.py`", ""))
    assert untested(line) != untested(line.replace("go", "")) != untested(line.replace("yes", "no"))
