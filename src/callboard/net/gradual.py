"""Work that is long, and done a step in each turn of the loop, so that everybody else has turns between; once for all who wait for it.

A `Gradually` lives as long as what it works for; between its steps it holds who waits, and nothing when nobody does.
"""

import asyncio
from collections.abc import Callable


class Gradually:
    """`step` does some of the work that is asked for by name, and says whether it was the last step."""

    __slots__ = ("_step", "_waiting")

    def __init__(self, step: Callable[[str], bool]) -> None:
        self._step = step
        self._waiting: dict[str, list[Callable[[None], None]]] = {}

    def done(self, name: str) -> "Done":
        """The end of the work, as something that will be known. The work begins in the turn after somebody waits for it."""
        return Done(self, name)

    def wait(self, name: str, callback: Callable[[None], None]) -> None:
        """Call back when it is done, in a later turn of the loop."""
        waiting = self._waiting.get(name)
        if waiting is not None:
            waiting.append(callback)
            return
        self._waiting[name] = [callback]
        asyncio.get_running_loop().call_soon(self._turn, name)

    def _turn(self, name: str) -> None:
        loop, done = asyncio.get_running_loop(), True
        try:
            done = self._step(name)
        finally:  # an error ends it, too: whoever waits will meet it again
            if done:
                for callback in self._waiting.pop(name):
                    loop.call_soon(callback, None)
            else:
                loop.call_soon(self._turn, name)


class Done:
    """The end of some work."""

    __slots__ = ("_name", "_work")

    def __init__(self, work: Gradually, name: str) -> None:
        self._work = work
        self._name = name

    def then(self, callback: Callable[[None], None]) -> None:
        """Begin, or go on, and call back when it is done."""
        self._work.wait(self._name, callback)
