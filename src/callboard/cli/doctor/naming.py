"""DNS, as a client sees it: does the server answer over UDP and over TCP, and does this machine's resolver know of it."""

import os
import socket
from collections.abc import Callable
from shlex import quote
from typing import Final, NamedTuple

from callboard.cli.doctor.findings import Finding, well
from callboard.client.link import reason
from callboard.core.callers import is_loopback
from callboard.net.messages import PREFIX_BYTES
from callboard.wire.dns import UDP_PLAIN_BYTES, Rcode
from callboard.wire.dns_names import encode_name
from callboard.wire.dns_records import IN, Type
from callboard.wire.dns_responses import Asked, ask_message, is_answer, rcode_of

Ask = Callable[["Place", bytes, bytes], bytes]
"""Sends a query whose question is this to a place; answers the response, or raises `OSError`."""
_TCP_TIMEOUT_S: Final = 1.0
_UDP_TIMEOUT_S: Final = 1.0
"""Of each of the tries, for datagrams may be lost."""
_UDP_TRIES_COUNT: Final = 2
_RESOLVER_PORT: Final = 53
_RESOLVERS_MAX_COUNT: Final = 2
_RESOLVER_TIMEOUT_S: Final = 0.5
"""Of a resolver, which is asked only to tell whether it knows."""
_ANYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  # what a server says that listens at every address


class Place(NamedTuple):
    """Where DNS is asked."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def look(told: str, domain: str, asked_host: str, resolvers: tuple[Place, ...], url: str) -> list[Finding]:
    """`told` is where the server says that it serves DNS; `asked_host` is how it is reached from here."""
    if not told:
        return [
            Finding(
                "dns",
                "warning",
                "the server serves no DNS",
                "it was started with an empty --dns",
                "callboard serve --dns 127.0.0.1:8600   (leave it so if nobody asks names)",
                url,
            )
        ]
    host, _, port = told.rpartition(":")
    host = host.strip("[]")
    if is_loopback(host) and not is_loopback(asked_host):
        return [
            Finding(
                "dns",
                "warning",
                f"DNS listens at {told} of the server's machine only",
                "it is not reached from here",
                f"callboard serve --dns 0.0.0.0:{port}   (on the server's machine)",
                url,
            )
        ]
    place = Place(asked_host if host in _ANYWHERE else host, int(port))
    found = [_judge("UDP", place, domain, url, _over_udp), _judge("TCP", place, domain, url, _over_tcp)]
    if all(finding.verdict == "passing" for finding in found):
        return [well("dns", f"{place} answers for {domain}. over UDP and TCP", url), _forwarding(domain, place, resolvers)]
    return found


def resolvers_of(text: str) -> tuple[Place, ...]:
    """The name servers in a `resolv.conf`."""
    lines = (line.split() for line in text.splitlines())
    return tuple(Place(words[1], _RESOLVER_PORT) for words in lines if len(words) > 1 and words[0] == "nameserver")


def _judge(way: str, place: Place, domain: str, url: str, ask: Ask) -> Finding:
    try:
        rcode = _asked(place, domain, Type.SOA, ask)
    except OSError as error:
        return Finding(
            "dns",
            "critical",
            f"DNS does not answer over {way} at {place}: {reason(error)}",
            f"the server says that it listens there: a firewall is between, or lets {way} through to nobody",
            f"dig @{place.host} -p {place.port} {quote(domain)}. SOA{' +tcp' if way == 'TCP' else ''}   (once it is let through)",
            url,
        )
    if rcode == Rcode.NOERROR:
        return well("dns", f"{place} answers over {way}", url)
    return Finding(
        "dns",
        "critical",
        f"DNS at {place} answers over {way} with {_code(rcode)}, asked for {domain}.",
        "the catalog is not loaded yet" if rcode == Rcode.SERVFAIL else "another program has the port, or the domain is another",
        f"dig @{place.host} -p {place.port} {quote(domain)}. SOA   (callboard serve --dns-domain names the domain)",
        url,
    )


def _forwarding(domain: str, place: Place, resolvers: tuple[Place, ...]) -> Finding:
    """Whether programs here may use the names as they are. Many do without, so that it is no fault."""
    name = f"consul.service.{domain}"
    for resolver in resolvers[:_RESOLVERS_MAX_COUNT]:
        try:
            if _asked(resolver, name, Type.A, _once_over_udp) == Rcode.NOERROR:
                return well("resolver", f"this machine's resolver ({resolver.host}) knows {name}")
        except OSError:
            continue
    return Finding(
        "resolver",
        "passing",
        f"names below {domain}. are known at {place} only",
        "this machine's resolver does not forward them",
        f"sudo mkdir -p /etc/systemd/resolved.conf.d; printf '[Resolve]\\nDNS=%s\\nDomains=~%s\\n' {quote(str(place))} {quote(domain)}"
        " | sudo tee /etc/systemd/resolved.conf.d/callboard.conf;"
        " sudo systemctl restart systemd-resolved   (if programs here should use the names)",
    )


def _asked(place: Place, name: str, kind: Type, ask: Ask) -> int:
    """The response code. Raises `OSError` when no answer comes."""
    question = encode_name(name) + kind.to_bytes(2, "big") + IN.to_bytes(2, "big")
    return rcode_of(ask(place, ask_message(Asked(question), int.from_bytes(os.urandom(2), "big")), question))


def _over_udp(place: Place, query: bytes, question: bytes) -> bytes:
    return _by_datagram(place, query, question, _UDP_TRIES_COUNT, _UDP_TIMEOUT_S)


def _once_over_udp(place: Place, query: bytes, question: bytes) -> bytes:
    return _by_datagram(place, query, question, 1, _RESOLVER_TIMEOUT_S)


def _by_datagram(place: Place, query: bytes, question: bytes, tries_count: int, timeout_s: float) -> bytes:
    family, *_, address = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout_s)
        sock.connect(address)
        for _ in range(tries_count):
            sock.send(query)
            try:
                message = sock.recv(UDP_PLAIN_BYTES)
            except TimeoutError:
                continue
            if is_answer(message, query, question):
                return message
    raise TimeoutError


def _over_tcp(place: Place, query: bytes, question: bytes) -> bytes:
    with socket.create_connection((place.host, place.port), timeout=_TCP_TIMEOUT_S) as sock:
        sock.sendall(len(query).to_bytes(PREFIX_BYTES, "big") + query)
        message = _exactly(sock, int.from_bytes(_exactly(sock, PREFIX_BYTES), "big"))
    if not is_answer(message, query, question):
        raise OSError("what comes is no answer")
    return message


def _exactly(sock: socket.socket, count: int) -> bytes:
    out = b""
    while len(out) < count:
        piece = sock.recv(count - len(out))
        if not piece:
            raise OSError("it closes the connection")
        out += piece
    return out


def _code(rcode: int) -> str:
    try:
        return Rcode(rcode).name
    except ValueError:
        return f"code {rcode}"
