"""Which instances of a service a command means: the options that `resolve` and `call` have in common."""

import functools
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, TypedDict

import click

from callboard.cli.values import pairs

Command = Callable[..., None]
Prefer = Literal["any", "latest", "oldest"]


class Asked(TypedDict):
    """A choice as named arguments, which `Client.resolve` and `Board.service` call alike."""

    tags: tuple[str, ...]
    labels: Mapping[str, str]
    version: str
    prefer: Prefer
    fallback: str
    zone: str
    passing_only: bool


class Choice(NamedTuple):
    """What the options say."""

    tags: tuple[str, ...]
    labels: Mapping[str, str]
    version: str
    prefer: Prefer
    fallback: str
    zone: str
    passing_only: bool

    def asked(self) -> Asked:
        """The same as named arguments."""
        return Asked(
            tags=self.tags, labels=self.labels, version=self.version, prefer=self.prefer, fallback=self.fallback, zone=self.zone,
            passing_only=self.passing_only,
        )  # fmt: skip


def choosing(command: Command) -> Command:
    """Give a command the options, as its argument `choice`."""

    @functools.wraps(command)
    def chosen(*arguments: object, **options: object) -> None:
        choice = Choice(*(options.pop(name) for name in Choice._fields))  # type: ignore[arg-type]  # as the options below make them
        command(*arguments, choice=choice, **options)

    for add in (
        click.option("--passing-only", is_flag=True, help="Without instances that have a warning."),
        click.option("--zone", default="", metavar="ZONE", help="Those of this zone first, if enough of them are well."),
        click.option(
            "--fallback", default="none", metavar="none|any|RANGE", help="When nobody has the version: nobody, everybody, or this range."
        ),
        click.option(
            "--prefer",
            type=click.Choice(("any", "latest", "oldest")),
            default="any",
            help="Of these versions all, the highest, the lowest.",
        ),
        click.option("--version", default="", metavar="RANGE", help="Only of these versions: '>=2,<3', ^2.1, ~2.1.3, 2.x, 2.1.0."),
        click.option(
            "--label", "labels", multiple=True, metavar="KEY=VALUE", callback=pairs, help="Only with this meta entry; several times."
        ),
        click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only with this tag; several times: with all of them."),
    ):
        add(chosen)
    return chosen
