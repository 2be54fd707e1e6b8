import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.net.http.message import Answer, Request, Route, Site
from callboard.net.http.request import LongRequest, Origin
from callboard.net.http.routing import Missing, PlainErrors, Router


def handler(request: Request) -> Answer:
    return Answer()


def router(*routes: tuple[str, str]) -> Router:
    return Router((Site("/", tuple(Route(method, path, handler) for method, path in routes), PlainErrors()),))


def found(table: Router, method: str, path: str) -> tuple[str, str]:
    answer = table.find(method, path)
    assert not isinstance(answer, Missing)
    return answer[0].route.path, answer[1]


def test_exact_paths_win_then_the_longest_prefix() -> None:
    table = router(("GET", "/a/"), ("GET", "/a/b/"), ("GET", "/a/b"), ("GET", "/a/b/c"), ("PUT", "/a/b/"))
    assert found(table, "GET", "/a/") == ("/a/", "")
    assert found(table, "GET", "/a/x/y") == ("/a/", "x/y")
    assert found(table, "GET", "/a/b") == ("/a/b", "")
    assert found(table, "GET", "/a/b/") == ("/a/b/", "")
    assert found(table, "GET", "/a/b/c") == ("/a/b/c", "")
    assert found(table, "GET", "/a/b/c/d") == ("/a/b/", "c/d")
    assert found(table, "PUT", "/a/b/x") == ("/a/b/", "x")
    assert isinstance(table.find("GET", "/a"), Missing)
    assert isinstance(table.find("GET", "a/"), Missing)


def test_the_root_is_no_prefix_of_everything() -> None:
    table = router(("GET", "/"))
    assert found(table, "GET", "/") == ("/", "")
    assert isinstance(table.find("GET", "/a"), Missing)


def test_the_most_specific_path_decides_before_the_method() -> None:
    table = router(("GET", "/a/"), ("PUT", "/a/b"), ("POST", "/a/b"), ("PUT", "/a/c/"))
    assert table.find("GET", "/a/b") == Missing(("PUT", "POST"), table.errors("/a/b"))
    assert table.find("GET", "/a/c/x") == Missing(("PUT",), table.errors("/"))
    assert table.find("GET", "/b") == Missing((), table.errors("/"))


def test_errors_are_told_by_the_site_with_the_longest_prefix() -> None:
    class Errors(PlainErrors):
        pass

    root, v1, api = Errors(), Errors(), Errors()
    table = Router((Site("/v1", (), v1), Site("/", (), root), Site("/api/", (), api)))
    assert [table.errors(path) for path in ("/v1", "/v1/x", "/v10", "/api/v1", "/api", "/", "")] == [v1, v1, root, api, api, root, root]
    assert Router(()).errors("/x") is not None


def test_contradictions_are_found_at_assembly() -> None:
    with pytest.raises(ValueError, match="two routes for GET /a"):
        router(("GET", "/a"), ("GET", "/a"))
    with pytest.raises(ValueError, match="must start with /"):
        router(("GET", "a"))


@given(st.lists(st.sampled_from(["a", "b", "", "%2F"]), max_size=6), st.sets(st.sampled_from(["/a/", "/a/b/", "/a/b/a/", "//", "/b/"])))
def test_the_longest_prefix_is_found_as_by_trying_all(parts: list[str], prefixes: set[str]) -> None:
    path = "/" + "/".join(parts)
    table = router(*(("GET", prefix) for prefix in sorted(prefixes)))
    expected = max((prefix for prefix in prefixes if path.startswith(prefix)), key=len, default=None)
    answer = table.find("GET", path)
    assert (None if isinstance(answer, Missing) else answer[0].route.path) == expected


def test_a_path_of_nothing_but_slashes_costs_no_more_than_the_deepest_route() -> None:
    assert isinstance(router(("GET", "/a/"), ("GET", "/a/b/")).find("GET", "/" * 16_000 + "x"), Missing)


def test_paths_of_no_site_are_told_plainly() -> None:
    errors = Router(()).plain
    request = LongRequest("PUT", "/x", "", b"", Origin([], None, None))
    assert errors.unknown_path(request).status == 404
    assert errors.wrong_method(request, ("GET", "HEAD")).headers == ((b"allow", b"GET, HEAD"),)
    assert errors.failure(RuntimeError("secret")) == Answer(500, b"internal error\n", b"text/plain; charset=utf-8")
    assert errors.refused(413, "too large").body == b"too large\n"
    assert (request.peer, request.local) == ("", "")
