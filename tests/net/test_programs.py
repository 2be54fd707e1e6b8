"""Programs that checks run, and what becomes of those that do not end."""

import asyncio
import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest

from callboard.core.health import ProbeResult
from callboard.model.check import OsServiceCheck, ScriptCheck, Status
from callboard.model.time import SECOND
from callboard.net import programs
from callboard.net.programs import probe_os_service, probe_script
from tests.net.running import Run
from tests.support import PATIENCE_S

P, W, C = Status.PASSING, Status.WARNING, Status.CRITICAL


def shell(script: str, **more: Any) -> ScriptCheck:
    return ScriptCheck(("/bin/sh", "-c", script), SECOND, **more)


def gone(process: int) -> bool:
    """Whether a process has ended, at the latest in a while."""
    for _ in range(int(PATIENCE_S * 50)):
        try:
            os.kill(process, 0)
            if Path(f"/proc/{process}/stat").read_text("ascii").split()[2] == "Z":
                return True  # it has ended, and nobody has asked for its code
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(
    ("script", "result"),
    [
        ("echo fine", ProbeResult(P, "fine\n")),
        ("echo so so; echo loud >&2; exit 1", ProbeResult(W, "so so\nloud\n")),
        ("exit 2", ProbeResult(C, "")),
        ("exit 255", ProbeResult(C, "")),
        ("kill -9 $$", ProbeResult(C, "")),
        ("cat; printf '\\377'", ProbeResult(P, "\ufffd")),
    ],
)
def test_the_exit_code_decides_and_both_outputs_are_told(run: Run, script: str, result: ProbeResult) -> None:
    assert run(probe_script(shell(script), PATIENCE_S)) == result


def test_of_a_long_output_the_end_is_kept_and_it_is_said(run: Run) -> None:
    result = run(probe_script(shell("i=0; while [ $i -lt 300 ]; do echo 0123456789; i=$((i+1)); done; echo end", output_max_bytes=20), 30))
    assert result == (P, "Captured 20 of 3304 bytes\n...\n6789\n0123456789\nend\n")


def test_a_program_whose_time_is_over_is_killed_with_all_it_has_started(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    script = f"sleep 300 & echo $! $$ > {file}; echo waiting; wait"
    result = run(probe_script(shell(script), 0.5))
    assert result.status is C
    assert result.output.startswith("Timed out (500ms) running check")
    if file.exists():  # on a busy machine it may not have come so far
        assert all(gone(int(process)) for process in file.read_text("ascii").split())


def test_what_a_program_leaves_behind_ends_with_it_and_keeps_nobody_waiting(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    result = run(probe_script(shell(f"sleep 300 & echo $! > {file}; echo done"), PATIENCE_S))
    assert result == (P, "done\n")
    assert gone(int(file.read_text("ascii")))


def test_a_program_ends_with_the_prober_that_asked_it(tmp_path: Path) -> None:
    file = tmp_path / "pid"

    async def cancelled() -> None:
        asking = asyncio.ensure_future(probe_script(shell(f"echo $$ > {file}.new; mv {file}.new {file}; exec sleep 300"), PATIENCE_S))
        for _ in range(int(PATIENCE_S * 100)):
            if file.exists():
                break
            await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(cancelled())
    assert gone(int(file.read_text("ascii")))


def test_a_program_that_is_not_there_is_critical_in_plain_words(run: Run, tmp_path: Path) -> None:
    assert run(probe_script(ScriptCheck(("/no/such/program",), SECOND), 5)) == (C, "fork/exec /no/such/program: no such file or directory")
    file = tmp_path / "text"
    file.write_text("x", "ascii")
    assert run(probe_script(ScriptCheck((str(file),), SECOND), 5)) == (C, f"fork/exec {file}: permission denied")
    name = "callboard-no-such-program"
    assert run(probe_script(ScriptCheck((name,), SECOND), 5)) == (C, f'exec: "{name}": executable file not found in $PATH')


@pytest.mark.parametrize(
    ("script", "result"),
    [
        ("echo active", ProbeResult(P, "Service nginx.service is active")),
        ("echo activating; exit 3", ProbeResult(W, "Service nginx.service is activating")),
        ("echo failed; exit 3", ProbeResult(C, "Service nginx.service is failed")),
        ("exit 1", ProbeResult(C, "Service nginx.service is unknown to systemctl (exit code 1)")),
        (
            "echo 'System has not been booted with systemd' >&2; echo 'Failed to connect to bus' >&2; exit 1",
            ProbeResult(C, "systemd does not answer here: System has not been booted with systemd; Failed to connect to bus"),
        ),
        ("test \"$*\" = 'is-active -- nginx.service' && echo active", ProbeResult(P, "Service nginx.service is active")),
        ("sleep 300", ProbeResult(C, "systemctl did not answer in 0.5 s")),
    ],
)
def test_systemd_says_how_a_unit_is(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, result: ProbeResult) -> None:
    manager = tmp_path / "systemctl"
    manager.write_text(f"#!/bin/sh\n{script}\n", "ascii")
    manager.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    timeout_s = 0.5 if "sleep" in script else PATIENCE_S
    assert run(probe_os_service(OsServiceCheck("nginx.service", SECOND), timeout_s)) == result


def test_a_machine_without_systemd_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_MANAGER", "no-such-systemctl")
    result = run(probe_os_service(OsServiceCheck("nginx", SECOND), 5))
    assert result == (C, "no-such-systemctl is not to be had on this machine: os_service checks need systemd")


def test_a_program_that_cannot_be_started_is_critical_and_says_why(run: Run, tmp_path: Path) -> None:
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    assert run(probe_script(ScriptCheck((str(circle),), SECOND), PATIENCE_S)) == (
        C,
        f"fork/exec {circle}: too many levels of symbolic links",
    )
    long = "/" + "x" * 300
    assert run(probe_script(ScriptCheck((long,), SECOND), PATIENCE_S)) == (C, f"fork/exec {long}: file name too long")


def test_what_this_machine_lacks_is_no_evidence_about_a_script(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_more_processes(*_: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(programs, "run_program", no_more_processes)
    with pytest.raises(BlockingIOError):
        asyncio.run(probe_script(shell("exit 0"), PATIENCE_S))
    with pytest.raises(BlockingIOError):
        asyncio.run(probe_os_service(OsServiceCheck("ssh", SECOND), PATIENCE_S))


def test_the_limit_of_an_output_holds_also_for_what_is_no_text(run: Run) -> None:
    result = run(probe_script(shell("printf '\\377%.0s' 1 2 3 4 5 6 7 8 9 10; echo end", output_max_bytes=14), PATIENCE_S))
    assert result == (P, "\ufffd\ufffd\ufffdend\n")


@pytest.mark.parametrize("turns", range(6))
def test_who_is_cancelled_while_a_program_starts_leaves_none_behind(run: Run, tmp_path: Path, turns: int) -> None:
    file = tmp_path / "pids"
    waiting = shell(f"sleep 300 & echo $! $$ > {file}; wait")

    async def cancelled() -> ProbeResult:
        asking = asyncio.ensure_future(probe_script(waiting, PATIENCE_S))
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait([asking])
        assert asking.cancelled()
        return ProbeResult(P, "")

    run(cancelled())
    time.sleep(0.3)  # had it not been killed, it would have come so far
    if file.exists():
        assert all(gone(int(process)) for process in file.read_text("ascii").split())
