"""Another server that speaks Consul's HTTP interface, measured with the same requests in the same run: `PEER=http://host:port`.

It is not started here: it runs as its owner runs it. On this machine its process is found through its port, so that its CPU time is
known; of a peer on another machine only rates are. What is registered there is taken away again, and nothing else.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.lab import cpu_of, family_of, rss_kib_of

TCP = ("/proc/net/tcp", "/proc/net/tcp6")


@dataclass(frozen=True)
class Peer:
    """Where it listens; `pid` is 0 when it runs elsewhere, or as somebody else's."""

    name: str
    http: tuple[str, int]
    pid: int
    dns_at: tuple[str, int] | None

    @property
    def dns(self) -> tuple[str, int]:
        """Host and port of its DNS address."""
        if self.dns_at is None:
            raise RuntimeError("say where the peer answers DNS: PEER_DNS=host:port")
        return self.dns_at

    def cpu_s(self) -> float:
        """User and system time so far; not a number when it is not known."""
        return sum(map(cpu_of, family_of(self.pid))) if self.pid else math.nan

    def rss_kib(self) -> float:
        """Resident memory; not a number when it is not known."""
        return sum(map(rss_kib_of, family_of(self.pid))) if self.pid else math.nan


def peer_of(environment: Mapping[str, str]) -> Peer | None:
    """The peer that PEER, PEER_DNS and PEER_NAME name, if they do."""
    url = environment.get("PEER", "")
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None:
        raise SystemExit(f"PEER is {url}; it must be http://HOST:PORT")
    address = (parts.hostname, parts.port or 8500)
    dns = environment.get("PEER_DNS", "")
    host, _, port = dns.rpartition(":")
    return Peer(environment.get("PEER_NAME", "peer"), address, pid_at(address[1]), (host, int(port)) if dns else None)


def sockets_at(port: int) -> dict[int, str]:
    """Connections of this machine that came in at `port`: the port each comes from (0: the listener), and the inode of our end."""
    found: dict[int, str] = {}
    for table in TCP:
        path = Path(table)
        lines = path.read_text(encoding="ascii").splitlines()[1:] if path.exists() else []
        for line in lines:
            words = line.split()
            if int(words[1].rsplit(":", 1)[1], 16) == port:
                found[int(words[2].rsplit(":", 1)[1], 16)] = words[9]
    return found


def inodes_of(pid: int) -> set[str]:
    """The inodes of the sockets that a process holds."""
    found = set()
    try:
        for file in Path(f"/proc/{pid}/fd").iterdir():
            target = str(file.readlink())
            if target.startswith("socket:["):
                found.add(target[8:-1])
    except OSError:  # it ended, or belongs to somebody else
        pass
    return found


def pid_at(port: int) -> int:
    """The process of this machine that listens at a port, or 0."""
    inode = sockets_at(port).get(0)
    if inode is None:
        return 0
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return next((pid for pid in sorted(pids) if inode in inodes_of(pid)), 0)
