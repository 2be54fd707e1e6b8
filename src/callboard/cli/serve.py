"""`callboard serve`: from the command line to the server's settings. What a flag means is said where the settings are."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from callboard import __version__
from callboard.cli.exits import ERROR
from callboard.cli.output import emit, hint
from callboard.model.errors import InvalidError

F = TypeVar("F", bound=Callable[..., Any])

NOT_BUILT: Final[dict[str, str]] = {
    "--grpc": "gRPC",
    "--acl": "access control",
    "--acl-token-file": "access control",
}
"""Flags that are fixed already and whose part is not there: better refused than silently without effect."""
_SWITCHES: Final = frozenset({"--acl"})


def _refuse(_ctx: click.Context, parameter: click.Parameter, value: object) -> None:
    if value:
        flag = parameter.opts[0]
        raise click.UsageError(f"{flag}: {NOT_BUILT[flag]} is not built yet; start without {flag}")


def _not_built(command: F) -> F:
    for flag, part in reversed(NOT_BUILT.items()):
        said = f"Not built yet: {part}."
        if flag in _SWITCHES:
            command = click.option(flag, is_flag=True, expose_value=False, callback=_refuse, help=said)(command)
        else:
            command = click.option(flag, multiple=True, metavar="VALUE", expose_value=False, callback=_refuse, help=said)(command)
    return command


def _print_version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001  # click calls it so
    if value:
        emit(f"callboard {__version__}")
        ctx.exit()


@click.command()
@click.option("--dev", is_flag=True, default=None, help="Memory store, nothing on disk.")
@click.option(
    "--http", multiple=True, metavar="HOST:PORT", help="Serve HTTP here; may be said several times (127.0.0.1:8500). Port 0: any."
)
@click.option("--https", multiple=True, metavar="HOST:PORT", help="Serve the same over TLS here; may be said several times.")
@click.option("--tls-cert", metavar="FILE", help="Certificate of --https (PEM); read again when it changes.")
@click.option("--tls-key", metavar="FILE", help="Its key (PEM).")
@click.option("--tls-client-ca", metavar="FILE", help="Over TLS, serve only callers with a certificate of these CAs (PEM).")
@click.option("--trusted-proxy", multiple=True, metavar="CIDR", help="Believe X-Forwarded-For from here; may be said several times.")
@click.option("--dns", metavar="HOST:PORT", help="Serve DNS here, UDP and TCP (127.0.0.1:8600); empty for none.")
@click.option("--store", metavar="URL", help="memory:, sqlite:///PATH or etcd://H:P[,H:P]/PREFIX (SQLite in --data).")
@click.option("--data", metavar="DIR", help="Data directory (./callboard-data); one server at a time uses it.")
@click.option("--node", metavar="NAME", help="Node of calls that come from this machine (callboard).")
@click.option("--member", metavar="NAME", help="This server's identity (host name and a suffix that is kept in --data).")
@click.option("--datacenter", metavar="NAME", help="Name of this data centre (dc1).")
@click.option("--advertise", metavar="HOST", help="Address at which others reach this machine (127.0.0.1).")
@click.option("--dns-domain", metavar="NAME", help="Domain of DNS names (consul).")
@click.option("--recursor", multiple=True, metavar="HOST:PORT", help="Ask this name server for other names; may be said several times.")
@click.option("--enable-script-checks", is_flag=True, default=None, help="Let checks run programs on this machine.")
@click.option("--workers", metavar="N", help="Processes that serve the same ports, each on a core of its own (1).")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error (info).")
@click.option("--log-format", metavar="FORM", help="text or json (text).")
@_not_built
@click.option("--config", metavar="FILE.toml", help="Read settings from here. Flags and CALLBOARD_* come first.")
@click.option("--print-config", is_flag=True, help="Print the settings that would hold, as such a file, and leave.")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version and leave.")
@click.pass_context
def serve(ctx: click.Context, /, *, config: str | None, print_config: bool, **flags: object) -> None:
    """Run a server. It prints one line of JSON when it is ready, and leaves at SIGTERM."""
    if not print_config and hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the settings are yet to be read; later it means to read them again
    try:
        from callboard.server import run, settings
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("callboard"):
            raise
        hint(f"callboard: a server needs {error.name}, which is not installed; try: pip install 'callboard[server]'")
        ctx.exit(ERROR)
    said = {name: value for name, value in flags.items() if value not in {None, ()}}

    def load() -> settings.Settings:
        return settings.load(said, os.environ, _read(config), config or "")

    merged = load()
    if print_config:
        from callboard.cli.serve_config import config_lines

        for line in config_lines(merged):
            emit(line)
    else:
        ctx.exit(run.serve(merged, hint=hint if sys.stderr.isatty() else None, read=load))


def _read(config: str | None) -> str:
    if config is None:
        return ""
    try:
        return Path(config).read_text("utf-8")
    except OSError as error:
        raise InvalidError("--config", f"{config} cannot be read: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise InvalidError("--config", f"{config} must be UTF-8") from None
