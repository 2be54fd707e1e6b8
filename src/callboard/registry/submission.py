"""A command on its way. It lives from `submit` until its outcome was told."""

from collections.abc import Callable

from callboard.core.catalog.commands import Command
from callboard.model.rows import CommandId, Outcome


class Submission:
    """Becomes known once: when the command's group is durable, or the command is refused. Never earlier."""

    __slots__ = ("_callback", "command", "id", "outcome")

    def __init__(self, identity: CommandId, command: Command) -> None:
        self.id = identity
        self.command = command
        self.outcome: Outcome | None = None
        self._callback: Callable[[Outcome], None] | None = None

    def then(self, callback: Callable[[Outcome], None]) -> None:
        """Call back with the outcome, at once when it is known. One callback only."""
        if self.outcome is not None:
            callback(self.outcome)
        else:
            self._callback = callback

    def release(self, outcome: Outcome) -> None:
        """Tell the outcome. The first one counts: the feed and the leader may both tell it."""
        if self.outcome is not None:
            return
        self.outcome = outcome
        callback, self._callback = self._callback, None
        if callback is not None:
            callback(outcome)
