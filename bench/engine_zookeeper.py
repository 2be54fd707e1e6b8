"""ZooKeeper, as `bench.engines` asks it: an ephemeral node, the children of a node and each one's data, a watch of the children.

The client speaks the protocol over plain sockets, because the Python client has two threads for every session, and a thousand sessions are
needed. Requests of one session are sent one after the other without waiting, as all clients of ZooKeeper do.
"""

import contextlib
import os
import select
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.engine import IN_FLIGHT, READERS, VALUE, Watched, on_server_core
from bench.lab import cpu_of
from bench.load import READ_BYTES, connect

ROOT = Path(__file__).resolve().parents[1]
SERVICE, OTHERS = "/web", "/other"
CREATE, GET_DATA, GET_CHILDREN, CLOSE = 1, 4, 8, -11
EPHEMERAL = 1
EVENT = -1
"""The number under which ZooKeeper sends what was watched."""

SESSION_MS = 60_000
READY_MAX_S = 60
STUCK_S = 30
CONFIG = """tickTime=2000
dataDir={folder}
clientPort={port}
clientPortAddress=127.0.0.1
admin.enableServer=false
maxClientCnxns=0
maxSessionTimeout=120000
forceSync=yes
"""


def text(value: str) -> bytes:
    """A string with its length."""
    return struct.pack(">i", len(value)) + value.encode()


def frame(body: bytes) -> bytes:
    """A message with its length."""
    return struct.pack(">i", len(body)) + body


def create(number: int, path: str, flags: int) -> bytes:
    """A node that anybody may change."""
    rights = struct.pack(">ii", 1, 31) + text("world") + text("anyone")
    return frame(
        struct.pack(">ii", number, CREATE) + text(path) + struct.pack(">i", len(VALUE)) + VALUE + rights + struct.pack(">i", flags)
    )


def get_data(number: int, path: str) -> bytes:
    """The data of a node."""
    return frame(struct.pack(">ii", number, GET_DATA) + text(path) + b"\0")


def get_children(number: int, path: str, *, watch: bool = False) -> bytes:
    """The names of a node's children."""
    return frame(struct.pack(">ii", number, GET_CHILDREN) + text(path) + bytes([watch]))


def names_in(reply: bytes) -> list[str]:
    """The names in a reply to `get_children`."""
    count = struct.unpack_from(">i", reply, 16)[0]
    place, names = 20, []
    for _ in range(count):
        length = struct.unpack_from(">i", reply, place)[0]
        names.append(reply[place + 4 : place + 4 + length].decode())
        place += 4 + length
    return names


class Session:
    """One session over one connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = connect(address)
        self.sock.settimeout(STUCK_S)
        self._rest = b""
        self.sock.sendall(frame(struct.pack(">iqiq", 0, 0, SESSION_MS, 0) + struct.pack(">i", 16) + bytes(16) + b"\0"))
        self.one()

    def replies(self) -> list[tuple[int, bytes]]:
        """What has come whole: numbers and messages."""
        part = self.sock.recv(READ_BYTES)
        if not part:
            raise ConnectionError("ZooKeeper has closed a connection")
        data = self._rest + part
        found, place = [], 0
        while len(data) >= place + 4:
            length = struct.unpack_from(">i", data, place)[0]
            if len(data) < place + 4 + length:
                break
            message = data[place + 4 : place + 4 + length]
            found.append((struct.unpack_from(">i", message)[0], message))
            place += 4 + length
        self._rest = data[place:]
        return found

    def one(self) -> bytes:
        """The next message."""
        while not (found := self.replies()):
            pass
        return found[0][1]

    def ask(self, message: bytes) -> bytes:
        """One request and its reply. Raises `RuntimeError` for a refusal."""
        self.sock.sendall(message)
        reply = self.one()
        if error := struct.unpack_from(">i", reply, 12)[0]:
            raise RuntimeError(f"ZooKeeper refuses: {error}")
        return reply

    def close(self) -> None:
        """End the session, with its ephemeral nodes."""
        with contextlib.suppress(OSError):
            self.sock.sendall(frame(struct.pack(">ii", 0, CLOSE)))
        self.sock.close()


class Sessions:
    """Sessions that are driven together: each has its own next request."""

    def __init__(self, address: tuple[str, int], count: int) -> None:
        self._poll = select.epoll()
        self.by_fd: dict[int, Session] = {}
        for _ in range(count):
            session = Session(address)
            self.by_fd[session.sock.fileno()] = session
            self._poll.register(session.sock.fileno(), select.EPOLLIN)

    def ready(self) -> Iterator[tuple[Session, list[tuple[int, bytes]]]]:
        """Sessions with whole messages."""
        found = self._poll.poll(STUCK_S)
        if not found:
            raise RuntimeError(f"ZooKeeper has not answered for {STUCK_S} s")
        for fd, _ in found:
            session = self.by_fd[fd]
            yield session, session.replies()

    def close(self) -> None:
        """End them all."""
        self._poll.close()
        for session in self.by_fd.values():
            session.close()


class ZooKeeper:
    """One server, with its own settings: it syncs before it acknowledges."""

    name = "ZooKeeper"
    register_way = f"an ephemeral node; {IN_FLIGHT} sessions, which are there already; synced by its log"
    read_way = "the children, then the data of each, on one session without waiting between them"
    watch_way = "a session each with a watch of the children; after the event, a whole read with the next watch"

    def __init__(self, popen: "subprocess.Popen[bytes]", address: tuple[str, int]) -> None:
        self._popen = popen
        self._address = address
        self._owners = Sessions(address, IN_FLIGHT)
        self._owner = next(iter(self._owners.by_fd.values()))
        for path in (SERVICE, OTHERS):
            self._owner.ask(create(1, path, 0))

    def cpu_s(self) -> float:
        return cpu_of(self._popen.pid)

    def close(self) -> None:
        """End the sessions."""
        self._owners.close()

    def add(self, path: str) -> None:
        """One node."""
        self._owner.ask(create(1, path, EPHEMERAL))

    def register(self, first: int, count: int) -> None:
        numbers = iter(range(first, first + count))
        for session, number in zip(self._owners.by_fd.values(), numbers, strict=False):
            session.sock.sendall(create(1, f"{OTHERS}/{number}", EPHEMERAL))
        left = count
        while left:
            for session, replies in self._owners.ready():
                left -= len(replies)
                if replies and (number := next(numbers, -1)) >= 0:
                    session.sock.sendall(create(1, f"{OTHERS}/{number}", EPHEMERAL))

    def read(self, count: int) -> None:
        with contextlib.closing(Sessions(self._address, READERS)) as sessions:
            _read(sessions, count)

    def watch(self, count: int, number: int) -> Watched:
        with contextlib.closing(Sessions(self._address, count)) as sessions:
            for session in sessions.by_fd.values():
                session.ask(get_children(1, SERVICE, watch=True))
            begin = time.perf_counter()
            self.add(f"{SERVICE}/{1_000 + number}")
            told: list[float] = []
            missing = dict.fromkeys(sessions.by_fd.values(), -1)
            while any(missing.values()):
                for session, replies in sessions.ready():
                    missing[session] += _follow(session, replies, told)
            return Watched(max(told) - begin, time.perf_counter() - begin)


def _follow(session: Session, replies: Sequence[tuple[int, bytes]], told: list[float]) -> int:
    """Go on after replies to a watcher: how many more it now waits for. Its first -1 stands for the list of names."""
    more = 0
    for number, message in replies:
        if number == EVENT:
            told.append(time.perf_counter())
            session.sock.sendall(get_children(2, SERVICE, watch=True))
        elif number == 2:
            names = names_in(message)
            session.sock.sendall(b"".join(get_data(3, f"{SERVICE}/{name}") for name in names))
            more += len(names) + 1
        else:
            more -= 1
    return more


def _read(sessions: Sessions, count: int) -> None:
    """So many reads of the whole service."""
    started, left = min(count, len(sessions.by_fd)), count
    missing: dict[Session, int] = {}
    for session in list(sessions.by_fd.values())[:started]:
        session.sock.sendall(get_children(2, SERVICE))
    while left:
        for session, replies in sessions.ready():
            for number, message in replies:
                if number == 2:
                    names = names_in(message)
                    missing[session] = len(names)
                    session.sock.sendall(b"".join(get_data(3, f"{SERVICE}/{name}") for name in names))
                    continue
                missing[session] -= 1
                if not missing[session]:
                    left -= 1
                    if started < count:
                        started += 1
                        session.sock.sendall(get_children(2, SERVICE))


def jars() -> Path | None:
    """What `tools/install-zookeeper` fetched."""
    found = sorted((ROOT / ".cache").glob("zookeeper-*/zookeeper-*.jar"))
    return found[-1].parent if found else None


@contextlib.contextmanager
def zookeeper_engine(folder: Path, instances: int) -> Iterator[ZooKeeper]:
    """A server with a service of so many instances."""
    place, java = jars(), shutil.which("java")
    if place is None or java is None:
        raise RuntimeError("ZooKeeper is not there: call tools/install-zookeeper")
    folder.mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "zoo.cfg"
    config.write_text(CONFIG.format(folder=folder, port=port), "utf-8")
    words = [java, "-Xms512m", "-Xmx512m", "-cp", f"{place}/*", "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(config)]
    with on_server_core(), (folder / "log").open("wb") as log:
        popen = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={"PATH": os.environ["PATH"]})
    try:
        _until_ready(popen, ("127.0.0.1", port))
        with contextlib.closing(ZooKeeper(popen, ("127.0.0.1", port))) as engine:
            for number in range(instances):
                engine.add(f"{SERVICE}/{number}")
            yield engine
    finally:
        popen.terminate()
        popen.wait(30)


def _until_ready(popen: "subprocess.Popen[bytes]", address: tuple[str, int]) -> None:
    until = time.monotonic() + READY_MAX_S
    while time.monotonic() < until and popen.poll() is None:
        with contextlib.suppress(OSError):  # it listens before it takes sessions
            Session(address).close()
            return
        time.sleep(0.1)
    raise RuntimeError("ZooKeeper does not start")
