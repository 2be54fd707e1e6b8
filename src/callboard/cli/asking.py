"""What every command that asks a server has in common: whom it asks, how long, and in which form it answers."""

import functools
import os
from collections.abc import Callable
from typing import Final, NamedTuple

import click

from callboard.cli.output import FORMATS
from callboard.cli.values import duration_ms
from callboard.client.client import Client
from callboard.client.settings import CONSUL_VARIABLE, URL_VARIABLE, ClientSettings, from_environment, split_urls
from callboard.model.errors import InvalidError

Command = Callable[..., None]
_NAMESPACE: Final = "CALLBOARD_NAMESPACE"
"""The SDK's too (`callboard.client.board_settings`)."""
_CONSUL: Final = "consul://"
WAITS: Final = "Longest wait for an answer (10s)."


class Server(NamedTuple):
    """Whom a command asks, as said on its line."""

    url: str
    namespace: str
    timeout_ms: int

    def client(self) -> Client:
        """Raises `InvalidError`, also for files of TLS that cannot be used."""
        return Client(self.settings())

    def settings(self) -> ClientSettings:
        """What the line says first, then the environment. Raises `InvalidError`."""
        named = self.url or os.environ.get(URL_VARIABLE) or os.environ.get(CONSUL_VARIABLE) or ""
        if any(url.lower().startswith(_CONSUL) for url in split_urls(named)):
            raise InvalidError(
                "url", f"{named!r}: {_CONSUL} is for run, call and the SDK; this command asks a Callboard server: --url http://HOST:PORT"
            )
        return from_environment(os.environ, urls=split_urls(self.url), timeout_ms=self.timeout_ms)


def connecting(command: Command, *, waits: str = WAITS, namespaced: bool = True) -> Command:
    """Give a command `--url`, `--namespace` and `--timeout`, as its argument `server`. `waits` is the help of the last; a command that is
    about everything the server has is not `namespaced`."""

    @functools.wraps(command)
    def asking(*arguments: object, url: str, timeout_ms: int, namespace: str = "", **options: object) -> None:
        command(*arguments, server=Server(url, namespace, timeout_ms), **options)

    click.option("--timeout", "timeout_ms", callback=duration_ms, metavar="DURATION", help=waits)(asking)
    if namespaced:
        text = f"Name space; comes before {_NAMESPACE} (`public`)."
        click.option("--namespace", default="", envvar=_NAMESPACE, metavar="NAME", help=text)(asking)
    click.option("--url", default="", metavar="URL,...", help="Servers to ask; comes before CALLBOARD_URL.")(asking)
    return asking


def reading(command: Command, *, waits: str = WAITS, namespaced: bool = True) -> Command:
    """Give a command `-o`, as its argument `form`, and what `connecting` gives."""
    asking = connecting(command, waits=waits, namespaced=namespaced)
    click.option("-o", "--output", "form", type=click.Choice(FORMATS), default="table", help="Form of the output (table).")(asking)
    return asking
