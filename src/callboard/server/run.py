"""Running a server: from settings to the ready line, until a signal or the loss of the lead, and out with the right exit code."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
import uvloop

from callboard.model.errors import CallboardError, InvalidError, LockedError
from callboard.net.http.server import ListenError
from callboard.net.tasks import spawn
from callboard.server import logs
from callboard.server.assemble import DnsListenError, Ready, Server
from callboard.server.files import few_files, raise_open_files_limit
from callboard.server.neighbour import who_answers
from callboard.server.reloading import reload_or_log
from callboard.server.settings import Settings
from callboard.server.stores import store_url

_log = logging.getLogger(__name__)
EXIT_OK, EXIT_ERROR, EXIT_USAGE = 0, 1, 2
_ENDING = (signal.SIGTERM, signal.SIGINT)
_DEFAULT_URL: Final = "http://127.0.0.1:8500"
"""Where commands look for a server that nobody has named."""
_IN_MEMORY: Final = "in memory, gone when it ends"


class Told:
    """What signals have told this process."""

    def __init__(self) -> None:
        self.to_end = asyncio.Event()
        self._reload: Callable[[], object] | None = None
        self._early = False

    def serves(self, reload: Callable[[], object]) -> None:
        """There is a server now. It may have been told to read its settings again after it has read them first."""
        self._reload = reload
        if self._early:
            self.to_reload()

    def to_reload(self) -> None:
        """SIGHUP."""
        if self._reload is None:
            self._early = True
        else:
            reload_or_log(self._reload)


def serve(settings: Settings, *, hint: Callable[[str], None] | None = None, read: Callable[[], Settings] | None = None) -> int:
    """Run a server until it is told to stop; answers the exit code.

    `hint` shows a person a line; None when nobody looks. `read` gives the settings as they are said at a reload.
    """
    logs.set_up(settings.server.log_level, settings.server.log_format)
    raise_open_files_limit()
    told = Told()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, _told_by_signals(runner.get_loop(), told):
        return runner.run(_serve(settings, hint, read, told))


@contextlib.contextmanager
def _told_by_signals(loop: asyncio.AbstractEventLoop, told: Told) -> Iterator[None]:
    """Tell `told` to end at the first signal and ignore all later ones, for good: they are to cut short nothing of the way out.

    Handlers of the loop would be gone with it, and a signal between that and the end of the process would kill it.
    """
    before = {number: signal.getsignal(number) for number in (*_ENDING, signal.SIGHUP)}

    def end(_number: int, _frame: object) -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        loop.call_soon_threadsafe(told.to_end.set)

    def reload(_number: int, _frame: object) -> None:
        loop.call_soon_threadsafe(told.to_reload)

    for number in _ENDING:
        signal.signal(number, end)
    signal.signal(signal.SIGHUP, reload)
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) in {end, reload}:
                signal.signal(number, handler)


async def _serve(settings: Settings, hint: Callable[[str], None] | None, read: Callable[[], Settings] | None, told: Told) -> int:
    try:
        server = Server(settings, read)
    except InvalidError as error:
        return _complain(str(error), EXIT_USAGE)
    except CallboardError as error:
        return _complain(f"cannot start: {error}", EXIT_ERROR)
    try:
        ready = await server.start()
    except LockedError as error:
        await server.stop()
        return _complain(str(error), EXIT_ERROR)
    except ListenError as error:
        await server.stop()
        return _complain(
            f"{error} ({who_answers(error.host, error.port)} answers there); stop that, or choose another --http or --https", EXIT_ERROR
        )
    except DnsListenError as error:
        await server.stop()
        return _complain(str(error), EXIT_ERROR)
    except (CallboardError, OSError) as error:
        await server.stop()
        return _complain(f"cannot start: {error}", EXIT_ERROR)
    failed = await _work(told, server, lambda: _announce(ready, settings, hint))
    await server.stop()
    return _complain(failed, EXIT_ERROR) if failed else EXIT_OK


async def _work(told: Told, server: Server, announce: Callable[[], None]) -> str:
    """Until it is over: empty, or why. `announce` when the workers serve too, if it comes to that."""
    over = spawn(_until(told, server), name="until it is over")
    staffed = spawn(server.staffed(), name="workers start")
    await asyncio.wait({over, staffed}, return_when=asyncio.FIRST_COMPLETED)
    if not over.done():
        if problem := staffed.result():
            over.cancel()
            return f"cannot start: {problem}"
        announce()
        told.serves(server.reload)
    staffed.cancel()
    return await over


async def _until(told: Told, server: Server) -> str:
    """Wait for a signal or a caller that tells it to leave (empty), or for the end of the lead (its reason)."""
    signalled = spawn(told.to_end.wait(), name="signalled")
    left = spawn(server.left(), name="told to leave")
    lost = spawn(server.registry.failed(), name="lead lost")
    await asyncio.wait({signalled, left, lost}, return_when=asyncio.FIRST_COMPLETED)
    reason = lost.result() if lost.done() else ""
    signalled.cancel()
    left.cancel()
    lost.cancel()
    return reason


def _complain(message: str, code: int) -> int:
    sys.stderr.write(f"callboard: {message}\n")
    return code


def _announce(ready: Ready, settings: Settings, hint: Callable[[str], None] | None) -> None:
    sys.stdout.write(msgspec.json.encode(ready).decode() + "\n")
    sys.stdout.flush()
    exposed = [url for url in (*ready.http, *ready.https) if not url.partition("//")[2].startswith(("127.", "[::1]"))]
    if exposed:
        too = ", and run programs on this machine (--enable-script-checks)" if settings.server.enable_script_checks else ""
        _log.warning("anyone who reaches %s may read and change everything%s: access control is not built yet", ", ".join(exposed), too)
    if few := few_files():
        _log.warning("this process may open only %d files, and each connection is one: raise the limit (ulimit -n, LimitNOFILE)", few)
    if hint is not None:
        for line in _lines(ready, settings):
            hint(line)


def _lines(ready: Ready, settings: Settings) -> list[str]:
    url = (*ready.http, *ready.https)[0]
    elsewhere = "" if url == _DEFAULT_URL else f"export CALLBOARD_URL={url}; "
    store = store_url(settings.server)
    return [
        f"Callboard is ready as {ready.member} (pid {ready.pid})",
        f"  HTTP   {'  '.join((*ready.http, *ready.https))}",
        f"  DNS    {ready.dns or 'off'}",
        f"  data   {_IN_MEMORY if store == 'memory:' else store}",
        f"  try    {elsewhere}callboard register web --port 8080 && callboard services   (or: curl {url}/v1/catalog/services)",
    ]
