"""Log lines that strangers can cause: a few in a while, and the number of those left out. Nobody is to fill the disk by knocking."""

import logging
import time
from collections.abc import Callable
from typing import Final

LINES_MAX_COUNT: Final = 10
WHILE_S: Final = 60.0


class Seldom:
    """One kind of line. Lives as long as its owner."""

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._begin = float("-inf")
        self._count = 0

    def warn(self, text: str, *values: object) -> None:
        """Log it, or count it."""
        now = self._clock()
        if now - self._begin >= WHILE_S:
            left_out, self._begin, self._count = self._count - LINES_MAX_COUNT, now, 0
            if left_out > 0:
                self._logger.warning("%d more lines like the next one were left out", left_out)
        self._count += 1
        if self._count <= LINES_MAX_COUNT:
            self._logger.warning(text, *values)
