"""`/ui`: the page, and the files it is made of. Everything is worked out when the server starts; a request picks an answer.

What a name from the network may do is bounded here too: the policy sent with every answer lets the browser run our files and nothing else.
"""

import hashlib
import html
from typing import Final

import msgspec

from callboard.frontend.base import Frontend, Plugin
from callboard.frontend.console.assets import PAGE, Asset, Assets, load
from callboard.frontend.console.settings import ConsoleSettings
from callboard.net.http.message import Answer, Fields, Reply, Request, Route, Site
from callboard.net.http.texts import TextErrors
from callboard.registry.registry import Registry

POLICY: Final = (
    b"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'; "
    b"require-trusted-types-for 'script'; trusted-types 'none'"
)
"""No inline script or style, nothing from elsewhere, no text that becomes markup, in nobody's frame."""
SECURITY: Final[Fields] = (
    (b"content-security-policy", POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_ERRORS: Final = TextErrors("the page is at /ui", *SECURITY)
"""Who sees them has mistyped an address."""
STATIC: Final = "/ui/static/"
_CONFIG: Final = b"{{config}}"
_LINKS: Final = b"{{links}}"
_AT: Final = b"{{static}}"


class Console:
    """Its handlers; lives as long as the server."""

    def __init__(self, settings: ConsoleSettings, assets: Assets) -> None:
        self._assets = assets
        self._prefix = assets.digest + "/"
        self._kept = ((b"cache-control", b"public, max-age=%d, immutable" % settings.asset_age_max_s), *SECURITY)
        body = _page(settings, assets)
        self._etag = _etag(body)
        fields = ((b"cache-control", b"no-cache"), (b"etag", self._etag), *SECURITY)
        self._page = Answer(200, body, assets.files[PAGE].content_type, fields)
        self._same_page = Answer(304, headers=fields)
        self._etags = {path: _etag(asset.body) for path, asset in assets.files.items()}

    def routes(self) -> tuple[Route, ...]:
        """The lines of its table. Every view of the page has its address, and all are the same page."""
        views = ("/ui", "/ui/services/", "/ui/nodes", "/ui/nodes/", "/ui/members")
        pages = tuple(Route("GET", path, self.page) for path in views)
        return (*pages, Route("GET", "/ui/", self.below), Route("GET", STATIC, self.file))

    def page(self, request: Request) -> Reply:
        """The page; what it shows, it works out from its own address."""
        return self._same_page if _has(request, self._etag) else self._page

    def below(self, request: Request) -> Reply:
        """`/ui/` is the page; there is nothing else that is not in the table."""
        return self.page(request) if not request.rest else _ERRORS.unknown_path(request)

    def file(self, request: Request) -> Reply:
        """A script, a style or a licence. One of another version of the page is not there."""
        path = request.rest.removeprefix(self._prefix)
        asset: Asset | None = self._assets.files.get(path) if request.rest.startswith(self._prefix) and path != PAGE else None
        if asset is None:
            return _ERRORS.unknown_path(request)
        fields = (*self._kept, (b"etag", self._etags[path]))
        return Answer(304, headers=fields) if _has(request, self._etags[path]) else Answer(200, asset.body, asset.content_type, fields)


def _page(settings: ConsoleSettings, assets: Assets) -> bytes:
    """The page with the addresses of its files and what the browser must know."""
    at = f"{STATIC}{assets.digest}/"
    links = "\n".join(f'<link rel="modulepreload" href="{at}{path}">' for path in assets.modules)
    config = html.escape(msgspec.json.encode(settings).decode())
    body = assets.files[PAGE].body.replace(_LINKS, links.encode()).replace(_AT, at.encode())
    return body.replace(_CONFIG, config.encode())


def _etag(body: bytes) -> bytes:
    """Weak, for the body may be sent compressed or not."""
    return b'W/"%b"' % hashlib.sha256(body).hexdigest()[:32].encode()


def _has(request: Request, etag: bytes) -> bool:
    """Whether the browser has it already (RFC 9110 section 13.1.2)."""
    known = request.headers.get("if-none-match", "")
    return known.strip() == "*" or etag.decode().removeprefix("W/") in {part.strip().removeprefix("W/") for part in known.split(",")}


def build(_registry: Registry, settings: ConsoleSettings) -> Frontend:
    """The site of `/ui`. It asks the registry nothing: the page reads the native API."""
    return Frontend(sites=(Site("/ui", Console(settings, load()).routes(), _ERRORS),))


PLUGIN: Final = Plugin("console", ConsoleSettings, build)
