"""Requests nobody should send, made by hypothesis from the good ones of a harness: odd paths, parameters, header fields and bodies."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from callboard.core.callers import HEADER
from callboard.net.http.message import Route
from callboard.testing.frontend_suite_kit import LOOPBACK, Sample
from callboard.wire.url import split_target

_TEXTS: Final = (
    "", " ", "0", "1", "-1", "true", "9" * 30, "1e3", "x" * 300, "a/b", "ünï", "\0", "\r\nx: y", "%", "..", "*", "callboard", "consul",
    "::1", "::", "999999h", "5s", "web:80", "http://[", "http://localhost/\r\n", "service:web-1", "serfHealth", "\U0001f600",
)  # fmt: skip
_VALUES: Final[tuple[Any, ...]] = (
    *_TEXTS, "\ud800", None, True, False, 0, -1, 1.5, 1e308, 65_536, 2**31, 2**63, 10**30,
    [], {}, [[]], [None], {"a": {}}, {"a": 1}, ["a", "a"], {"": ""},
)  # fmt: skip
_GARBAGE: Final = (b"", b"{}", b"[]", b"null", b'{"', b"\xff\xfe", b"[" * 1000, b'{"a":' * 200)
_PEERS: Final = (LOOPBACK, "10.1.2.3", "fe80::1%eth0", "::ffff:10.0.0.9", "")
_HEADERS: Final = (HEADER, "last-event-id", "content-type", "x-consul-namespace")
Place = tuple[str | int, ...]


def requests(route: Route, samples: Sequence[Sample]) -> SearchStrategy[Sample]:
    """Requests for one route; about half of them differ from a good one in a single thing."""
    texts = st.sampled_from([*_TEXTS, *sorted(_words(samples))]) | st.text(max_size=8)
    good = [sample for sample in samples if sample.method == route.method and _takes(route, sample)]
    bodies = _bodies([sample.body for sample in samples if sample.body], texts)
    headers = st.dictionaries(st.sampled_from(_HEADERS), texts, max_size=1)
    odd = st.builds(Sample, st.just(route.method), _targets(route, samples, texts), bodies, headers, st.sampled_from(_PEERS))
    if not good:
        return odd
    return odd | st.builds(lambda sample, body: sample._replace(body=body), st.sampled_from(good), bodies)


def _takes(route: Route, sample: Sample) -> bool:
    path, _ = split_target(sample.target)
    return path.startswith(route.path) if route.path.endswith("/") else path == route.path


def _words(samples: Sequence[Sample]) -> Iterator[str]:
    for sample in samples:
        path, query = split_target(sample.target)
        yield path.rpartition("/")[2]
        for _, value in parse_qsl(query):
            yield value


def _targets(route: Route, samples: Sequence[Sample], texts: SearchStrategy[str]) -> SearchStrategy[str]:
    names = sorted({name for sample in samples for name, _ in parse_qsl(split_target(sample.target)[1], keep_blank_values=True)})
    pairs = st.lists(st.tuples(st.sampled_from([*names, "nonsense"]), texts), max_size=3)
    queries = st.just("") | pairs.map(lambda drawn: "?" + urlencode(drawn)) | st.sampled_from(["?%ff", "?&&=", "?" + "a&" * 100, "?a=%00"])
    ends = texts.map(lambda text: quote(text, safe="")) if route.path.endswith("/") else st.just("")
    return st.builds(lambda end, query: route.path + end + query, ends, queries)


def _bodies(good: Sequence[bytes], texts: SearchStrategy[str]) -> SearchStrategy[bytes]:
    plain = [part for body in good for part in (body, body[: len(body) // 2], body + body)]
    garbage = st.sampled_from([*_GARBAGE, *plain]) | st.binary(max_size=16)
    documents = [(document, list(_places(document))) for document in _documents(good)]
    return garbage | _mutated(documents, texts) if documents else garbage


def _documents(bodies: Sequence[bytes]) -> Iterator[Any]:
    for body in bodies:
        with contextlib.suppress(ValueError):  # then the protocol speaks something else than JSON
            yield json.loads(body)


@st.composite
def _mutated(draw: DrawFn, documents: Sequence[tuple[Any, list[Place]]], texts: SearchStrategy[str]) -> bytes:
    document, places = draw(st.sampled_from(documents))
    place = draw(st.sampled_from(places))
    value = draw(st.sampled_from(_VALUES) | texts)
    return json.dumps(_replaced(document, place, value, beside=draw(st.sampled_from((False, False, False, True))))).encode()


def _places(document: Any, above: Place = ()) -> Iterator[Place]:  # noqa: ANN401  # any JSON document
    """Where something stands in a document, from the top down."""
    yield above
    if isinstance(document, dict):
        for key, value in document.items():
            yield from _places(value, (*above, key))
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield from _places(value, (*above, number))


def _replaced(document: Any, place: Place, value: Any, *, beside: bool) -> Any:  # noqa: ANN401  # any JSON document
    """The document with `value` in one place; `beside` puts it there under another name."""
    if not place:
        return value
    first, rest = place[0], place[1:]
    if isinstance(document, dict):
        if not rest and beside:
            return {**document, f"{first}x": value}
        return {**document, first: _replaced(document[first], rest, value, beside=beside)}
    return [_replaced(item, rest, value, beside=beside) if number == first else item for number, item in enumerate(document)]
