"""The commands that ask once: services, instances, resolve, status, members."""

from functools import partial

import click

from callboard.cli import layouts
from callboard.cli.asking import Server, reading
from callboard.cli.choosing import Choice, choosing
from callboard.cli.completing import service_names
from callboard.cli.exits import UNHEALTHY, unfit, unknown
from callboard.cli.output import hint, plain, show
from callboard.wire.native import Resolution


@click.command()
@reading
def services(server: Server, form: str) -> None:
    """List services and how many of their instances pass."""
    with server.client() as client:
        answer = client.services(namespace=server.namespace)
    show(form, answer.services, layouts.SERVICES, answer)
    if not answer.services:
        hint("nobody has signed in yet; try: callboard register web --port 8080")


@click.command()
@click.argument("service", shell_complete=service_names)
@click.pass_context
@reading
def instances(ctx: click.Context, server: Server, form: str, service: str) -> None:
    """List the instances of SERVICE with their health. Exit code 3 when there are none."""
    with server.client() as client:
        answer = client.instances(service, namespace=server.namespace)
    show(form, answer.instances, layouts.INSTANCES, answer)
    if not answer.instances:
        ctx.exit(unknown(service))


@click.command()
@click.argument("service", shell_complete=service_names)
@choosing
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many.")
@click.pass_context
@reading
def resolve(ctx: click.Context, *, server: Server, form: str, service: str, choice: Choice, limit: int | None) -> None:
    """Show what a caller of SERVICE would get, and why each other instance is left out.

    \b
    callboard resolve orders --version '>=2,<3' --prefer latest --fallback 1.x
    callboard resolve orders --version ^2.1 -o name

    A version is what an instance says as meta `version`. `-o name` prints host:port, one a line. Exit code 3 when nobody has signed in, 4
    when nobody is fit to be called.
    """
    with server.client() as client:
        answer = client.resolve(service, **choice.asked(), limit=limit or 0, namespace=server.namespace)
    show(form, answer.endpoints, layouts.endpoints(answer.endpoints), answer)
    if form in {"table", "wide"}:
        _say_why(answer)
    if not answer.endpoints:
        ctx.exit(unfit(service, (judged.reason for judged in answer.considered)) if answer.considered else unknown(service))


@click.command()
@click.pass_context
@partial(reading, namespaced=False)
def status(ctx: click.Context, server: Server, form: str) -> None:
    """Show the server that answers, what its catalog holds, and how old its answers may be.

    Exit code 4 when it is not ready, or knows of no leader: then it answers reads, and refuses writes.
    """
    with server.client() as client:
        answer = client.status()
    show(form, (answer,), layouts.STATUS, answer)
    if not answer.ready:
        hint(f"{answer.member} is not ready: it has not read its store yet")
    elif not answer.leader:
        hint(_leaderless(answer.member))
    if answer.store is not None and answer.store.detail:
        hint(plain(f"store: {answer.store.detail}"))
    if not answer.ready or not answer.leader:
        ctx.exit(UNHEALTHY)


@click.command()
@click.pass_context
@partial(reading, namespaced=False)
def members(ctx: click.Context, server: Server, form: str) -> None:
    """List the servers of the cluster, and which of them leads. Exit code 4 when none does."""
    with server.client() as client:
        answer = client.members()
    show(form, answer.members, layouts.MEMBERS, answer)
    if not answer.leader:
        hint(_leaderless("the server that answered"))
        ctx.exit(UNHEALTHY)


def _leaderless(who: str) -> str:
    return f"{who} knows of no leader: reads are answered, writes are refused until there is one"


def _say_why(answer: Resolution) -> None:
    if answer.fell_back:
        hint("nobody has the version that was asked for: these are of the fallback")
    for judged in answer.considered:
        if not judged.kept:
            hint(f"left out: {judged.id} on {judged.node}: {judged.reason}")
