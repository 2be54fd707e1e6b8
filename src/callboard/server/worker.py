"""The process of one worker: started by the process that holds the engine, over one end of a pair of sockets, and ended with it.

Signals are for the process that was started: this one ends at SIGTERM only, or when it is told to, or when that process is gone.
"""

import asyncio
import ctypes
import logging
import os
import signal
import socket
import sys
from typing import Any, Final

import uvloop

from callboard.model.errors import CallboardError
from callboard.net.tasks import spawn
from callboard.server import logs
from callboard.server.assemble import Server
from callboard.server.files import raise_open_files_limit
from callboard.server.workers.desk import Desk

_DIE_WITH_PARENT: Final = 1
"""PR_SET_PDEATHSIG of Linux: then not even a worker that hangs outlives the process that holds the engine."""
_log = logging.getLogger("callboard.server.worker")  # it is started as `__main__`


def main(descriptor: int, number: int, parent: int) -> int:
    """Work until it is over; answers the exit code."""
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    if not _ends_with(parent):
        return 1
    logs.set_up("info", "text", number)
    raise_open_files_limit()
    sock = socket.socket(fileno=descriptor)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_work(sock))


def _ends_with(parent: int) -> bool:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    return os.getppid() == parent


async def _work(sock: socket.socket) -> int:
    desk = Desk(sock)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, desk.to_end.set)
    server: Server | None = None
    try:
        await desk.open()
        said = desk.settings.server
        logs.set_up(said.log_level, said.log_format, desk.place.number)
        server = Server(desk.settings, lambda: desk.settings, desk)
        desk.works(server.telemetry.figures, server.reload_here)
        await server.start()
        await desk.serves()
        failed = await _until(desk, server)
    except (CallboardError, OSError) as error:
        failed = str(error)
    if server is not None:
        await server.stop()
    await desk.close()
    if failed:
        _log.error("this worker ends: %s", failed)
    return 1 if failed else 0


async def _until(desk: Desk, server: Server) -> str:
    """Wait until it is told to end (empty), or can work no longer (why)."""
    told = spawn(desk.to_end.wait(), name="told to end")
    lost = spawn(server.registry.failed(), name="failed")
    either: set[asyncio.Future[Any]] = {told, lost, desk.store.over}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    reason = lost.result() if lost.done() else "" if told.done() else "the process that holds the engine is gone"
    told.cancel()
    lost.cancel()
    return reason


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
