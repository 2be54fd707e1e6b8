"""What every command that asks a server has in common: whom it asks, how long, and in which form it answers."""

import functools
import os
from collections.abc import Callable
from typing import NamedTuple

import click

from callboard.cli.output import FORMATS
from callboard.cli.values import duration_ms
from callboard.client.client import Client
from callboard.client.settings import from_environment, split_urls

Command = Callable[..., None]


class Server(NamedTuple):
    """Whom a command asks, as said on its line."""

    url: str
    namespace: str
    timeout_ms: int

    def client(self) -> Client:
        """What the line says first, then the environment. Raises `InvalidError`."""
        return Client(from_environment(os.environ, urls=split_urls(self.url), timeout_ms=self.timeout_ms))


def connecting(command: Command) -> Command:
    """Give a command `--url`, `--namespace` and `--timeout`, as its argument `server`."""

    @functools.wraps(command)
    def asking(*arguments: object, url: str, namespace: str, timeout_ms: int, **options: object) -> None:
        command(*arguments, server=Server(url, namespace, timeout_ms), **options)

    for add in (
        click.option("--timeout", "timeout_ms", callback=duration_ms, metavar="DURATION", help="Longest wait for an answer (10s)."),
        click.option("--namespace", default="", metavar="NAME", help="Name space; `public` when it is not said."),
        click.option("--url", default="", metavar="URL,...", help="Servers to ask; comes before CALLBOARD_URL."),
    ):
        add(asking)
    return asking


def reading(command: Command) -> Command:
    """Give a command `-o`, as its argument `form`, and what `connecting` gives."""
    asking = connecting(command)
    click.option("-o", "--output", "form", type=click.Choice(FORMATS), default="table", help="Form of the output (table).")(asking)
    return asking
