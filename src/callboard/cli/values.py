"""Kinds of values that options take. Each is the `callback` of its option."""

import re
from typing import Final

import click

_UNITS_MS: Final = {"ms": 1, "s": 1000, "": 1000, "m": 60_000, "h": 3_600_000}
_DURATION: Final = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h|)", re.ASCII)


def duration_ms(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> int:
    """A number with ms, s, m or h (seconds without) as milliseconds; 0 when it is not said."""
    if value is None:
        return 0
    found = _DURATION.fullmatch(value)
    span = round(float(found[1]) * _UNITS_MS[found[2]]) if found is not None else 0
    if span < 1:
        raise click.BadParameter(f"{value!r} is no duration of at least 1 ms; write for example 500ms, 10s, 1.5m")
    return span


def pairs(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """KEY=VALUE, several times."""
    said = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{value!r} must be KEY=VALUE")
        said[key] = text
    return said
