"""The command line's entry: which commands there are, and what their failures look like."""

from importlib import import_module
from typing import Final, NamedTuple

import click

from callboard import __version__
from callboard.model.errors import CallboardError


class _Line(NamedTuple):
    module: str
    help: str


COMMANDS: Final[dict[str, _Line]] = {
    "serve": _Line("callboard.cli.serve", "Run a server."),
    "services": _Line("callboard.cli.reading", "List services and how many of their instances pass."),
    "instances": _Line("callboard.cli.reading", "List the instances of a service with their health."),
    "resolve": _Line("callboard.cli.reading", "Show what a caller of a service would get, and why."),
    "watch": _Line("callboard.cli.watching", "Show every change of services as it happens."),
    "status": _Line("callboard.cli.reading", "Show the server that answers, and what its catalog holds."),
    "members": _Line("callboard.cli.reading", "List the servers of the cluster, and which of them leads."),
    "doctor": _Line("callboard.cli.doctor.command", "Find out what is wrong between here and the servers, and what mends it."),
    "register": _Line("callboard.cli.writing", "Sign an instance in."),
    "deregister": _Line("callboard.cli.writing", "Sign an instance out."),
    "drain": _Line("callboard.cli.writing", "Hide an instance from new callers, or show it again."),
    "run": _Line("callboard.cli.running.command", "Run a command as an instance of a service."),
    "call": _Line("callboard.cli.calling.command", "Call a service over HTTP as a program with the SDK would."),
    "backup": _Line("callboard.cli.transfer.command", "Write everything that is registered into a file."),
    "restore": _Line("callboard.cli.transfer.command", "Fill a store with a backup."),
    "migrate": _Line("callboard.cli.transfer.command", "Fill a store with everything in another."),
    "completion": _Line("callboard.cli.completing", "Print what a shell needs to complete commands and names."),
    "demo": _Line("callboard.cli.demo.command", "A server, three services and a caller: watch a failover."),
}
"""In the order of the help. A command is the object of its name in its module, loaded when it is called."""


class LazyGroup(click.Group):
    """Commands out of the table; the help is written without loading one of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, loaded now; None when there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(COMMANDS[cmd_name].module), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, and for a name that is mistyped the nearest ones."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS)
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean {' or '.join(map(repr, near))}?", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table, as the help shows it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line.help) for name, line in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; an error of ours becomes one line on stderr and its exit code."""
        try:
            return super().invoke(ctx)
        except CallboardError as error:
            from callboard.cli.exits import explain

            ctx.exit(explain(error))


def _print_version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001  # click calls it so
    if value:
        click.echo(f"callboard {__version__}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version and leave.")
def main() -> None:
    """A service registry and discovery server, and the commands that ask it.

    \b
    CALLBOARD_URL        servers to ask, a comma list; else CONSUL_HTTP_ADDR
                         (http://127.0.0.1:8500)
    CALLBOARD_NAMESPACE  the name space that is meant, without --namespace
    CALLBOARD_TOKEN      sent with every request, if set
    CALLBOARD_CA_FILE    CAs (PEM) of servers with an https URL
    CALLBOARD_CERT_FILE  certificate (PEM) for servers that want one,
    CALLBOARD_KEY_FILE   and its key

    \b
    Exit codes: 0 ok, 1 error, 2 usage, 3 not found,
    4 unhealthy or incompatible, 5 unreachable, 130 interrupted.
    """
