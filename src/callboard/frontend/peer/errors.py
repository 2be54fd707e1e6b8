"""What goes wrong between members: a status, and a line of text for who looks into it. Whoever is no member is told nothing."""

from typing import Final

from callboard.model.errors import CallboardError
from callboard.net.http.message import TEXT, Answer
from callboard.net.http.texts import TextErrors

DENIED: Final = Answer(401, b"denied\n", TEXT)


class PeerErrors(TextErrors):
    """Errors of every path below `/peer`."""

    def __init__(self) -> None:
        super().__init__("")

    def failure(self, error: Exception) -> Answer:
        """400 for everything of ours: whether the message counted, the member that sent it finds out itself."""
        return self.refused(400, str(error)) if isinstance(error, CallboardError) else super().failure(error)
