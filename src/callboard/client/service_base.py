"""What both `Service` handles have in common: everything that needs no waiting."""

from typing import Final

from callboard.client.engine import Engine
from callboard.client.finding import Finder
from callboard.client.options import ServiceOptions

NOT_TWICE: Final = "this pick is under way: ask pick() anew for each call"
WATCH_LOOK_S: Final = 60.0
"""A watch that hears nothing looks itself so often: a forked child must start its own threads."""


class ServiceBase:
    """Whom to call. It lives as long as somebody holds it."""

    def __init__(self, engine: Engine, name: str, options: ServiceOptions) -> None:
        self._finder = Finder(engine, name, options)
        self._first_wait_ms = engine.settings.first_wait_ms

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._finder!r}>"

    @property
    def finder(self) -> Finder:
        """For integrations: what chooses."""
        return self._finder

    @property
    def name(self) -> str:
        """The service's name."""
        return self._finder.service

    @property
    def namespace(self) -> str:
        """The name space it is in."""
        return self._finder.followed.namespace

    @property
    def stale(self) -> bool:
        """What is known is from the disk, or the registry was not heard for long, or the board was closed. True while nothing is known."""
        followed = self._finder.followed
        snapshot = followed.snapshot
        return snapshot is None or snapshot.stale or followed.closed

    @property
    def age_s(self) -> float:
        """Seconds since the registry was last heard; 0 while it is followed."""
        return self._finder.followed.age_s
