"""What goes wrong between members: a status, and a line of text for who looks into it. Whoever is no member is told nothing."""

from typing import Final

from callboard.model.errors import CallboardError
from callboard.net.http.message import TEXT, Answer, Request

DENIED: Final = Answer(401, b"denied\n", TEXT)


class PeerErrors:
    """Errors of every path below `/peer`."""

    def unknown_path(self, request: Request) -> Answer:
        return _text(404, f"nothing is served at {request.path}")

    def wrong_method(self, request: Request, allowed: tuple[str, ...]) -> Answer:
        allow = (b"allow", ", ".join(allowed).encode())
        if request.method == "OPTIONS":
            return Answer(204, b"", TEXT, (allow,))
        return _text(405, f"{request.path} takes {', '.join(allowed)}", allow)

    def failure(self, error: Exception) -> Answer:
        if isinstance(error, CallboardError):
            return _text(400, str(error))
        return _text(500, "the server failed; its log says why")

    def refused(self, status: int, detail: str) -> Answer:
        return _text(status, detail)


def _text(status: int, text: str, *headers: tuple[bytes, bytes]) -> Answer:
    return Answer(status, text.encode() + b"\n", TEXT, headers)
