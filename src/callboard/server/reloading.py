"""What changes while the server runs: told by SIGHUP, or through the API. Little does, and whatever else was changed is named.

Every room is made once from frozen settings; the few that can follow a change are listed here.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Final

from msgspec.structs import replace

from callboard.model.errors import CallboardError
from callboard.server import logs
from callboard.server.settings import ROOMS, Settings, tunable

RELOADED: Final = ("log_level", "log_format")
"""Settings that hold at once. The files of the certificate are read again too, those that the server was started with."""
_log = logging.getLogger(__name__)


class Reloading:
    """The settings in force, and how to read them again. Lives as long as the server."""

    def __init__(self, settings: Settings, read: Callable[[], Settings] | None, certificate: Callable[[], None] | None) -> None:
        """`read` gives the settings as they are now said, `certificate` takes its files into use. Each raises `InvalidError`."""
        self._settings = settings
        self._read = read
        self._certificate = certificate

    @property
    def settings(self) -> Settings:
        """Those in force."""
        return self._settings

    def reload(self) -> list[str]:
        """Read everything again; answers what came of it, a line each. Raises `InvalidError`: then all is as before."""
        new = self._read() if self._read is not None else self._settings
        if self._certificate is not None:
            self._certificate()
        lines = list(self._apply(new))
        if self._certificate is not None:
            lines.append("the certificate was read again")
        for line in lines or ["nothing has changed"]:
            _log.info("reload: %s", line)
        return lines

    def _apply(self, new: Settings) -> Iterator[str]:
        old = self._settings
        held: dict[str, object] = {}
        for name in old.server.__struct_fields__:
            before, after = getattr(old.server, name), getattr(new.server, name)
            if before == after:
                continue
            if name in RELOADED:
                held[name] = after
                yield f"{name} is {after} now"
            else:
                yield f"{name} was changed; that holds from the next start"
        for room in ROOMS:
            for field in tunable(room):
                if old.tune.get(room, {}).get(field) != new.tune.get(room, {}).get(field):
                    yield f"tune.{room}.{field} was changed; that holds from the next start"
        if held:
            self._settings = old._replace(server=replace(old.server, **held))
            logs.set_form(self._settings.server.log_format)
            logs.set_level(self._settings.server.log_level)


def reload_or_log(reload: Callable[[], object]) -> None:
    """For whoever waits for no answer: that it failed stands in the log."""
    try:
        reload()
    except CallboardError as error:
        _log.error("reload: all stays as it was: %s", error)
