"""The log as a feed: whoever reads it is given what is logged from a level on, also below the level that goes to stderr.

It lives as long as the server. While nobody reads, it is no handler of the log at all.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from callboard.frontend.base import LogEntry, LogReader
from callboard.server import logs


class LogFeed(logging.Handler):
    """A handler of the root logger, from any thread; its readers are told on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._readers: dict[LogReader, int] = {}

    def read(self, level: int, reader: LogReader) -> Callable[[], None]:
        """Tell `reader` from now on; call what is returned to end it."""
        self._readers[reader] = level
        self._settle()
        return lambda: self._end(reader)

    def _end(self, reader: LogReader) -> None:
        self._readers.pop(reader, None)
        self._settle()

    def _settle(self) -> None:
        root = logging.getLogger()
        if self._readers:
            self.setLevel(min(self._readers.values()))
            if self not in root.handlers:
                root.addHandler(self)
        else:
            root.removeHandler(self)
        logs.settle()

    def emit(self, record: logging.LogRecord) -> None:
        """Hand it to the loop; it goes nowhere when that has ended. A line that cannot be put together does not fail whoever logs it."""
        try:
            message = record.getMessage()
            if record.exc_info:
                message += "\n" + logging.Formatter().formatException(record.exc_info)
        except Exception:  # noqa: BLE001  # as every handler of the standard library has it
            self.handleError(record)
            return
        entry = LogEntry(int(record.created * 1_000), record.levelno, record.name, message)
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._tell, entry)

    def _tell(self, entry: LogEntry) -> None:
        for reader, level in list(self._readers.items()):
            if entry.level >= level:
                reader.take(entry)
