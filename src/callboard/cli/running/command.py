"""`callboard run`: sign a process in, check it, drain it, sign it out."""

from queue import SimpleQueue
from typing import Final

import click
import msgspec

from callboard.cli.asking import Server, connecting
from callboard.cli.output import hint
from callboard.cli.running.accepting import problem
from callboard.cli.running.child import CannotStartError, Child, free_port
from callboard.cli.running.entry import BoardEntry
from callboard.cli.running.plan import Plan, default_id
from callboard.cli.running.supervisor import Ended, Limits, News, Supervisor, listening
from callboard.cli.values import duration_ms, pairs, wait_ms

_SEPARATOR: Final = "--"


class Wrapping(click.Command):
    """A command whose line ends in another one, after `--`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Without `--` the other command's options would be taken for ours."""
        if not any(word in {_SEPARATOR, *ctx.help_option_names} for word in args) or args[-1:] == [_SEPARATOR]:
            raise click.UsageError("say what to run after `--`: callboard run --service orders --port 8000 -- python app.py", ctx)
        return super().parse_args(ctx, args)


@click.command(cls=Wrapping)
@click.option("--service", required=True, metavar="NAME", help="The service it is an instance of.")
@click.option(
    "--port", required=True, type=click.IntRange(0, 65535), help="The port it listens on; 0: a free one, which it is told as PORT."
)
@click.option("--address", default="", metavar="HOST", help="Where others call it; else what this host is on the way to the registry.")
@click.option("--id", "instance_id", default="", metavar="ID", help="Its id; SERVICE-HOSTNAME-PORT when it is not said.")
@click.option("--version", default="", metavar="VERSION", help="Its version, which callers may select by.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag; several times for several.")
@click.option("--meta", multiple=True, metavar="KEY=VALUE", callback=pairs, help="Something to know about it; several times.")
@click.option("--zone", default="", metavar="ZONE", help="Where it runs; callers of the same zone prefer it.")
@click.option("--weight", type=click.IntRange(1, 65535), default=1, help="Its share of calls, relative to the others (1).")
@click.option("--http", default="", metavar="PATH|URL", help="Must answer 2xx before it signs in; then the registry asks it too.")
@click.option("--tcp", is_flag=True, help="The registry opens connections to the port, too.")
@click.option("--udp", is_flag=True, help="The registry sends datagrams to the port, too: critical when nobody listens.")
@click.option("--grpc", is_flag=True, help="The registry asks gRPC's health service at the port, too.")
@click.option("--h2ping", is_flag=True, help="The registry sends PINGs of HTTP/2 to the port, too.")
@click.option("--ttl", "ttl_ms", default="15s", callback=duration_ms, metavar="DURATION", help="Critical when not heard for so long (15s).")
@click.option(
    "--interval", "interval_ms", default="5s", callback=duration_ms, metavar="DURATION", help="Between two checks of the registry (5s)."
)
@click.option("--drain", "drain_ms", default="2s", callback=wait_ms, metavar="DURATION", help="From being hidden to the signal (2s).")
@click.option(
    "--stop-timeout", "stop_timeout_ms", default="25s", callback=wait_ms, metavar="DURATION", help="From the signal to SIGKILL (25s)."
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="-- COMMAND [ARGUMENT]...")
@connecting
@click.pass_context
def run(ctx: click.Context, /, *, server: Server, command: tuple[str, ...], **said: object) -> None:
    """Run COMMAND as an instance of a service: sign it in when its port accepts, check it, drain it, sign it out.

    \b
    callboard run --service orders --port 8000 --http /ready -- \\
        uvicorn app:app --port 8000
    callboard run --service orders --port 0 -- \\
        sh -c 'exec python app.py --port $PORT'

    COMMAND is told PORT, CALLBOARD_SERVICE and CALLBOARD_INSTANCE_ID. At SIGTERM its instance is hidden from new callers, then it gets the
    signal, then SIGKILL when it does not end; Ctrl-C at a terminal reaches it at once. It runs also while no registry answers; it is signed
    in when one does.

    The exit code is COMMAND's, 128 and the number of the signal that ended it, 127 when there is no such command, or 1 when the registry
    refuses the instance.
    """
    ctx.exit(_supervised(_plan(said), server, command))


def _plan(said: dict[str, object]) -> Plan:
    port = said["port"] or free_port()
    instance_id = said["instance_id"] or default_id(str(said["service"]), int(str(port)))
    return msgspec.convert({**said, "port": port, "instance_id": instance_id}, Plan)


def _supervised(plan: Plan, server: Server, command: tuple[str, ...]) -> int:
    plan.check(server.namespace)
    if not problem(plan.hosts, plan.port):
        _say(f"port {plan.port} accepts connections already: something else may be behind it; end that, or take another --port")
    news: SimpleQueue[News] = SimpleQueue()
    entry = BoardEntry(plan, server, news, _say)
    with listening(news):
        try:
            child = Child(command, plan.variables, lambda: news.put(Ended()))
        except CannotStartError as error:
            entry.leave()
            _say(str(error))
            return error.exit_code
        entry.sign_in()
        return Supervisor(child, entry, Limits(plan.drain_ms / 1000, plan.stop_timeout_ms / 1000), news, _say).serve()


def _say(line: str) -> None:
    hint(f"callboard: {line}")
