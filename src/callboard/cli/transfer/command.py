"""The commands `backup`, `restore` and `migrate`: what they are told, and what they say at the end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from callboard.cli.asking import Server, connecting
from callboard.cli.exits import ERROR, UNHEALTHY, UNREACHABLE
from callboard.cli.output import emit, hint, pretty
from callboard.cli.transfer.progress import ProgressLine
from callboard.cli.transfer.results import Moved, Saved
from callboard.model.errors import InvalidError, UnavailableError
from callboard.server.transfer.errors import IncompatibleError
from callboard.wire.backup import NewerBackupError

F = TypeVar("F", bound=Callable[..., Any])
_WAIT_S: Final = 15.0
_INCOMPATIBLE: Final = (IncompatibleError, NewerBackupError)

_config = click.option("--config", metavar="FILE.toml", help="Settings of the stores ([tune.*]), as of `serve`.")
_form = click.option("-o", "--output", "form", type=click.Choice(["table", "json"]), default="table", help="Form of the output (table).")
_replace = click.option("--replace", is_flag=True, help="Remove everything that the target holds now.")
_wait = click.option(
    "--wait", "wait_s", type=click.FloatRange(min=0), default=_WAIT_S, metavar="SECONDS",
    help="How long servers that were just stopped or died may still be there (15).",
)  # fmt: skip


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--store", default="", metavar="URL", help="Read this store itself; without it a running server is asked.")
@_config
@_form
@click.pass_context
@partial(connecting, namespaced=False)
def backup(ctx: click.Context, *, server: Server, file: Path, store: str, config: str | None, form: str) -> None:
    """Write everything that is registered into FILE, as of one revision; compressed when it ends in .gz.

    \b
    callboard backup monday.jsonl.gz
    callboard backup monday.jsonl.gz --store etcd://H:P/callboard

    The first asks the server of CALLBOARD_URL; the second reads etcd itself, beside running servers or without any.

    A file of this name is replaced when the new one is whole. Only its owner can read it.
    """
    with _explained(ctx), ProgressLine() as progress:
        if store:
            saved = _moving(ctx).back_up(file, store, _read(config), progress)
        else:
            from callboard.cli.transfer.asking import ask_for_backup

            with server.client() as client:
                saved = ask_for_backup(file, client.settings, progress)
    _tell(form, saved, f"wrote {saved.file}: {saved.rows:,} rows at revision {saved.revision}")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--store", required=True, metavar="URL", help="The store to fill: sqlite:///PATH, etcd://H:P[,H:P]/PREFIX.")
@_replace
@_wait
@_config
@_form
@click.pass_context
def restore(ctx: click.Context, /, *, file: Path, store: str, replace: bool, wait_s: float, config: str | None, form: str) -> None:
    """Fill a store with the backup FILE. Every server on it must be stopped.

    All of it lands at once, or nothing: a restore that is killed leaves the store as it was. Revisions go on above every one that was ever
    given away, and clients notice that this is another history.
    """
    with _explained(ctx), ProgressLine() as progress:
        moving = _moving(ctx)
        moved = moving.restore(file, store, _read(config), progress, replace=replace, patience=moving.Patience(wait_s, wait_s))
    _tell_moved(form, moved)


@click.command()
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
@_replace
@_wait
@_config
@_form
@click.pass_context
def migrate(ctx: click.Context, /, *, source: str, target: str, replace: bool, wait_s: float, config: str | None, form: str) -> None:
    """Fill the store DST with everything in the store SRC. Every server on either must be stopped.

    \b
    callboard migrate sqlite:////var/lib/callboard etcd://10.0.0.1:2379/callboard

    Revisions and ids stay, so that clients go on where they were. From then on the source is old: start no server on it again.
    """
    with _explained(ctx), ProgressLine() as progress:
        moving = _moving(ctx)
        moved = moving.migrate(source, target, _read(config), progress, replace=replace, patience=moving.Patience(wait_s, wait_s))
    _tell_moved(form, moved)
    if form == "table":
        hint(f"start servers with --store {moved.target} now, and none on the source again")


def _moving(ctx: click.Context) -> Any:  # noqa: ANN401  # the module
    """What opens stores. It needs the server's packages, which a base install has not."""
    try:
        from callboard.cli.transfer import moving
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("callboard"):
            raise
        hint(f"callboard: this needs {error.name}, which is not installed; try: pip install 'callboard[server]'")
        ctx.exit(ERROR)
    return moving


@contextmanager
def _explained(ctx: click.Context) -> Iterator[None]:
    """Exit codes of what is about stores and files; other errors are explained where all commands' are."""
    try:
        yield
    except UnavailableError as error:
        hint(f"callboard: {error}")
        ctx.exit(UNREACHABLE)
    except _INCOMPATIBLE as error:
        hint(f"callboard: {error}")
        ctx.exit(UNHEALTHY)
    except OSError as error:
        hint(f"callboard: {error.filename or 'file'}: {(error.strerror or str(error)).lower()}")
        ctx.exit(ERROR)


def _read(config: str | None) -> str:
    if config is None:
        return ""
    try:
        return Path(config).read_text("utf-8")
    except UnicodeDecodeError:
        raise InvalidError("--config", f"{config} must be UTF-8") from None


def _tell(form: str, result: Saved | Moved, line: str) -> None:
    emit(pretty(result) if form == "json" else line)


def _tell_moved(form: str, moved: Moved) -> None:
    gone = f", {moved.replaced:,} were removed" if moved.replaced else ""
    _tell(form, moved, f"{moved.target} holds {moved.rows:,} rows at revision {moved.revision}{gone}; verified")
