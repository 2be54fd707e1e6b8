"""From method and path to a route, for both doors, by dictionary look-ups. A `Router` is made once, at assembly.

The most specific path decides first: an exact one, else the longest prefix. Only then the method is looked at, so a known path with
another method is 405 also where a shorter prefix would take it. `/` alone is a page, not a prefix of everything.
"""

from collections.abc import Callable
from typing import NamedTuple

from callboard.net.http.message import TEXT, Answer, Brief, Errors, Request, Route, Site


class Place(NamedTuple):
    """A route, and how its site tells errors."""

    route: Route
    errors: Errors
    judge: Callable[[Request], None] | None = None
    """Of its site."""


class Missing(NamedTuple):
    """No route. `allowed` are the methods the path has; empty when there is no such path."""

    allowed: tuple[str, ...]
    errors: Errors


class PlainErrors:
    """Errors of paths that belong to no site: a status and a sentence."""

    def unknown_path(self, request: Request) -> Answer:
        """404."""
        return Answer(404, f"nothing is served at {request.path}\n".encode(), TEXT)

    def wrong_method(self, request: Request, allowed: tuple[str, ...]) -> Answer:
        """405 with the methods there are."""
        text = f"method {request.method} is not allowed here; use {', '.join(allowed)}\n"
        return Answer(405, text.encode(), TEXT, ((b"allow", ", ".join(allowed).encode()),))

    def failure(self, error: Exception) -> Answer:
        """500 without the error's text."""
        return Answer(500, b"internal error\n", TEXT)

    def refused(self, status: int, detail: str) -> Answer:
        """The status with its reason."""
        return Answer(status, detail.encode() + b"\n", TEXT)


class Router:
    """The routes of all sites."""

    def __init__(self, sites: tuple[Site, ...]) -> None:
        """Raises `ValueError` when two routes have the same method and path."""
        self._exact: dict[str, dict[str, Place]] = {}
        self._prefixes: dict[str, dict[str, Place]] = {}
        self._depth = 0
        self.briefs: dict[bytes, tuple[Place, Brief]] = {}
        """Routes with a short way, by method and path as a request line begins with them."""
        self.wholes: dict[bytes, tuple[Place, Brief]] = {}
        """Exact routes with a short way, by their whole request line."""
        self.plain = PlainErrors()
        self._sites = sorted(sites, key=lambda site: len(site.prefix), reverse=True)
        for site in sites:
            for route in site.routes:
                self._add(route, site)
        self._require_room_for_briefs()

    @property
    def fields(self) -> frozenset[str]:
        """The header fields that sites judge."""
        return frozenset().union(*(site.fields for site in self._sites))

    def _add(self, route: Route, site: Site) -> None:
        if not route.path.startswith("/"):
            raise ValueError(f"route {route.method} {route.path} must start with /")
        table = self._prefixes if route.path.endswith("/") and route.path != "/" else self._exact
        methods = table.setdefault(route.path, {})
        if route.method in methods:
            raise ValueError(f"two routes for {route.method} {route.path}")
        place = methods[route.method] = Place(route, site.errors, site.judge)
        if table is self._prefixes:
            self._depth = max(self._depth, route.path.count("/"))
            if route.brief is not None:
                self.briefs[f"{route.method} {route.path}".encode()] = place, route.brief
        elif route.brief is not None:
            self.wholes[f"{route.method} {route.path}".encode()] = place, route.brief

    def _require_room_for_briefs(self) -> None:
        """A short way looks at no other route, so there must be none below it."""
        for place, _ in self.briefs.values():
            if any(path.startswith(place.route.path) and path != place.route.path for path in (*self._exact, *self._prefixes)):
                raise ValueError(f"a path below {place.route.path}, which has a short way, has a route of its own")

    def find(self, method: str, path: str) -> tuple[Place, str] | Missing:
        """The route for a decoded path, and what follows the route's prefix in it."""
        rest = ""
        methods = self._exact.get(path)
        if methods is None:
            at = self._longest_prefix(path)
            if at == 0:
                return Missing((), self.errors(path))
            rest = path[at:]
            methods = self._prefixes[path[:at]]
        there = methods.get(method)
        if there is None:
            return Missing(tuple(methods), next(iter(methods.values())).errors)
        return there, rest

    def _longest_prefix(self, path: str) -> int:
        """Length of the longest known prefix of `path`, 0 for none. Looks no deeper than the deepest prefix goes."""
        if path[: (last := path.rfind("/") + 1)] in self._prefixes:
            return last  # nearly always: what follows a prefix is one name
        found = at = 0
        for _ in range(self._depth):
            at = path.find("/", at) + 1
            if at == 0:
                break
            if path[:at] in self._prefixes:
                found = at
        return found

    def body_max_bytes(self, method: str, path: str, usual: int) -> int:
        """Of a request; `usual` unless its route takes more."""
        found = self.find(method, path)
        return usual if isinstance(found, Missing) else max(usual, found[0].route.body_max_bytes)

    def errors(self, path: str) -> Errors:
        """How the site that `path` falls into tells errors."""
        for site in self._sites:
            prefix = site.prefix.rstrip("/")
            if path == prefix or path.startswith(prefix + "/"):
                return site.errors
        return self.plain
