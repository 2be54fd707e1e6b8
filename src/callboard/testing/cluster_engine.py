"""The engine of a cluster under test: etcd nodes as processes of their own, every way to them over a link that can be cut.

Nodes keep their ports and their data over restarts. They live inside `callboard.testing.cluster.Cluster`.
"""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from callboard.testing.cluster_network import Network
from callboard.testing.etcd import binary

HOST: Final = "127.0.0.1"
_READY_MAX_S: Final = 60.0
_LEFT_MAX_S: Final = 10.0
_POLL_S: Final = 0.05
_CALL_MAX_S: Final = 5.0
_RETENTION: Final = "10m"

T = TypeVar("T")


class ClusterError(Exception):
    """A process of the cluster is not as the test wants it; the message says which, and what its log ends with."""


class Port:
    """A port of this machine that stays ours while nobody listens there."""

    def __init__(self) -> None:
        self._keeper = socket.socket()
        self._keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._keeper.bind((HOST, 0))
        self.number: Final = int(self._keeper.getsockname()[1])

    def close(self) -> None:
        """Give it back."""
        self._keeper.close()


class Process:
    """What can be done to a process of the cluster, whichever it is."""

    def __init__(self, name: str, folder: Path, network: Network) -> None:
        self.name: Final = name
        self.folder: Final = folder
        self.paused = False
        self._network = network
        self._popen: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def runs(self) -> bool:
        """It was started, and has not ended."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def pid(self) -> int:
        """Of the running process."""
        return self._running().pid

    def kill(self) -> None:
        """SIGKILL: a crash."""
        self._running()
        self.reap()

    def pause(self) -> None:
        """SIGSTOP: it stands still, and its connections stay."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        self.paused = True

    def resume(self) -> None:
        """SIGCONT."""
        self._running().send_signal(signal.SIGCONT)
        self.paused = False

    def stop(self) -> float:
        """SIGTERM, and wait for the end; answers how many seconds that took. Raises `ClusterError` when it does not leave."""
        process = self._running()
        begin = time.monotonic()
        process.terminate()
        try:
            code = process.wait(_LEFT_MAX_S)
        except subprocess.TimeoutExpired:
            raise ClusterError(f"{self.name} did not leave within {_LEFT_MAX_S:.0f} s after SIGTERM{self.complaint()}") from None
        finally:
            self.reap()
        if code not in {0, -signal.SIGTERM}:
            raise ClusterError(f"{self.name} left with {code} after SIGTERM{self.complaint()}")
        return time.monotonic() - begin

    def reap(self) -> None:
        """End the process, if it has not ended."""
        process, self._popen = self._popen, None
        self.paused = False
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def complaint(self) -> str:
        """How its log ends."""
        with contextlib.suppress(FileNotFoundError):
            said = self.log.read_text("utf-8", errors="replace").strip()
            return f"; its log {self.log} ends:\n{said[-2_000:]}" if said else ""
        return ""

    @property
    def log(self) -> Path:
        """What it wrote to stderr, over all its lives."""
        return self.folder / "log"

    def _launched(self, popen: "subprocess.Popen[bytes]") -> None:
        self._popen = popen
        self._network.mind(popen.pid)
        self._network.know(self.name, popen.pid)

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._popen is None:
            raise ClusterError(f"{self.name} does not run; start() it")
        if (code := self._popen.poll()) is not None:
            raise ClusterError(f"{self.name} ended by itself with exit code {code}{self.complaint()}")
        return self._popen


class _Header(Struct):
    member_id: str
    revision: str = "0"


class _Status(Struct):
    header: _Header
    leader: str = "0"
    dbSize: str = "0"  # noqa: N815  # as etcd spells it


class _Alarm(Struct):
    memberID: str  # noqa: N815  # as etcd spells it
    alarm: str = "NONE"


class _Alarms(Struct):
    alarms: tuple[_Alarm, ...] = ()


class EngineNode(Process):
    """One etcd process."""

    def __init__(self, name: str, folder: Path, network: Network) -> None:
        super().__init__(name, folder, network)
        self._client, self._peer = Port(), Port()
        self.client_port: Final = self._client.number
        """Past every link."""
        self.peer_url: Final = f"http://{HOST}:{network.listen(name, self._peer.number)}"

    def launch(self, initial: str, options: Sequence[str]) -> None:
        """Start it, with the data that is there."""
        client, peer = f"http://{HOST}:{self.client_port}", f"http://{HOST}:{self._peer.number}"
        words = [
            str(binary(sound=True)), "--name", self.name, "--data-dir", str(self.folder / "data"), "--logger", "zap", "--log-level", "warn",
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", self.peer_url,
            "--initial-cluster", initial, "--initial-cluster-state", "new",
            "--auto-compaction-mode", "periodic", "--auto-compaction-retention", _RETENTION, *options,
        ]  # fmt: skip
        with self.log.open("ab") as log:
            self._launched(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0))  # noqa: S603

    def call(self, path: str, body: dict[str, object] | None = None) -> bytes:
        """One of etcd's own calls, as JSON over HTTP. Raises `OSError`."""
        connection = http.client.HTTPConnection(HOST, self.client_port, timeout=_CALL_MAX_S)
        try:
            connection.request("POST", path, msgspec.json.encode(body or {}))
            response = connection.getresponse()
            answer = response.read()
            if response.status != http.client.OK:
                raise OSError(f"{self.name} answers {path} with {response.status} {answer[:200]!r}")
            return answer
        except http.client.HTTPException as error:
            raise OSError(repr(error)) from None
        finally:
            connection.close()

    def leads(self) -> bool | None:
        """Whether it leads the engine; None when it does not answer, or knows no leader."""
        if not self.runs or self.paused:
            return None
        try:
            status = msgspec.json.decode(self.call("/v3/maintenance/status"), type=_Status)
        except (OSError, msgspec.DecodeError):
            return None
        return None if status.leader == "0" else status.leader == status.header.member_id

    def close(self) -> None:
        """End it, and give its ports back."""
        self.reap()
        self._client.close()
        self._peer.close()


class Engine:
    """The nodes together."""

    def __init__(self, folder: Path, network: Network, count: int, options: Sequence[str] = ()) -> None:
        self.nodes: Final = tuple(EngineNode(f"engine-{number}", folder / f"engine-{number}", network) for number in range(1, count + 1))
        self._initial = ",".join(f"{node.name}={node.peer_url}" for node in self.nodes)
        self._options = tuple(options)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the nodes, as the network knows them."""
        return tuple(node.name for node in self.nodes)

    def start(self, node: EngineNode | None = None) -> None:
        """Start one, or all that do not run; waits until the engine answers when all run."""
        for each in self.nodes if node is None else (node,):
            if not each.runs:
                each.launch(self._initial, self._options)
        if node is None:
            self.leader()

    def leader(self) -> EngineNode:
        """Who leads, as soon as somebody does. Raises `ClusterError`."""
        return wait_for(lambda: next((node for node in self.nodes if node.leads()), None), "the engine has no leader", _READY_MAX_S)

    def followers(self) -> tuple[EngineNode, ...]:
        """The others."""
        leader = self.leader()
        return tuple(node for node in self.nodes if node is not leader)

    def make_room(self) -> None:
        """What an operator does when the quota is reached: forget history, give the space back, take the alarm off."""
        node = self.leader()
        revision = msgspec.json.decode(node.call("/v3/maintenance/status"), type=_Status).header.revision
        with contextlib.suppress(OSError):  # it is compacted
            node.call("/v3/kv/compaction", {"revision": revision, "physical": True})
        for each in self.nodes:
            each.call("/v3/maintenance/defragment")
        alarms = msgspec.json.decode(node.call("/v3/maintenance/alarm", {"action": "GET"}), type=_Alarms).alarms
        for alarm in alarms:
            node.call("/v3/maintenance/alarm", {"action": "DEACTIVATE", "memberID": alarm.memberID, "alarm": alarm.alarm})

    def size_bytes(self) -> int:
        """Of the leader's database, free pages included."""
        return int(msgspec.json.decode(self.leader().call("/v3/maintenance/status"), type=_Status).dbSize)

    def close(self) -> None:
        """End all."""
        for node in self.nodes:
            node.close()


def wait_for(look: Callable[[], T | None], wanted: str, within_s: float) -> T:
    """What `look` answers once that is true. Raises `ClusterError`."""
    until = time.monotonic() + within_s
    while not (found := look()):
        if time.monotonic() > until:
            raise ClusterError(f"not within {within_s:.0f} s: {wanted}")
        time.sleep(_POLL_S)
    return found
