"""Go's spellings of durations, truth values and quoted text, for Consul clients read and write those of Go's standard library."""

import re
from typing import Final

from callboard.model.errors import InvalidError
from callboard.model.time import HOUR, MICROSECOND, MILLISECOND, MINUTE, SECOND, Duration

DURATION_MAX: Final = 2**63 - 1
"""Nanoseconds; Go's durations are 64 bits wide."""
_DURATION_MAX_CHARS: Final = 64
_PLAIN_MAX_DIGITS: Final = 6
"""Of a whole number of hours, minutes or seconds, as nearly everybody writes durations; so many hours are still no longer than the most."""
_UNITS: Final = {
    "ns": 1, "us": MICROSECOND, "\u00b5s": MICROSECOND, "\u03bcs": MICROSECOND, "ms": MILLISECOND, "s": SECOND, "m": MINUTE, "h": HOUR,
}  # fmt: skip
_PART: Final = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]*)")
_TRUTHS: Final = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


def parse_duration(text: str) -> Duration:
    """`1h2m3.5s` in nanoseconds (Go: time.ParseDuration). Raises `InvalidError`."""
    if text[-1:] in _UNITS and (whole := text[:-1]).isdigit() and whole.isascii() and len(whole) <= _PLAIN_MAX_DIGITS:
        return Duration(int(whole) * _UNITS[text[-1:]])
    sign = -1 if text[:1] == "-" else 1
    rest = text.removeprefix("-") if sign < 0 else text.removeprefix("+")
    if rest == "0":
        return Duration(0)
    if not rest or len(text) > _DURATION_MAX_CHARS:
        raise InvalidError("", f"time: invalid duration {quote(text[:_DURATION_MAX_CHARS])}")
    total = at = 0
    while at < len(rest):
        part = _PART.match(rest, at)
        if part is None or not (part[1] or part[2]):
            raise InvalidError("", f"time: invalid duration {quote(text)}")
        total += _nanoseconds(part, text)
        at = part.end()
    if total > DURATION_MAX:
        raise InvalidError("", f"time: invalid duration {quote(text)}")
    return Duration(sign * total)


def _nanoseconds(part: re.Match[str], text: str) -> int:
    whole, fraction, unit = part[1], part[2] or "", part[3]
    if not unit:
        raise InvalidError("", f"time: missing unit in duration {quote(text)}")
    if unit not in _UNITS:
        raise InvalidError("", f"time: unknown unit {quote(unit)} in duration {quote(text)}")
    scale = _UNITS[unit]
    out = int(whole or "0") * scale
    return out + int(fraction) * scale // 10 ** len(fraction) if fraction else out


def format_duration(duration: int) -> str:
    """Nanoseconds as Go writes them: `1h0m0s`, `1.5s`, `100ms`, `0s`."""
    if duration < 0:
        return "-" + format_duration(-duration)
    if duration < SECOND:
        unit, scale = ("ms", MILLISECOND) if duration >= MILLISECOND else ("\u00b5s", MICROSECOND) if duration >= MICROSECOND else ("ns", 1)
        return _decimal(duration, scale) + unit if duration else "0s"
    minutes, rest = divmod(duration, MINUTE)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{head}{_decimal(rest, SECOND)}s"


def _decimal(value: int, scale: int) -> str:
    whole, rest = divmod(value, scale)
    digits = len(str(scale)) - 1
    return f"{whole}.{rest:0{digits}d}".rstrip("0") if rest else str(whole)


def parse_bool(text: str) -> bool | None:
    """Go's strconv.ParseBool; None for anything it does not take."""
    return _TRUTHS.get(text)


def quote(text: str) -> str:
    """Text in double quotes, as Go's `%q` writes printable text."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
