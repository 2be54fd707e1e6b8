"""The network of a cluster under test: TCP links between named parties, each of which can be cut, slowed or frozen in either direction.

A program of its own (`python -m callboard.testing.cluster_links`), so that a busy test does not slow its links. Orders come in on stdin,
one line of JSON each, and each is answered with a line when it has taken effect. It leaves when stdin ends, and ends the processes it
minds. What is under way at a cut waits in kernels, as it would in a network; ends of connections are not told over a link that is cut.
"""

import asyncio
import contextlib
import os
import resource
import signal
import sys
from collections import deque
from pathlib import Path
from typing import Final, Literal, cast

import msgspec
from msgspec import Struct

from callboard.net.tasks import Tasks

HOST: Final = "127.0.0.1"
UNKNOWN: Final = "?"
_HELD_MAX_BYTES: Final = 262_144
_LINE_MAX_BYTES: Final = 65_536


class Order(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the network is told to do. `source` dials, `dest` is dialled."""

    do: Literal["listen", "rule", "freeze", "thaw", "know", "mind"]
    source: str = ""
    """At `listen`: who dials there; empty: found out for each connection, among the processes that are known."""
    dest: str = ""
    port: int = 0
    """At `listen`: where the party really listens."""
    forward: bool = True
    """Bytes of the source pass."""
    back: bool = True
    """Bytes of the other pass."""
    delay_ms: int = 0
    """In each direction."""
    pid: int = 0


class Told(Struct, frozen=True, omit_defaults=True):
    """The answer to an order."""

    port: int = 0
    count: int = 0
    """Connections that were meant."""


class Rule(Struct, frozen=True):
    """How the link of a pair is."""

    forward: bool = True
    back: bool = True
    delay_s: float = 0.0


_OPEN: Final = Rule()


class _Flow(asyncio.Protocol):
    """One direction of a connection: what its own end says goes to the other one."""

    def __init__(self, link: "_Link", *, forward: bool) -> None:
        self._link = link
        self._forward = forward
        self._held: deque[tuple[float, bytes]] = deque()
        self._held_bytes = 0
        self._over = False
        """Its end said all, or is gone."""
        self._gone = False
        self._choked = False
        self._timer: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport | None = None
        self.frozen = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self._forward:
            self._link.accepted(self.transport)

    def data_received(self, data: bytes) -> None:
        self._held.append((asyncio.get_running_loop().time() + self._link.rule.delay_s, data))
        self._held_bytes += len(data)
        self.pump()

    def eof_received(self) -> bool:
        self._over = True
        self.pump()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._over = self._gone = True
        self.pump()

    def pause_writing(self) -> None:
        self._link.other(self).choke(choked=True)

    def resume_writing(self) -> None:
        self._link.other(self).choke(choked=False)

    def choke(self, *, choked: bool) -> None:
        """The other end takes no more for now, or does again."""
        self._choked = choked
        self.pump()

    @property
    def _passes(self) -> bool:
        rule = self._link.rule
        return not self.frozen and not self._choked and (rule.forward if self._forward else rule.back)

    def pump(self) -> None:
        """Pass on what may be passed on now."""
        sink = self._link.other(self).transport
        if sink is None:
            return
        now = asyncio.get_running_loop().time()
        while self._held and self._passes:
            due, piece = self._held[0]
            if due > now:
                self._arm(due)
                break
            self._held.popleft()
            self._held_bytes -= len(piece)
            if not sink.is_closing():
                sink.write(piece)
        if self.said_all and self._passes:
            self._end(sink)
        self._read_or_wait()

    @property
    def said_all(self) -> bool:
        """Nothing more comes from its own end, and all that came was passed on."""
        return self._over and not self._held

    def _arm(self, due: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(due, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self.pump()

    def _end(self, sink: asyncio.Transport) -> None:
        if self._gone or self._link.other(self).said_all:
            for transport in (sink, self.transport):
                if transport is not None:
                    transport.close()
        elif sink.can_write_eof() and not sink.is_closing():
            sink.write_eof()

    def _read_or_wait(self) -> None:
        own = self.transport
        if own is None or own.is_closing():
            return
        if self._held_bytes > _HELD_MAX_BYTES or not self._passes:
            own.pause_reading()
        else:
            own.resume_reading()


class _Link:
    """One connection between two parties."""

    def __init__(self, network: "Network", order: Order) -> None:
        self._network = network
        self._order = order
        self.source = order.source
        self.dest = order.dest
        self.caller = _Flow(self, forward=True)
        self.called = _Flow(self, forward=False)

    @property
    def rule(self) -> Rule:
        """Of its pair, as it is now."""
        return self._network.rules.get((self.source, self.dest), _OPEN)

    def accepted(self, caller: asyncio.Transport) -> None:
        """Somebody has connected; what it says waits until the other end is there."""
        self.source = self._order.source or self._network.dialler(caller)
        self._network.tasks.spawn(self._dial(caller), name="link")

    async def _dial(self, caller: asyncio.Transport) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self.called, HOST, self._order.port)
        except OSError:
            caller.abort()
            return
        self._network.add(self)
        self.pump()

    def other(self, flow: _Flow) -> _Flow:
        """The other end."""
        return self.called if flow is self.caller else self.caller

    def pump(self) -> None:
        """The rule is another one."""
        self.caller.pump()
        self.called.pump()

    @property
    def over(self) -> bool:
        """Both ends are closed."""
        return all(flow.transport is None or flow.transport.is_closing() for flow in (self.caller, self.called))


class Network:
    """Every link and its rule; lives as long as the program."""

    def __init__(self) -> None:
        self.rules: dict[tuple[str, str], Rule] = {}
        self.tasks = Tasks()
        self._links: set[_Link] = set()
        self._pids: dict[str, int] = {}
        self._minded: list[int] = []

    async def obey(self, order: Order) -> Told:
        """Do what is said."""
        match order.do:
            case "listen":
                server = await asyncio.get_running_loop().create_server(lambda: _Link(self, order).caller, HOST, 0)
                return Told(port=int(server.sockets[0].getsockname()[1]))
            case "rule":
                self.rules[order.source, order.dest] = Rule(order.forward, order.back, order.delay_ms / 1000)
                return self._pumped(order)
            case "freeze" | "thaw":
                for link in self._between(order):
                    link.called.frozen = order.do == "freeze"
                return self._pumped(order)
            case "know":
                self._pids[order.source] = order.pid
            case "mind":
                self._minded.append(os.pidfd_open(order.pid))
        return Told()

    def _between(self, order: Order) -> list[_Link]:
        self._links = {link for link in self._links if not link.over}
        return [link for link in self._links if (link.source, link.dest) == (order.source, order.dest)]

    def _pumped(self, order: Order) -> Told:
        meant = self._between(order)
        for link in meant:
            link.pump()
        return Told(count=len(meant))

    def add(self, link: _Link) -> None:
        """A link is complete."""
        self._links.add(link)

    def dialler(self, caller: asyncio.Transport) -> str:
        """Which of the known processes holds the other end of this connection."""
        inode = _inode(caller.get_extra_info("peername")[1], caller.get_extra_info("sockname")[1])
        wanted = f"socket:[{inode}]"
        for name, pid in self._pids.items():
            with contextlib.suppress(OSError):
                for entry in Path(f"/proc/{pid}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        if str(entry.readlink()) == wanted:
                            return name
        return UNKNOWN

    def end_minded(self) -> None:
        """Whoever gave the orders is gone: nobody else would end these."""
        for pidfd in self._minded:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def _inode(local_port: int, remote_port: int) -> str:
    """Of the socket that is bound to one port and connected to the other, both on this machine."""
    wanted = (f":{local_port:04X}", f":{remote_port:04X}")
    for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(wanted[0]) and fields[2].endswith(wanted[1]):
            return fields[9]
    return ""


async def _serve() -> None:
    network = Network()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LINE_MAX_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while line := await reader.readline():
            told = await network.obey(msgspec.json.decode(line, type=Order))
            sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
            sys.stdout.buffer.flush()
    finally:
        network.end_minded()
        await network.tasks.close()


def main() -> None:
    """Run until stdin ends."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # two for each connection
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the test; it ends us by closing stdin
    import uvloop  # noqa: PLC0415  # with the extra `server` only

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve())


if __name__ == "__main__":
    main()
