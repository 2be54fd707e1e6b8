"""Shell completion: `callboard completion SHELL` prints what a shell needs, and arguments complete to names out of the catalog.

Pressing a key must not hang: names are asked for in a thread that is waited for a moment and then left behind, for the process ends.
"""

import os
import re
from collections.abc import Callable, Mapping
from typing import Final

import click

from callboard.cli.output import emit

WAIT_MS: Final = 300
"""From the key to the names, without Python's own start."""
_NAMES_MAX_COUNT: Final = 1_000
_PLAIN: Final = re.compile(r"[\w.:@%+-]+", re.ASCII)
"""What shells put into a line as it is. A name with anything else is not offered: whoever may register must not write on command lines."""
_PROGRAM: Final = "callboard"
_VARIABLE: Final = "_CALLBOARD_COMPLETE"
"""By which click is told that a shell asks; derived by click from the program's name."""
_HOW: Final = {
    "bash": 'eval "$(callboard completion bash)"   # into ~/.bashrc',
    "zsh": 'eval "$(callboard completion zsh)"   # into ~/.zshrc, after compinit',
    "fish": "callboard completion fish > ~/.config/fish/completions/callboard.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(tuple(_HOW)))
def completion(shell: str) -> None:
    """Print what SHELL needs to complete commands, options, and names of services.

    \b
    eval "$(callboard completion bash)"        in ~/.bashrc
    eval "$(callboard completion zsh)"         in ~/.zshrc, after compinit
    callboard completion fish > ~/.config/fish/completions/callboard.fish
    """
    from click.shell_completion import get_completion_class

    from callboard.cli.main import main

    made = get_completion_class(shell)
    assert made is not None, "click knows the three"
    emit(f"# {_HOW[shell]}")
    completer = made(main, {}, _PROGRAM, _VARIABLE)
    emit(completer.source_template % completer.source_vars())


def service_names(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Services that begin so; none when no server answers in a moment."""
    from queue import Empty, SimpleQueue

    from callboard.net import threads

    said = ctx.params
    found: SimpleQueue[list[str]] = SimpleQueue()
    threads.start(lambda: _ask(said, found.put), name="completion")
    try:
        names = found.get(timeout=WAIT_MS / 1_000)
    except Empty:
        return []
    return [name for name in names if name.startswith(incomplete) and _PLAIN.fullmatch(name)][:_NAMES_MAX_COUNT]


def _ask(said: Mapping[str, object], tell: Callable[[list[str]], None]) -> None:
    """Whatever goes wrong: nobody wants to read of it in the middle of a line."""
    from callboard.client.client import Client
    from callboard.client.settings import from_environment, split_urls
    from callboard.model.errors import CallboardError

    try:
        settings = from_environment(os.environ, urls=split_urls(str(said.get("url") or "")), timeout_ms=WAIT_MS)
        namespace = str(said.get("namespace") or os.environ.get("CALLBOARD_NAMESPACE") or "")
        with Client(settings) as client:
            tell([service.name for service in client.services(namespace=namespace).services])
    except (CallboardError, OSError):
        tell([])
