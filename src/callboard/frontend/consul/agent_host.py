"""`agent/host`: the machine the server runs on, as far as its operating system tells without being asked for rights."""

import os
import platform
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from callboard.frontend.consul.blocking import check_agent
from callboard.frontend.consul.door import Door
from callboard.frontend.consul.enterprise import check_headers
from callboard.frontend.consul.errors import POLICY
from callboard.model.time import MILLISECOND
from callboard.net.http.message import JSON, Answer, Reply, Request, Route
from callboard.wire import consul_admin as admin
from callboard.wire.consul_json import encode

_ROOT: Final = "/"
_PROC: Final = Path("/proc")
_KIB: Final = 1024
T = TypeVar("T")


class AgentHost:
    """Its handler."""

    def __init__(self, door: Door, proc: Path = _PROC) -> None:
        self._door = door
        self._proc = proc

    def routes(self) -> tuple[Route, ...]:
        """Its line of the table."""
        return (Route("GET", "/v1/agent/host", self.host, quick=False),)

    def host(self, request: Request) -> Reply:
        """Memory, processors, system and disk; what cannot be found out is null."""
        check_agent(request.query)
        check_headers(request.headers)
        errors: list[str] = []
        now = self._door.registry.clock.wall()
        answer = admin.Host(
            memory=_found(self._memory, errors), cpu=_found(self._processors, errors) or [], host=self._system(now // 1_000),
            disk=_found(_disk, errors), collection_time=now * MILLISECOND, errors=errors or None,
        )  # fmt: skip
        return Answer(200, encode(answer, pretty="pretty" in request.query), JSON, POLICY)

    def _memory(self) -> admin.Memory:
        lines = (self._proc / "meminfo").read_text("ascii").splitlines()
        sizes = {name: int(rest.split()[0]) * _KIB for name, _, rest in (line.partition(":") for line in lines)}
        total, available = sizes["MemTotal"], sizes["MemAvailable"]
        return admin.Memory(
            total=total, available=available, used=total - available, used_percent=_percent(total - available, total),
            free=sizes["MemFree"], buffers=sizes["Buffers"], cached=sizes["Cached"],
        )  # fmt: skip

    def _processors(self) -> list[admin.Cpu]:
        text = (self._proc / "cpuinfo").read_text("utf-8", "replace")
        out: list[admin.Cpu] = []
        for block in text.strip().split("\n\n"):
            facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in block.splitlines())}
            if facts.get("processor", "").isdigit():
                out.append(
                    admin.Cpu(cpu=int(facts["processor"]), model_name=facts.get("model name", ""), mhz=float(facts.get("cpu MHz") or 0))
                )
        return out

    def _system(self, now_s: int) -> admin.System:
        try:
            uptime = int(float((self._proc / "uptime").read_text("ascii").split()[0]))
            processes = sum(1 for entry in self._proc.iterdir() if entry.name.isdigit())
        except (OSError, ValueError, IndexError):
            uptime = processes = 0
        return admin.System(
            hostname=socket.gethostname(), uptime=uptime, boot_time=now_s - uptime if uptime else 0, procs=processes,
            os=platform.system().lower(), platform=platform.system().lower(), platform_version=platform.release(),
            kernel_version=platform.release(), kernel_arch=platform.machine(),
        )  # fmt: skip


def _disk() -> admin.Disk:
    found = os.statvfs(_ROOT)
    total, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
    used = total - found.f_bfree * found.f_frsize
    return admin.Disk(
        path=_ROOT, total=total, free=free, used=used, used_percent=_percent(used, used + free), inodes_total=found.f_files,
        inodes_used=found.f_files - found.f_ffree, inodes_free=found.f_ffree,
    )  # fmt: skip


def _found(ask: Callable[[], T], errors: list[str]) -> T | None:
    try:
        return ask()
    except (OSError, ValueError, KeyError, IndexError) as error:
        errors.append(f"{type(error).__name__}: {error}")
        return None


def _percent(part: int, of: int) -> float:
    return 100.0 * part / of if of else 0.0
