"""The process that `callboard run` starts. It shares the supervisor's terminal, pipes and process group, and lives as long as it likes."""

import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final

from callboard.model.errors import CallboardError
from callboard.net import threads

NOT_FOUND: Final = 127
"""As shells say it."""
NOT_EXECUTABLE: Final = 126
SIGNALLED: Final = 128
"""Plus the number of the signal that ended it."""


class CannotStartError(CallboardError):
    """The command is none that could be started. `exit_code` is the shell's."""

    code: ClassVar[str] = "cannot_start"

    def __init__(self, command: str, error: OSError) -> None:
        missing = isinstance(error, FileNotFoundError)
        why = "no such command" if missing else (error.strerror or str(error)).lower()
        super().__init__(f"{command} cannot be started ({why}); write it as in a shell, after `--`")
        self.exit_code = NOT_FOUND if missing else NOT_EXECUTABLE


class Child:
    """A started command. `ended` is called once, in a thread of its own, when the process is gone."""

    def __init__(self, command: Sequence[str], variables: Mapping[str, str], ended: Callable[[], None]) -> None:
        """Raises `CannotStartError`. `variables` are put into its environment."""
        import subprocess

        try:
            self._process = subprocess.Popen(command, env={**os.environ, **variables})  # noqa: S603  # what the user says is to be run
        except OSError as error:
            raise CannotStartError(command[0], error) from None
        self._told = ended
        threads.start(self._wait, name="callboard-run-child")

    def _wait(self) -> None:
        self._process.wait()
        self._told()

    @property
    def exit_code(self) -> int | None:
        """As shells say it, 128 and the number of the signal included; None while it runs."""
        code = self._process.poll()
        return code if code is None or code >= 0 else SIGNALLED - code

    def send(self, number: int) -> None:
        """A signal; nothing when it is gone already."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.send_signal(signal.SIGKILL)


def free_port() -> int:
    """A port that nobody listens on now, at any address of this host."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
