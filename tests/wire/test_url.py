"""Request targets: a path that is cleaned stays as it is, and a target that is made means what it was made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.wire.url import Query, clean_path, decode_path, encoded_target, split_target

_PATHS = st.lists(st.sampled_from(["", ".", "..", "a", "v1", "ä b", "%", "?", "#"]), min_size=1, max_size=6).map(
    lambda parts: "/" + "/".join(parts)
)
_PAIRS = st.lists(st.tuples(st.text("aä&=+% ", max_size=3), st.text("aä&=+% ", max_size=3)), max_size=4)


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("/", "/"), ("//", "/"), ("/v1/catalog/nodes", "/v1/catalog/nodes"), ("//v1/catalog/nodes", "/v1/catalog/nodes"),
        ("/v1//catalog/./nodes/", "/v1/catalog/nodes/"), ("/a/../../b", "/b"), ("/..", "/"), ("/a/..", "/"), ("/a/b/../", "/a/"),
        ("/a...", "/a..."), ("//evil.example/x", "/evil.example/x"),
    ],
)  # fmt: skip
def test_a_path_is_cleaned(path: str, clean: str) -> None:
    assert clean_path(path) == clean


@given(_PATHS)
def test_a_clean_path_is_clean(path: str) -> None:
    clean = clean_path(path)
    assert clean_path(clean) == clean
    assert clean.startswith("/")
    assert not clean.startswith("//")
    assert not {".", ".."} & set(clean.split("/"))


@given(_PATHS, _PAIRS)
def test_a_target_means_what_it_was_made_of(path: str, pairs: list[tuple[str, str]]) -> None:
    query = Query("")
    query.pairs = pairs
    raw_path, raw_query = split_target(encoded_target(path, query))
    assert decode_path(raw_path) == path
    assert Query(raw_query).pairs == pairs
