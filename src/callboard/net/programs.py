"""Programs that checks run: bounded in time and output, and ended with everything they have started. A program lives for one probe."""

import asyncio
import contextlib
import errno
import os
import signal
from dataclasses import dataclass
from typing import Final

from callboard.core.health import ProbeResult
from callboard.model.check import OsServiceCheck, ScriptCheck, Status
from callboard.model.time import SECOND
from callboard.net.tasks import spawn
from callboard.wire.consul_go import format_duration

_ENDED_WAIT_S: Final = 2.0
"""How long a program that was killed may take to be gone."""
_LEFT_WAIT_S: Final = 0.5
"""How long the output of a program that has ended is waited for, while something it has started still holds it."""
_OURS: Final = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
"""What this machine lacks for any program: no evidence about this one."""
_CAPTURED: Final = "Captured {} of {} bytes\n...\n"
_MANAGER: Final = "systemctl"
_RUNNING: Final = "active"
_TURNING: Final = frozenset({"activating", "deactivating", "reloading", "refreshing", "maintenance"})


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a program; `code` is None when it was killed because its time was over."""

    code: int | None
    output: bytes
    output_bytes: int
    """How much there was; `output` has the end of it."""


class _Output(asyncio.SubprocessProtocol):
    """Keeps the end of what a program writes."""

    def __init__(self, keep_bytes: int) -> None:
        self.exited = asyncio.Event()
        self.closed = asyncio.Event()
        self.kept = bytearray()
        self.total_bytes = 0
        self._keep_bytes = keep_bytes

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Keep what is newest."""
        self.total_bytes += len(data)
        self.kept += data
        del self.kept[: max(0, len(self.kept) - self._keep_bytes)]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Nobody writes any more."""
        self.closed.set()

    def process_exited(self) -> None:
        """It has ended."""
        self.exited.set()


async def run_program(args: tuple[str, ...], timeout_s: float, keep_bytes: int) -> Ended:
    """Run a program without input in a session of its own. Raises `OSError` when it cannot be started."""
    starting = spawn(_started(args, keep_bytes), name=f"start {args[0]}")
    try:
        transport, output = await asyncio.shield(starting)
    except asyncio.CancelledError:
        # Half started it could not be ended with all that it has started meanwhile.
        with contextlib.suppress(OSError):
            transport, output = await starting
            _kill(transport)
            await _over(transport, output)
        raise
    try:
        in_time = await _exited(transport, output, timeout_s)
    finally:
        await _over(transport, output)
    return Ended(transport.get_returncode() if in_time else None, bytes(output.kept), output.total_bytes)


async def _started(args: tuple[str, ...], keep_bytes: int) -> tuple[asyncio.SubprocessTransport, _Output]:
    return await asyncio.get_running_loop().subprocess_exec(
        lambda: _Output(keep_bytes), *args, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.STDOUT, start_new_session=True
    )


async def _exited(transport: asyncio.SubprocessTransport, output: _Output, timeout_s: float) -> bool:
    """Whether a program ended in time. What it started and left behind ends with it, or with this prober."""
    try:
        async with asyncio.timeout(timeout_s):
            await output.exited.wait()
    except TimeoutError:
        return False
    finally:
        _kill(transport)
    return True


def _kill(transport: asyncio.SubprocessTransport) -> None:
    """End a program with all of its session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(transport.get_pid(), signal.SIGKILL)


async def _over(transport: asyncio.SubprocessTransport, output: _Output) -> None:
    """What was killed is gone, and what it wrote is read."""
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ENDED_WAIT_S):
                await output.exited.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEFT_WAIT_S):
                await output.closed.wait()
    finally:
        transport.close()


async def probe_script(check: ScriptCheck, timeout_s: float) -> ProbeResult:
    """Exit code 0 passes, 1 warns, everything else is critical."""
    try:
        ended = await run_program(check.args, timeout_s, check.output_max_bytes)
    except OSError as error:
        if error.errno in _OURS:
            raise
        return ProbeResult(Status.CRITICAL, _not_started(check.args[0], error))
    text = _text(ended, check.output_max_bytes)
    if ended.code is None:
        note = f"Timed out ({format_duration(int(timeout_s * SECOND))}) running check"
        return ProbeResult(Status.CRITICAL, f"{note}\n\n{text}" if text else note)
    return ProbeResult({0: Status.PASSING, 1: Status.WARNING}.get(ended.code, Status.CRITICAL), text)


def _text(ended: Ended, limit_bytes: int) -> str:
    """The end of the output, and how much there was. What is no UTF-8 takes more room as text than it did."""
    note = _CAPTURED.format(len(ended.output), ended.output_bytes) if ended.output_bytes > len(ended.output) else ""
    return note + ended.output.decode("utf-8", errors="replace").encode()[-limit_bytes:].decode("utf-8", errors="ignore")


def _not_started(program: str, error: OSError) -> str:
    if "/" not in program and isinstance(error, FileNotFoundError):
        return f'exec: "{program}": executable file not found in $PATH'
    return f"fork/exec {program}: {(error.strerror or str(error)).lower()}"


async def probe_os_service(check: OsServiceCheck, timeout_s: float) -> ProbeResult:
    """A unit of systemd that runs passes, one on its way somewhere warns, everything else is critical."""
    try:
        ended = await run_program((_MANAGER, "is-active", "--", check.service), timeout_s, check.output_max_bytes)
    except (FileNotFoundError, PermissionError):
        return ProbeResult(Status.CRITICAL, f"{_MANAGER} is not to be had on this machine: os_service checks need systemd")
    said = ended.output.decode("utf-8", errors="replace").strip()
    if ended.code is None:
        return ProbeResult(Status.CRITICAL, f"{_MANAGER} did not answer in {timeout_s:g} s")
    if " " in said:  # a state is one word; this is why it cannot tell one
        return ProbeResult(Status.CRITICAL, f"systemd does not answer here: {'; '.join(said.splitlines())}")
    status = Status.PASSING if said == _RUNNING else Status.WARNING if said in _TURNING else Status.CRITICAL
    return ProbeResult(status, f"Service {check.service} is {said or f'unknown to {_MANAGER} (exit code {ended.code})'}")
