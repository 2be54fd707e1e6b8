"""A process of its own that registers, for tests that end it in every way: says each of its turns on stdout, and does what stdin says."""

import argparse
import contextlib
import json
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

import callboard
from callboard.client.board_settings import BoardSettings
from callboard.client.events import Event, LoopBlocked, Registering
from callboard.client.registered import Registered


def say(**said: object) -> None:
    sys.stdout.write(json.dumps({**said, "pid": os.getpid(), "at": time.monotonic()}) + "\n")
    sys.stdout.flush()


def told(event: Event) -> None:
    if isinstance(event, Registering):
        say(state=event.state, id=event.instance_id)
    elif isinstance(event, LoopBlocked):
        say(blocked=event.blocked)


@contextlib.contextmanager
def signed_in(options: argparse.Namespace) -> Iterator[Registered]:
    settings = msgspec.convert(json.loads(options.settings), BoardSettings)
    with callboard.connect(options.url, settings=replace(settings, namespace=options.namespace)) as board:
        board.observe(told)
        yield board.register(options.service, port=options.port, wait_for_port=False)


def fork() -> None:
    """A child that lives on by itself, and does not own what its parent registered."""
    child = os.fork()
    if not child:
        os.close(1)
        time.sleep(30)
        os._exit(0)
    say(child=child)


def next_line() -> str:
    """In short waits: a handler runs when the main thread does, and a signal that comes as a long wait begins is heard at its end."""
    while not select.select([sys.stdin], [], [], 0.05)[0]:
        pass
    return sys.stdin.readline()


def serve(registered: Registered, options: argparse.Namespace) -> None:
    if options.before:
        signal.signal(signal.SIGTERM, lambda number, _: say(handled=number))
    if options.sigterm:
        say(sigterm=registered.on_sigterm())
    say(ready=True)
    while line := next_line():
        match line.split():
            case ["fork"]:
                fork()
            case ["drain"]:
                say(drained=registered.drain())
            case ["close"]:
                registered.close()
                say(closed=True)
            case ["status", status]:
                registered.set_status(status)  # type: ignore[arg-type]  # what the test wrote
            case ["exit"]:
                sys.exit(0)


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("url", "namespace", "service"):
        parser.add_argument(name)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--settings", default="{}")
    parser.add_argument("--sigterm", action="store_true")
    parser.add_argument("--before", action="store_true", help="a handler of the program's own")
    parser.add_argument("--left-open", action="store_true", help="end without closing anything")
    parser.add_argument("--later", action="store_true", help="begin when a line comes")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    if options.later:
        say(there=True)
        next_line()
    if options.left_open:
        settings = msgspec.convert(json.loads(options.settings), BoardSettings)
        board = callboard.connect(options.url, settings=replace(settings, namespace=options.namespace))
        board.observe(told)
        serve(board.register(options.service, port=options.port, wait_for_port=False), options)
    else:
        with signed_in(options) as registered:
            serve(registered, options)


if __name__ == "__main__":
    main()
