"""Write docs/reference.md from the code: every setting, route, command and metric. `--check` only tells whether it is up to date."""

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from callboard.cli.main import main as command_line
from callboard.client.board_settings import ADVERTISE_VARIABLE, NAMESPACE_VARIABLE, SNAPSHOTS_VARIABLE, ZONE_VARIABLE, BoardSettings
from callboard.client.options import RegisterOptions, ServiceOptions
from callboard.client.settings import CA_VARIABLE, CERT_VARIABLE, KEY_VARIABLE, TOKEN_VARIABLE, URL_VARIABLE, ClientSettings
from callboard.server.assemble import Server
from callboard.server.root import root_site
from callboard.server.settings import PREFIX, ROOMS, ServerSettings, load, tunable
from tools.attributes import attribute_texts
from tools.metrics import table
from tools.reference_api import api

TARGET = Path(__file__).resolve().parents[1] / "docs" / "reference.md"
HEAD = """# Reference

Generated from the code by `make fix`, and held to it by `make check`. Each frontend and store has a README with more.
"""


def settings_of(title: str, struct: type[msgspec.Struct], names: list[str], variable: str, key: str) -> Iterator[str]:
    """A table of one struct's fields."""
    texts = attribute_texts(struct)
    defaults = {field.name: field.default for field in msgspec.structs.fields(struct)}
    yield f"### {title}\n"
    yield "| setting | default | environment | what it is |"
    yield "|---|---|---|---|"
    for name in names:
        default = defaults[name]
        shown = "" if default is msgspec.NODEFAULT else msgspec.json.encode(default).decode()
        yield f"| `{key}{name}` | `{shown}` | `{variable}{name.upper()}` | {texts.get(name, name.replace('_', ' '))} |"
    yield ""


def settings() -> Iterator[str]:
    """Every setting."""
    yield "## Settings\n"
    yield "Flag over environment over file (`--config FILE.toml`) over default. `callboard serve --print-config` prints what is in force.\n"
    names = list(ServerSettings.__struct_fields__)
    yield from settings_of("Of the server: flags of `callboard serve`", ServerSettings, names, PREFIX, "")
    for room, struct in ROOMS.items():
        yield from settings_of(f"[tune.{room}]", struct, tunable(room), f"{PREFIX}TUNE_{room.upper()}_", "")


def sdk() -> Iterator[str]:
    """Every setting of the SDK, and every named argument of `register` and `service`."""
    yield "## SDK\n"
    yield "What `callboard.connect(...)` is told comes first, then `settings=BoardSettings(...)`, then the environment.\n"
    variables = {
        "client.urls": URL_VARIABLE,
        "client.token": TOKEN_VARIABLE,
        "client.ca_file": CA_VARIABLE,
        "client.cert_file": CERT_VARIABLE,
        "client.key_file": KEY_VARIABLE,
        "namespace": NAMESPACE_VARIABLE,
        "zone": ZONE_VARIABLE,
        "advertise": ADVERTISE_VARIABLE,
        "snapshots": SNAPSHOTS_VARIABLE,
    }
    for struct, prefix in ((BoardSettings, ""), (ClientSettings, "client.")):
        texts = attribute_texts(struct)
        yield f"### {struct.__name__}\n"
        yield "| setting | default | environment | what it is |"
        yield "|---|---|---|---|"
        for field in msgspec.structs.fields(struct):
            if field.name == "client":
                continue
            variable = variables.get(prefix + field.name, "")
            shown = msgspec.json.encode(field.default).decode()
            yield f"| `{prefix}{field.name}` | `{shown}` | {f'`{variable}`' if variable else ''} | {described(texts, field.name)} |"
        yield ""
    for title, options in (("Board.register(service, ...)", RegisterOptions), ("Board.service(name, ...)", ServiceOptions)):
        texts = attribute_texts(options)
        yield f"### {title}\n"
        yield "| argument | what it is |"
        yield "|---|---|"
        yield from (f"| `{name}` | {described(texts, name)} |" for name in options.__annotations__)
        yield ""


def described(texts: dict[str, str], name: str) -> str:
    """What stands below the attribute, or its name in words."""
    return texts.get(name, name.replace("_", " ")).replace("|", "\\|")


async def routes() -> list[str]:
    """Every route of every site."""
    with tempfile.TemporaryDirectory() as directory:
        server = Server(load({"data": directory, "http": ["127.0.0.1:0"], "dns": "127.0.0.1:0"}, {}))
        lines = ["## Routes\n", "A path that ends in `/` takes everything below it.\n"]
        root = root_site(server.page, tuple)
        for site in sorted((*server.sites, root), key=lambda site: site.prefix):
            lines += [f"### {site.prefix}\n", "| method | path |", "|---|---|"]
            lines += [f"| {route.method} | `{route.path}` |" for route in sorted(site.routes, key=lambda route: (route.path, route.method))]
            lines.append("")
        return lines


def metrics() -> list[str]:
    """Every metric."""
    return ["## Metrics\n", "At `/metrics`, in Prometheus' text format.\n", "| metric | what it is |", "|---|---|", *table(), ""]


def commands() -> Iterator[str]:
    """The help text of every command."""
    yield "## Commands\n"
    context = click.Context(command_line, info_name="callboard")
    yield from ("```text", command_line.get_help(context), "```", "")
    for name in command_line.list_commands(context):
        command = command_line.get_command(context, name)
        assert command is not None
        with click.Context(command, info_name=f"callboard {name}", terminal_width=120) as inner:
            yield from (f"### callboard {name}\n", "```text", command.get_help(inner), "```", "")


def document() -> str:
    """The whole page."""
    return "\n".join([HEAD, *settings(), *sdk(), *api(), *asyncio.run(routes()), *metrics(), *commands()]).rstrip() + "\n"


def main() -> int:
    """Write the page, or with --check compare it."""
    text = document()
    if "--check" in sys.argv[1:]:
        if TARGET.read_text(encoding="utf-8") == text:
            return 0
        sys.stderr.write("docs/reference.md is not what the code says; make fix writes it\n")
        return 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
