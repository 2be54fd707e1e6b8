"""The commands that change something: register, deregister, drain."""

import signal
import sys
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final

import click
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from callboard.cli.asking import Server, connecting
from callboard.cli.output import emit, hint
from callboard.cli.values import duration_ms, pairs
from callboard.client.client import Client
from callboard.model.errors import InvalidError
from callboard.model.names import unfit_for_dns
from callboard.wire.native import CheckRequest, Registration, Weights, Written

_INTERVAL_MS: Final = 10_000
_LOOK_S: Final = 0.5
"""No wait for a signal is longer: one that comes just before it, or interrupts another thread, is only heard of when it ends."""


class _Said(Struct, frozen=True, kw_only=True):
    """The options of `register`."""

    instance_id: str
    address: str
    port: int
    tags: tuple[str, ...]
    meta: dict[str, str]
    weight: int
    node: str
    http: tuple[str, ...]
    tcp: tuple[str, ...]
    udp: tuple[str, ...]
    grpc: tuple[str, ...]
    h2ping: tuple[str, ...]
    ttl_ms: int
    interval_ms: int
    check_timeout_ms: int
    deregister_after_ms: int

    def checks(self) -> tuple[CheckRequest, ...]:
        """One for each that is said."""
        probe = CheckRequest(
            interval_ms=self.interval_ms or _INTERVAL_MS, timeout_ms=self.check_timeout_ms, deregister_after_ms=self.deregister_after_ms
        )
        ttl = CheckRequest(ttl_ms=self.ttl_ms, deregister_after_ms=self.deregister_after_ms)
        return (
            *((ttl,) if self.ttl_ms else ()),
            *(replace(probe, http=url) for url in self.http),
            *(replace(probe, tcp=place) for place in self.tcp),
            *(replace(probe, udp=place) for place in self.udp),
            *(replace(probe, grpc=place) for place in self.grpc),
            *(replace(probe, h2ping=place) for place in self.h2ping),
        )

    def registration(self, service: str, namespace: str) -> Registration:
        """All of it. Raises `InvalidError` for options that need another."""
        checks = self.checks()
        if not checks and (self.interval_ms or self.check_timeout_ms or self.deregister_after_ms):
            raise InvalidError("--interval, --check-timeout, --deregister-after", "say how a check is asked; add --http, --tcp, --ttl ...")
        return Registration(
            service=service,
            id=self.instance_id,
            namespace=namespace,
            node=self.node,
            address=self.address,
            port=self.port,
            tags=self.tags,
            meta=self.meta,
            weights=Weights(passing=self.weight),
            checks=checks,
            replace_checks=True,
        )


@click.command()
@click.argument("service")
@click.option("--id", "instance_id", default="", metavar="ID", help="The instance's id; the service's name when it is not said.")
@click.option("--address", default="", metavar="HOST", help="Where it is called; this machine when it is not said.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port it is called at.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag; several times for several.")
@click.option("--meta", multiple=True, metavar="KEY=VALUE", callback=pairs, help="Something to know about it; several times.")
@click.option("--weight", type=click.IntRange(1, 65535), default=1, help="Its share of calls, relative to the others (1).")
@click.option("--node", default="", metavar="NAME", help="The node it runs on; the caller's when it is not said.")
@click.option("--http", multiple=True, metavar="URL", help="A check: the server asks this URL, and 2xx passes.")
@click.option("--tcp", multiple=True, metavar="HOST:PORT", help="A check: the server opens a connection.")
@click.option("--udp", multiple=True, metavar="HOST:PORT", help="A check: passes unless that machine says that nobody listens.")
@click.option("--grpc", multiple=True, metavar="HOST:PORT[/SERVICE]", help="A check: gRPC's health service must say SERVING.")
@click.option("--h2ping", multiple=True, metavar="HOST:PORT", help="A check: a PING of HTTP/2 must be acknowledged.")
@click.option("--ttl", "ttl_ms", callback=duration_ms, metavar="DURATION", help="A check: a heartbeat must come at least so often.")
@click.option("--interval", "interval_ms", callback=duration_ms, metavar="DURATION", help="How often the server asks (10s).")
@click.option("--check-timeout", "check_timeout_ms", callback=duration_ms, metavar="DURATION", help="How long they may take (10s).")
@click.option(
    "--deregister-after", "deregister_after_ms", callback=duration_ms, metavar="DURATION", help="Sign it out when critical for so long."
)
@click.option("--hold", is_flag=True, help="Stay, send heartbeats, and sign out at Ctrl-C or SIGTERM.")
@connecting
def register(*, server: Server, service: str, hold: bool, **said: object) -> None:
    """Sign an instance of SERVICE in. Signing in again with the same id replaces it, with its checks.

    A --ttl check needs heartbeats: add --hold, or send `PUT /api/v1/heartbeat/ID` yourself. Checks by TLS, alias, script and unit of
    systemd are told through the API: `PUT /api/v1/instances`.
    """
    registration = msgspec.convert(said, _Said).registration(service, server.namespace)
    if problem := unfit_for_dns(service):
        hint(f"callboard: {service!r} cannot be found over DNS: {problem}")
    with server.client() as client:
        if hold:
            _hold(client, registration)
        else:
            _say("registered", client.put(registration))
            if registration.checks and registration.checks[0].ttl_ms:
                hint("it is critical until a heartbeat comes, and whenever none comes in time; --hold sends them")


@click.command()
@click.argument("instance_id", metavar="ID")
@click.option("--node", default="", metavar="NAME", help="The node it runs on; needed when several nodes have one of this id.")
@connecting
def deregister(server: Server, instance_id: str, node: str) -> None:
    """Sign the instance ID out, with its checks. Exit code 3 when there is none."""
    with server.client() as client:
        _say("deregistered", client.deregister(instance_id, node=node, namespace=server.namespace))


@click.command()
@click.argument("instance_id", metavar="ID")
@click.option("--node", default="", metavar="NAME", help="The node it runs on; needed when several nodes have one of this id.")
@click.option("--off", is_flag=True, help="Show it again.")
@connecting
def drain(*, server: Server, instance_id: str, node: str, off: bool) -> None:
    """Hide the instance ID from new callers; who calls it already may finish. Exit code 3 when there is none."""
    with server.client() as client:
        turn = client.undrain if off else client.drain
        _say("serving" if off else "draining", turn(instance_id, node=node, namespace=server.namespace))


def _hold(client: Client, registration: Registration) -> None:
    """Stay signed in until a signal says to leave."""
    # A queue whose put may interrupt its own get: an Event would lock itself out when the signal comes while it begins to wait.
    told: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: told.put(number))
    with client.register(registration) as registered:
        _say("registered", registered.written)
        sys.stdout.flush()  # whoever reads a pipe is told now, not at the end
        hint("holding; Ctrl-C signs out")
        while True:
            with suppress(Empty):
                told.get(timeout=_LOOK_S)
                return


def _say(what: str, written: Written) -> None:
    place = f"{written.id} on {written.node}" + ("" if written.namespace == "public" else f" in {written.namespace}")
    emit(f"{what} {place} (revision {written.revision}{'' if written.changed else ', was so already'})")
