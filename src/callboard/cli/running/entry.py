"""The instance of `callboard run` in the registry, kept by the SDK. It lives from the start of the process to its end."""

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Final

from msgspec.structs import replace

from callboard.cli.asking import Server
from callboard.cli.running.accepting import Probe, Turn
from callboard.cli.running.plan import Plan
from callboard.cli.running.supervisor import News, Refused
from callboard.client.board import Board
from callboard.client.board_settings import BoardSettings, board_settings
from callboard.client.events import Event, Registering
from callboard.client.registered import Registered
from callboard.model.errors import CallboardError

_SLACK_MS: Final = 5_000
"""More than the process is given to leave: its entry goes after it."""
_NOT_YET_MS: Final = 3_000
"""Who looks on hears after so long why it is not signed in yet: the port may be a wrong one."""


class BoardEntry:
    """Made before the process starts, so that wrong settings are found first; signs in when the port accepts."""

    def __init__(self, plan: Plan, server: Server, news: SimpleQueue[News], say: Callable[[str], None]) -> None:
        """Raises `InvalidError`."""
        self._plan = plan
        self._news = news
        self._say = say
        self._board = Board(_settings(plan, server))
        self._registered: Registered | None = None
        self._probe: Probe | None = None
        self._ends = contextlib.ExitStack()
        self._saying = _Saying(say, unless=f"{plan.instance_id} is signed in now")  # which is said here, with the port
        self._ends.enter_context(self._saying.listening())

    def sign_in(self) -> None:
        """From now on; answers at once. What is refused becomes news."""
        self._board.observe(self._told)
        try:
            self._registered = self._board.register(self._plan.service, **self._plan.options())
        except CallboardError as error:
            self._news.put(Refused(str(error)))
            return
        self._ends.enter_context(self._registered.working())  # the process itself is the work under way: a drain waits for its end

    def hide(self) -> None:
        """From new callers."""
        self._stop_probing()
        if self._registered is not None:
            self._registered.drain(wait=False)

    def leave(self) -> None:
        """Sign out, and say so, unless the SDK has to say that it did not come to that."""
        self._stop_probing()
        said = self._saying.lines_count
        if self._registered is not None:
            self._registered.close()
            if self._probe is not None and self._saying.lines_count == said and not self._registered.keeper.finished:
                self._say(f"{self._plan.instance_id} is signed out")
        self._board.close()
        self._ends.close()

    def _told(self, event: Event) -> None:
        if not isinstance(event, Registering):
            return
        if event.state == "refused" and self._probe is None:
            self._news.put(Refused(event.reason))
        elif event.state == "refused":  # it was wanted once: a registry that changes its mind must not stop what works
            self._say(f"{event.instance_id} is refused now: {event.reason}; the command runs on")
        elif event.state == "waiting":
            self._say(f"{event.instance_id} is kept by another process of this host")
        elif event.state == "registered" and self._probe is None:
            self._say(f"{event.instance_id} is signed in, port {self._plan.port}")
            self._probe = Probe(self._plan.hosts, self._plan.port, self._turned)

    def _turned(self, turn: Turn) -> None:
        self._say(f"{self._plan.instance_id} is {turn.status}" + (f": {turn.output}" if turn.output else ": its port accepts again"))
        if self._registered is not None:
            self._registered.set_status(turn.status, turn.output)

    def _stop_probing(self) -> None:
        if self._probe is not None:
            self._probe.close()


def _settings(plan: Plan, server: Server) -> BoardSettings:
    asked = board_settings(os.environ, server.url, namespace=server.namespace, snapshots="off")
    client = replace(asked.client, timeout_ms=server.timeout_ms or asked.client.timeout_ms)
    return replace(
        asked, client=client, lease_ms=plan.ttl_ms, port_wait_ms=_NOT_YET_MS, drain_notice_ms=plan.drain_ms,
        drain_finish_ms=plan.stop_timeout_ms + _SLACK_MS,
    )  # fmt: skip


class _Saying(logging.Handler):
    """Hands what the SDK logs to the person who looks on, unless it is said otherwise."""

    def __init__(self, say: Callable[[str], None], unless: str) -> None:
        super().__init__(logging.WARNING)
        self.lines_count = 0
        self._say = say
        self._unless = unless

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        if (line := record.getMessage()) != self._unless:
            self.lines_count += 1
            self._say(line)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """To the SDK."""
        log = logging.getLogger("callboard.client")
        log.addHandler(self)
        try:
            yield
        finally:
            log.removeHandler(self)
