"""The command `demo`: opens the stage, lets the play run, and clears everything away, whichever way it ends."""

import math
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Final

import click

from callboard.cli.demo.calling import Board, Caller
from callboard.cli.demo.play import VICTIM, Play, Screen
from callboard.cli.demo.stage import SERVICE, Interruption, Signals, Stage, StageError
from callboard.cli.exits import ERROR
from callboard.cli.output import emit, hint
from callboard.client import Client, ClientSettings

_NEXT: Final = ("callboard serve --dev", "callboard register web --port 8080", "callboard instances web")
_FAST_S: Final = 0.04
"""Between two calls, when nobody looks on."""
_SLOW_S: Final = 0.2
_PAUSE_S: Final = 3.0


@click.command()
@click.option("--once", is_flag=True, help="Prove failover, print one line with its times, and leave; exit code 1 when something is wrong.")
@click.pass_context
def demo(ctx: click.Context, /, *, once: bool) -> None:
    """A server, three real HTTP services and a client that calls them by name; one is killed and comes back.

    It needs no server of yours: it starts its own on free ports, with its data in a temporary directory, and goes on until Ctrl-C.
    """
    try:
        from callboard.cli.demo.screen import open_screen
    except ModuleNotFoundError as error:
        hint(f"callboard: the demo needs {error.name}, which is not installed; try: pip install 'callboard[server]'")
        ctx.exit(ERROR)
    signals = Signals()
    try:
        with ExitStack() as stack:
            screen = open_screen()
            stack.callback(screen.close)
            _perform(signals, screen, stack, once=once)
    except Interruption:
        if once:
            hint("callboard: the demo was interrupted")
            ctx.exit(ERROR)
    except StageError as error:
        hint(f"callboard: demo failed: {error}")
        ctx.exit(ERROR)
    finally:
        signals.restore()


def _perform(signals: Signals, screen: Screen, stack: ExitStack, *, once: bool) -> None:
    """The play, and what comes after it: the summary, or, for somebody who looks on, calls without end."""
    stage = Stage(signals)
    stack.callback(stage.close)
    stage.start_server()
    screen.say(f"a server is ready at {stage.url}, DNS at {stage.dns}, its data in {stage.directory}")
    client = stack.enter_context(Client(ClientSettings(urls=(stage.url,))))
    board = Board()
    caller = Caller(client, board, _FAST_S if once else _SLOW_S)
    stack.callback(caller.close)
    play = Play(stage, client, board, screen, 0.0 if once else _PAUSE_S)
    summary = play.perform(caller).summary()
    if once:
        emit(summary)
        _say_next(hint, _NEXT)
        return
    screen.say(summary)
    here = f"callboard {{}} --url {stage.url}"
    _say_next(screen.say, [here.format(what) for what in (f"instances {SERVICE}", f"drain {VICTIM}", f"watch {SERVICE}")])
    screen.say("The calls go on; Ctrl-C ends everything.")
    play.look(math.inf)


def _say_next(say: Callable[[str], None], commands: Iterable[str]) -> None:
    say("Try next:")
    for command in commands:
        say(f"  {command}")
