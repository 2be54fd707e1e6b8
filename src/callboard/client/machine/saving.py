"""When which service is written to the disk: on its first picture and after changes, at most once in a second, and again every hour.

The hourly writing is for services that never change: a file says since when it is true, and one that is too old is not used. It lives as
long as the services of a name space are followed. `now` is nanoseconds of a forward-only clock.
"""

from collections.abc import Iterable
from typing import Final

from callboard.model.time import HOUR, SECOND, Instant

GAP: Final = SECOND
REFRESH: Final = HOUR


class Saving:
    """The schedule. `followed`: whether the registry is heard, so that what is known is still true."""

    def __init__(self) -> None:
        self._changed: dict[str, Instant] = {}
        """When a change may be written."""
        self._written: dict[str, Instant] = {}

    def changed(self, name: str, now: Instant) -> None:
        """The file of a service is behind."""
        if name not in self._changed:
            before = self._written.get(name)
            self._changed[name] = now if before is None else Instant(max(now, before + GAP))

    def written(self, name: str, now: Instant) -> None:
        """What is known of a service is being written."""
        self._changed.pop(name, None)
        self._written[name] = now

    def due(self, now: Instant, *, followed: bool) -> list[str]:
        """What to write now."""
        return [name for name, at in self._times(followed=followed) if at <= now]

    def deadline(self, *, followed: bool) -> Instant | None:
        """When there is something to write."""
        return min((at for _, at in self._times(followed=followed)), default=None)

    def last(self, *, followed: bool) -> list[str]:
        """What to write at the end."""
        return list(self._written | self._changed) if followed else list(self._changed)

    def _times(self, *, followed: bool) -> Iterable[tuple[str, Instant]]:
        yield from self._changed.items()
        if followed:
            for name, before in self._written.items():
                if name not in self._changed:
                    yield name, Instant(before + REFRESH)
