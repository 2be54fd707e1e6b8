"""Kinds of values that options take. Each is the `callback` of its option."""

import re
from typing import Final

import click

_UNITS_MS: Final = {"ms": 1, "s": 1000, "": 1000, "m": 60_000, "h": 3_600_000}
_DURATION: Final = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h|)", re.ASCII)
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def duration_ms(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> int:
    """A number with ms, s, m or h (seconds without) as milliseconds; 0 when it is not said."""
    if value is None:
        return 0
    found = _DURATION.fullmatch(value)
    span = round(float(found[1]) * _UNITS_MS[found[2]]) if found is not None else 0
    if span < 1:
        raise click.BadParameter(f"{value!r} is no duration of at least 1 ms; write for example 500ms, 10s, 1.5m")
    return span


def wait_ms(_ctx: click.Context, _parameter: click.Parameter, value: str) -> int:
    """The same, or 0 for no wait at all."""
    return 0 if value == "0" else duration_ms(_ctx, _parameter, value)


def pairs(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """KEY=VALUE, several times."""
    said = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{value!r} must be KEY=VALUE")
        said[key] = text
    return said


def header_fields(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """NAME:VALUE, several times, as HTTP's header fields (RFC 9110 section 5)."""
    said = {}
    for value in values:
        name, colon, text = value.partition(":")
        if not colon or not _TOKEN.fullmatch(name) or not text.isprintable() or not text.isascii():
            raise click.BadParameter(f"{value!r} must be NAME:VALUE in printable ASCII, like x-user:7")
        said[name] = text.strip()
    return said
