"""What belongs to no protocol: the start page (browsers are led to the console), the metrics, the answer to paths nobody serves."""

from collections.abc import Callable
from typing import Final

from callboard import __version__
from callboard.net.http.message import TEXT, Answer, Later, Pending, Reply, Request, Route, Site

_CONSOLE: Final = "/ui"
_VARY: Final = (b"vary", b"accept")


class RootErrors:
    """Plain text, for people who mistyped."""

    def unknown_path(self, request: Request) -> Answer:
        """404 with what there is."""
        return _text(404, f"nothing is served at {request.path}; / lists what is\n")

    def wrong_method(self, request: Request, allowed: tuple[str, ...]) -> Answer:
        """405, or 200 for OPTIONS."""
        status = 200 if request.method == "OPTIONS" else 405
        return Answer(status, b"", TEXT, ((b"allow", ", ".join(allowed).encode()),))

    def failure(self, error: Exception) -> Answer:
        """500 without the error's text; the log has it."""
        return _text(500, f"internal error ({type(error).__name__}); the server's log has it\n")

    def refused(self, status: int, detail: str) -> Answer:
        """Whatever HTTP itself refuses."""
        return _text(status, detail + "\n")


def _text(status: int, text: str) -> Answer:
    return Answer(status, text.encode(), TEXT)


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
