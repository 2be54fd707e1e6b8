"""`callboard call`: what a program with the SDK would get, and from whom."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import Final

import click
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from callboard.cli.asking import Server, reading
from callboard.cli.calling.caller import Ask, Caller, make_calls
from callboard.cli.calling.tally import Figures, Report, report
from callboard.cli.choosing import Choice, choosing
from callboard.cli.completing import service_names
from callboard.cli.exits import INTERRUPTED, OK, UNHEALTHY, unfit, unknown
from callboard.cli.output import Column, Layout, hint, plain, show
from callboard.cli.values import header_fields
from callboard.client.board import Board
from callboard.client.board_settings import BoardSettings, board_settings
from callboard.client.service import Service
from callboard.model.errors import InvalidError

_TIMEOUT_MS: Final = 5_000
_REASONS_SHOWN_MAX_COUNT: Final = 5
_KNOWN: Final = frozenset(map(int, HTTPStatus))

FIGURES: Final = Layout[Figures](
    (
        Column("INSTANCE", lambda of: of.instance),
        Column("ADDRESS", lambda of: of.address),
        Column("CALLS", lambda of: str(of.calls)),
        Column("FAILED", lambda of: str(of.failed)),
        Column("P50_MS", lambda of: f"{of.p50_ms:.1f}"),
        Column("P99_MS", lambda of: f"{of.p99_ms:.1f}"),
        Column("MAX_MS", lambda of: f"{of.max_ms:.1f}"),
    ),
    lambda of: of.instance,
)


class _Said(Struct, frozen=True, kw_only=True):
    """The options of `call` that say what is asked, and how often."""

    method: str
    path: str
    count: int
    parallel: int
    policy: str
    headers: Mapping[str, str]
    data: str

    def ask(self, timeout_ms: int) -> Ask:
        """Raises `InvalidError`."""
        if not self.method.isascii() or not self.method.isalpha():
            raise InvalidError("METHOD", f"{self.method!r} must be letters, like GET")
        if not self.path.startswith("/") or not self.path.isascii() or not self.path.isprintable() or " " in self.path:
            raise InvalidError("PATH", f"{self.path!r} must begin with / and be printable ASCII without spaces; escape others with %")
        return Ask(self.method.upper(), self.path, self.headers, self.data.encode(), timeout_ms / 1000)


@click.command()
@click.argument("service", shell_complete=service_names)
@click.argument("method")
@click.argument("path")
@click.option("-n", "--count", type=click.IntRange(1, 10_000_000), default=1, metavar="N", help="So many calls (1).")
@click.option("-c", "--parallel", type=click.IntRange(1, 1_000), default=10, metavar="N", help="So many at once (10).")
@choosing
@click.option("--policy", default="peak_ewma", metavar="NAME", help="How an instance is picked (peak_ewma); a wrong name lists them.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", callback=header_fields, help="A header field; several times.")
@click.option("--data", default="", metavar="TEXT", help="The body.")
@click.pass_context
@partial(reading, waits="Longest time for one call, over all its attempts (5s).")
def call(ctx: click.Context, /, *, server: Server, form: str, service: str, choice: Choice, **said: object) -> None:
    """Call SERVICE over HTTP as a program with the SDK would: an instance is picked, and a call that fails is tried at another one.

    \b
    callboard call orders GET /health
    callboard call orders GET /health -n 1000 -c 20 --version ^2.1 --policy p2c

    One call prints the body it was answered with, several print figures for each instance. A call failed when it was not answered in time
    or with a status from 400 on. Ctrl-C prints the figures of those that have ended. Exit code 3 when nobody has signed in, 4 when nobody
    is fit to be called or a call failed, 5 when the registry cannot be reached, 130 after Ctrl-C.
    """
    options = msgspec.convert(said, _Said)
    ask = options.ask(server.timeout_ms or _TIMEOUT_MS)
    try:
        ctx.exit(_called(server, form, service, choice, options, ask))
    except KeyboardInterrupt:  # before the first of several calls, or in the middle of the only one
        ctx.exit(INTERRUPTED)


def _called(server: Server, form: str, name: str, choice: Choice, options: _Said, ask: Ask) -> int:
    """The exit code."""
    with Board(_settings(server)) as board:
        service = board.service(name, policy=options.policy, **choice.asked())
        with _unlogged():
            service.wait((server.timeout_ms or _TIMEOUT_MS) / 1000)
        if not any(judged.kept for judged in service.considered()):
            return _nobody(service)
        if options.count == 1 and form == "table":
            return _once(service, ask)
        with _progress(options.count) as progress:
            made = make_calls(service, ask, options.count, options.parallel, progress)
    code = _show(form, report(name, ask.method, ask.path, made.calls))
    if not made.interrupted:
        return code
    hint(f"interrupted: {len(made.calls)} of {options.count} calls had ended")
    return INTERRUPTED


@contextmanager
def _unlogged() -> Iterator[None]:
    """What the SDK would log about a registry that does not answer is what is raised then: it is said once."""
    silent, log = logging.NullHandler(), logging.getLogger("callboard.client")
    log.addHandler(silent)
    try:
        yield
    finally:
        log.removeHandler(silent)


def _settings(server: Server) -> BoardSettings:
    """Of a board that asks the registry and believes nothing that it remembers."""
    asked = board_settings(os.environ, server.url, namespace=server.namespace, snapshots="off")
    timeout_ms = server.timeout_ms or asked.client.timeout_ms
    return replace(asked, client=replace(asked.client, timeout_ms=timeout_ms))


def _nobody(service: Service) -> int:
    judged = service.considered()
    for one in judged:
        hint(f"left out: {one.endpoint.id} on {one.endpoint.node}: {one.reason}")
    return unfit(service.name, (one.reason for one in judged)) if judged else unknown(service.name)


def _once(service: Service, ask: Ask) -> int:
    """One call: its body is the output."""
    caller = Caller(service, ask)
    try:
        called = caller.call()
    finally:
        caller.close()
    for tried in called.tries:
        what = (
            f"HTTP {tried.status} {HTTPStatus(tried.status).phrase}" if tried.status in _KNOWN else tried.reason or f"HTTP {tried.status}"
        )
        hint(plain(f"{what} from {tried.instance} ({tried.address}) in {tried.elapsed_ns / 1e6:.1f} ms"))
    if caller.answer is None:
        hint(f"callboard: the call failed: {called.reason}")
    else:
        click.echo(caller.answer.body, nl=False)
    return UNHEALTHY if called.reason else OK


def _show(form: str, told: Report) -> int:
    show(form, (*told.instances, told.total) if form in {"table", "wide"} else told.instances, FIGURES, told)
    if told.retried:
        hint(f"{told.retried} of {told.total.calls} calls were tried more than once")
    for why, count in list(told.reasons.items())[:_REASONS_SHOWN_MAX_COUNT]:
        hint(plain(f"{count} failed: {why}"))
    return UNHEALTHY if told.total.failed else OK


@contextmanager
def _progress(count: int) -> Iterator[Callable[[int], None]]:
    """How far it is, on one line that is written over, and wiped at the end however that comes; only for a person who looks on."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return

    def told(done: int) -> None:
        sys.stderr.write(f"\r{done}/{count} calls")
        sys.stderr.flush()

    try:
        yield told
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
