"""The log: standard logging on stderr, as text for people or as one JSON object a line for machines."""

import json
import logging
import sys
import time
from typing import Final, Literal, TextIO

_TALKATIVE: Final = ("h2", "hpack")
"""They tell each header field that a probe over HTTP/2 sends, and its value."""


class JsonFormatter(logging.Formatter):
    """One object a line: time (UTC), level, logger, message, the worker that says so, and the traceback when there is one."""

    def __init__(self, worker: int = 0) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        entry = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if self._worker:
            entry["worker"] = str(self._worker)
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


class Stderr(logging.StreamHandler[TextIO]):
    """The handler that `set_level` means. `worker` is the number of this process, 0 for the one that was started."""

    worker: int = 0


def set_up(level: str, form: Literal["text", "json"], worker: int = 0) -> None:
    """Send everything from `level` on to stderr."""
    handler = Stderr(sys.stderr)
    handler.worker = worker
    logging.getLogger().handlers[:] = [handler]
    set_form(form)
    set_level(level)


def set_form(form: Literal["text", "json"]) -> None:
    """Write stderr in this form from now on."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, Stderr):
            who = f"worker {handler.worker}: " if handler.worker else ""
            text = f"%(asctime)s %(levelname)-7s {who}%(name)s: %(message)s"
            handler.setFormatter(JsonFormatter(handler.worker) if form == "json" else logging.Formatter(text))


def set_level(level: str) -> None:
    """Send everything from `level` on to stderr from now on."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, Stderr):
            handler.setLevel(level.upper())
    settle()


def settle() -> None:
    """Let be logged what any handler wants: somebody may read more than stderr is sent."""
    root = logging.getLogger()
    if any(isinstance(handler, Stderr) for handler in root.handlers):
        root.setLevel(min(handler.level for handler in root.handlers))
        # It warns of every malformed request: anybody could fill the log. Those are answered with 400.
        logging.getLogger("uvicorn").setLevel(max(root.level, logging.ERROR))
        for library in _TALKATIVE:
            logging.getLogger(library).setLevel(max(root.level, logging.WARNING))
