"""A real cluster for tests: three servers over three etcd nodes, and everything that can happen to them and to the links between them.

A `Cluster` lives inside `Cluster.running`. Every process keeps its ports and its data over restarts. Every way from one process to another
leads over a link of its own: see `Network` for what can be done to them. Clients call `Member.url`, over the link from `CLIENT`;
`Member.direct_url` leads past all of them, for those who look on.
"""

import contextlib
import http.client
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

import callboard
from callboard.testing.cluster_engine import HOST, ClusterError, Engine, Port, Process, wait_for
from callboard.testing.cluster_network import Network

CLIENT: Final = "client"
"""Everybody who calls a member and is none."""
_READY_MAX_S: Final = 60.0
_AGREED_MAX_S: Final = 60.0
_CALL_MAX_S: Final = 3.0


class Status(Struct):
    """What a member says of itself."""

    member: str
    ready: bool
    leader: str
    revision: int


class Member(Process):
    """One `callboard serve`."""

    def __init__(self, name: str, folder: Path, network: Network, store: str, settings: Mapping[str, str]) -> None:
        super().__init__(name, folder, network)
        self._store = store
        self._settings = dict(settings)
        self._http = Port()
        self.direct_port: Final = self._http.number
        self.port: Final = network.listen(name, self.direct_port, source=CLIENT)
        peer_port = network.listen(name, self.direct_port)
        self._settings.setdefault("CALLBOARD_TUNE_PEER_URL", f"http://{HOST}:{peer_port}")

    @property
    def url(self) -> str:
        """Where clients call it, over their link."""
        return f"http://{HOST}:{self.port}"

    @property
    def direct_url(self) -> str:
        """Past every link."""
        return f"http://{HOST}:{self.direct_port}"

    def launch(self) -> None:
        """Start it without waiting."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("CALLBOARD_", "CONSUL_"))}
        home = str(Path(callboard.__file__).parents[1])
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (home, environment.get("PYTHONPATH"))))
        words = [
            sys.executable, "-P", "-m", "callboard.cli.leashed", "--member", self.name, "--http", f"{HOST}:{self.direct_port}",
            "--dns", f"{HOST}:0", "--data", str(self.folder / "data"), "--log-level", "info", "--store", self._store,
        ]  # fmt: skip
        with self.log.open("ab") as log:
            popen = subprocess.Popen(  # noqa: S603  # our own module
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env={**environment, **self._settings}, process_group=0
            )
        self._launched(popen)

    def await_ready(self) -> None:
        """Until it says that it is ready. Raises `ClusterError`."""
        process = self._running()
        assert process.stdout is not None
        poll = select.poll()
        poll.register(process.stdout, select.POLLIN)
        heard = bool(poll.poll(_READY_MAX_S * 1000))
        if heard and not process.stdout.readline():
            raise ClusterError(f"{self.name} ended with {process.wait()} before it was ready{self.complaint()}")
        if not heard:
            raise ClusterError(f"{self.name} was not ready within {_READY_MAX_S:.0f} s{self.complaint()}")

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        self.launch()
        self.await_ready()

    def call(self, method: str, path: str, body: bytes = b"", timeout_s: float = _CALL_MAX_S) -> tuple[int, dict[str, str], bytes]:
        """What it answers, past every link. Raises `OSError`."""
        connection = http.client.HTTPConnection(HOST, self.direct_port, timeout=timeout_s)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        except http.client.HTTPException as error:
            raise OSError(repr(error)) from None
        finally:
            connection.close()

    def status(self) -> Status | None:
        """What it says of itself; None when it says nothing."""
        if not self.runs or self.paused:
            return None
        try:
            return msgspec.json.decode(self.call("GET", "/api/v1/status")[2], type=Status)
        except (OSError, msgspec.DecodeError):
            return None

    def close(self) -> None:
        """End it, and give its port back."""
        self.reap()
        self._http.close()


class Cluster:
    """Members, engine and the network between them."""

    def __init__(self, network: Network, engine: Engine | None, members: Sequence[Member]) -> None:
        self.network: Final = network
        self.engine_or_none: Final = engine
        self.members: Final = tuple(members)

    @classmethod
    @contextlib.contextmanager
    def running(
        cls,
        folder: Path,
        *,
        members: int = 3,
        engine_nodes: int = 3,
        settings: Mapping[str, str] | None = None,
        engine_options: Sequence[str] = (),
        direct: bool = False,
    ) -> Iterator["Cluster"]:
        """So many members over so many engine nodes; without engine nodes one member over SQLite. All is ended at the end.

        `settings` are the members' environment, `engine_options` are flags of etcd. `direct`: without links between them, see `Network`.
        """
        with contextlib.ExitStack() as ending:
            network = Network(direct=direct)
            ending.callback(network.close)
            engine: Engine | None = None
            if engine_nodes:
                engine = Engine(folder, network, engine_nodes, engine_options)
                ending.callback(engine.close)
                engine.start()
            made: list[Member] = []
            for number in range(1, members + 1):
                name = f"member-{number}"
                made.append(Member(name, folder / name, network, _store(network, engine, name, folder), settings or {}))
                ending.callback(made[-1].close)
            cluster = cls(network, engine, made)
            cluster.start()
            yield cluster
            network.heal()

    @property
    def engine(self) -> Engine:
        """The engine; it has one unless it was started without."""
        assert self.engine_or_none is not None, "this cluster is one member over SQLite"
        return self.engine_or_none

    @property
    def names(self) -> tuple[str, ...]:
        """Of the members, as the network and the members themselves know them."""
        return tuple(member.name for member in self.members)

    def start(self) -> None:
        """Start every member that does not run, and wait until all are ready and know a leader."""
        starting = [member for member in self.members if not member.runs]
        for member in starting:
            member.launch()
        for member in starting:
            member.await_ready()
        self.leader()

    def leader(self, within_s: float = _AGREED_MAX_S) -> Member:
        """Who leads, as soon as all members that answer name the same one. Raises `ClusterError`."""
        return wait_for(self._agreed, "all members that answer name the same leader", within_s)

    def followers(self) -> tuple[Member, ...]:
        """The others that run."""
        leader = self.leader()
        return tuple(member for member in self.members if member is not leader and member.runs)

    def _agreed(self) -> Member | None:
        told = [status for member in self.members if (status := member.status()) is not None]
        named = {status.leader for status in told}
        if not told or len(named) != 1:
            return None
        return next((member for member in self.members if member.name in named and member.runs and not member.paused), None)


def _store(network: Network, engine: Engine | None, member: str, folder: Path) -> str:
    if engine is None:
        return f"sqlite:///{folder / member / 'rows.sqlite'}"
    ways = [f"{HOST}:{network.listen(node.name, node.client_port, source=member)}" for node in engine.nodes]
    return f"etcd://{','.join(ways)}/callboard"
