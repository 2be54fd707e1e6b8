"""What goes wrong, in a line of plain text: for sites whose protocol has no form of its own for errors. It lives as long as its site."""

from callboard.model.errors import InvalidError, StoreError
from callboard.net.http.message import TEXT, Answer, Request


class TextErrors:
    """A status and a sentence. `hint` is told to whoever mistyped a path; `headers` go with every answer."""

    def __init__(self, hint: str, *headers: tuple[bytes, bytes]) -> None:
        self._hint = f"; {hint}" if hint else ""
        self._headers = headers

    def unknown_path(self, request: Request) -> Answer:
        """404."""
        return self._say(404, f"nothing is served at {request.path}{self._hint}")

    def wrong_method(self, request: Request, allowed: tuple[str, ...]) -> Answer:
        """405 with the methods there are, or 204 for OPTIONS."""
        allow = (b"allow", ", ".join(allowed).encode())
        if request.method == "OPTIONS":
            return Answer(204, b"", TEXT, (allow, *self._headers))
        return self._say(405, f"{request.path} takes {', '.join(allowed)}", allow)

    def failure(self, error: Exception) -> Answer:
        """400 where the caller can mend it, 503 where waiting may help, else 500 without the error's text."""
        if isinstance(error, InvalidError):
            return self._say(400, str(error))
        if isinstance(error, StoreError):
            return self._say(503, str(error))
        return self._say(500, "the server failed; its log says why")

    def refused(self, status: int, detail: str) -> Answer:
        """Whatever HTTP itself refuses."""
        return self._say(status, detail)

    def _say(self, status: int, text: str, *headers: tuple[bytes, bytes]) -> Answer:
        again = ((b"retry-after", b"1"),) if status == 503 else ()
        return Answer(status, text.encode() + b"\n", TEXT, (*headers, *again, *self._headers))
