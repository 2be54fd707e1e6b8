"""What belongs to no protocol: the start page (browsers are led to the console), the metrics, the answer to paths nobody serves."""

from collections.abc import Callable
from typing import Final

from callboard import __version__
from callboard.model.errors import InvalidError
from callboard.net.http.message import TEXT, Answer, Later, Pending, Reply, Request, Route, Site
from callboard.net.http.texts import TextErrors
from callboard.wire.url import clean_path, encoded_target

_CONSOLE: Final = "/ui"
_VARY: Final = (b"vary", b"accept")


class RootErrors(TextErrors):
    """For people who mistyped. A path with a slash too many (`//v1/...`) is led to where it was meant."""

    def __init__(self) -> None:
        super().__init__("/ lists what is")

    def unknown_path(self, request: Request) -> Answer:
        """307 where another way of writing it is another path, else 404 with what there is."""
        path = clean_path(request.path)
        if path == request.path:
            return super().unknown_path(request)
        try:
            target = encoded_target(path, request.query)
        except InvalidError as error:
            return self.refused(400, str(error))
        return Answer(307, b"", TEXT, ((b"location", target.encode()),))


def _is_browser(request: Request) -> bool:
    """Whether the caller would rather have a page: programs ask for nothing in particular."""
    return "text/html" in request.headers.get("accept", "").lower()


def root_site(page: Callable[[], Pending[Answer]], sites: Callable[[], tuple[Site, ...]]) -> Site:
    """`/` and `/metrics`."""

    def start_page(request: Request) -> Answer:
        served = sorted(site.prefix for site in sites())
        if _CONSOLE in served and _is_browser(request):
            return Answer(302, b"", TEXT, ((b"location", _CONSOLE.encode()), _VARY))
        lines = "\n".join(f"  {prefix}" for prefix in served)
        text = f"Callboard {__version__}\n\nServed here:\n{lines}\n  /metrics\n\nTry: callboard services\n"
        return Answer(200, text.encode(), TEXT, (_VARY,))

    def metrics(_request: Request) -> Reply:
        return Later(page())

    return Site("/", (Route("GET", "/", start_page), Route("GET", "/metrics", metrics)), RootErrors())
