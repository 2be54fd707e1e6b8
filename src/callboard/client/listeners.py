"""Who wants to hear that something changed.

There is no lock: listeners also leave when the collector finds that their owner is gone, and that may be at any place of any thread, also
where a lock is held. Adding and leaving are one step each. It lives as long as what it tells about.
"""

import logging
from collections.abc import Callable
from typing import Final

_log: Final = logging.getLogger("callboard.client")


class Listeners:
    """Calls them in the order in which they came."""

    def __init__(self) -> None:
        self._told: dict[object, Callable[[], None]] = {}

    def __len__(self) -> int:
        return len(self._told)

    def add(self, told: Callable[[], None]) -> Callable[[], None]:
        """Call `told` from now on; call the answer to stop."""
        place = object()
        self._told[place] = told

        def remove() -> None:
            self._told.pop(place, None)

        return remove

    def tell(self) -> None:
        """To each of them. One that fails must not keep the others from hearing."""
        for told in list(self._told.values()):
            try:
                told()
            except Exception:  # noqa: BLE001  # it may be somebody else's code
                _log.exception("a listener failed")
