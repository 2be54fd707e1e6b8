"""DNS: the same question over UDP and TCP, and questions whose bytes are never the same (cookies, random case of letters)."""

import contextlib
import random
import socket
import struct
from collections.abc import Callable, Iterator

from bench.lab import Process, Target, bare, durable_server
from bench.load import Counted, DnsLoad, connect, numbered, repeat
from bench.pairs import BARE, OURS, PEER, Figure, Goal, Run, compare
from bench.peer import Peer
from bench.plan import Plan
from bench.requests import fill, guest

SOCKETS = 16
NAME = "web.service.consul"
A, SRV = 1, 33
DIFFERENT = 8_192
"""Questions that are made before the run; then they come again. Nothing remembers a question for so long."""

COOKIE_BYTES = 8
_COOKIE = 10
_UDP_BYTES = 4_096


def question(kind: int, *, name: str = NAME, cookie: bytes = b"", tcp: bool = False) -> bytes:
    """A question with EDNS, as stub resolvers ask."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    option = struct.pack(">HH", _COOKIE, len(cookie)) + cookie if cookie else b""
    head = struct.pack(">HHHHHH", 0x1234, 0x0100, 1, 0, 0, 1)
    message = head + labels + struct.pack(">HH", kind, 1) + struct.pack(">BHHIH", 0, 41, _UDP_BYTES, 0, len(option)) + option
    return struct.pack(">H", len(message)) + message if tcp else message


def _once(address: tuple[str, int], message: bytes, *, tcp: bool) -> bytes:
    if not tcp:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.connect(address)
            sock.send(message)
            return sock.recv(65_535)
    with connect(address) as sock:
        sock.sendall(message)
        data = sock.recv(65_535)
        while len(data) < 2 + int.from_bytes(data[:2]):
            data += sock.recv(65_535)
        return data[2:]


def _pairs(figure: tuple[str, str, float], plan: Plan, questions: Callable[[], Iterator[bytes]], *, tcp: bool = False) -> Figure:
    name, what, goal = figure
    with durable_server() as process, guest(plan, 10) as peer:
        fill(process, 10)
        taken = _compare((name, what), plan, (process, peer), questions(), tcp=tcp)
    taken.goals.append(Goal("of_bare", least=goal))
    return taken


def _compare(figure: tuple[str, str], plan: Plan, asked: tuple[Process, Peer | None], questions: Iterator[bytes], *, tcp: bool) -> Figure:
    process, peer = asked
    answer = _once(process.dns, next(questions), tcp=tcp)
    with contextlib.ExitStack() as stack:
        targets: dict[str, Target] = {OURS: process, BARE: stack.enter_context(bare("dns-tcp" if tcp else "dns", answer))}
        if peer is not None and peer.dns_at is not None:
            targets[PEER] = peer
        loads = {side: stack.enter_context(contextlib.closing(DnsLoad(target.dns, SOCKETS, tcp=tcp))) for side, target in targets.items()}

        def run_of(load: DnsLoad) -> Run:
            def run() -> Counted:
                return load.run(questions, plan.seconds)

            return run

        sides = {side: (targets[side], run_of(load)) for side, load in loads.items()}
        return compare(figure[0], f"{figure[1]}, 10 instances; answer {len(answer)} bytes", sides, plan.pairs)


def dns_srv(plan: Plan) -> Figure:
    """Addresses and ports."""
    return _pairs(("dns_srv", f"UDP SRV {NAME} with EDNS", 0.6), plan, lambda: repeat(question(SRV)))


def dns_a(plan: Plan) -> Figure:
    """Addresses."""
    return _pairs(("dns_a", f"UDP A {NAME} with EDNS", 0.6), plan, lambda: repeat(question(A)))


def dns_cookies(plan: Plan) -> Figure:
    """Resolvers that protect themselves by a cookie, a new one in every question."""
    chance = random.Random(plan.seed)
    made = [question(SRV, cookie=chance.randbytes(COOKIE_BYTES)) for _ in range(DIFFERENT)]
    return _pairs(("dns_cookies", f"UDP SRV {NAME}, a new cookie every time", 0.4), plan, lambda: numbered(lambda n: made[n % DIFFERENT]))


def dns_case(plan: Plan) -> Figure:
    """Resolvers that protect themselves by a random case of letters (0x20)."""
    chance = random.Random(plan.seed)

    def mixed() -> str:
        return "".join(letter.upper() if chance.random() < 0.5 else letter for letter in NAME)

    made = [question(SRV, name=mixed()) for _ in range(DIFFERENT)]
    what = f"UDP SRV {NAME}, random case of letters every time"
    return _pairs(("dns_case", what, 0.4), plan, lambda: numbered(lambda n: made[n % DIFFERENT]))


def dns_tcp(plan: Plan) -> Figure:
    """Resolvers that ask over TCP, on connections that stay."""
    return _pairs(("dns_tcp", f"TCP SRV {NAME} with EDNS", 0.5), plan, lambda: repeat(question(SRV, tcp=True)), tcp=True)


FIGURES = (dns_srv, dns_a, dns_cookies, dns_case, dns_tcp)
