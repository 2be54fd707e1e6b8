"""The sentence of each metric, from the text below its counter: for docs/reference.md, and for HELP at `/metrics`.

The running server must not read its own source, so `python -m tools.metrics` (part of `make fix`) writes what it says to
`callboard/server/metric_texts.py`; `--check` only tells whether that is up to date.
"""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from callboard.server.assemble import Server
from callboard.server.settings import load
from callboard.server.telemetry import GAUGES, fields_of, metric_name
from callboard.store.etcd.stats import EtcdStats
from callboard.store.memory.engine import MemoryStats
from callboard.store.unix.stats import UnixStats
from tools.attributes import attribute_texts

TARGET = Path(__file__).resolve().parents[1] / "src" / "callboard" / "server" / "metric_texts.py"
HEAD = '''"""What each metric says of itself, by the class and field it is counted in. Written by `make fix` from the texts there."""

# ruff: noqa: E501  # sentences
'''


def counted() -> list[tuple[str, object]]:
    """Every room that counts, with its counters: those of a server, and those of the stores it does not use."""

    async def rooms() -> list[tuple[str, object]]:
        with tempfile.TemporaryDirectory() as directory:
            server = Server(load({"data": directory, "http": ["127.0.0.1:0"], "dns": "127.0.0.1:0"}, {}))
            return list(server.rooms.items())

    return [*asyncio.run(rooms()), ("store", EtcdStats()), ("store", MemoryStats()), ("store", UnixStats())]


def texts_of(stats: object) -> dict[str, str]:
    """The sentence of each field; a field without one is an error."""
    texts: dict[str, str] = {}
    for kind in reversed(type(stats).__mro__[:-1]):
        texts.update(attribute_texts(kind))
    missing = [field for field, _ in fields_of(stats) if field not in texts]
    if missing:
        raise SystemExit(f"{type(stats).__name__}: say below {', '.join(missing)} what is counted; /metrics shows it")
    return texts


def table() -> list[str]:
    """The rows of the page: each metric once, in the order of the rooms."""
    rows = {f"callboard_{name}": text for name, text in GAUGES.items()}
    for room, stats in counted():
        texts = texts_of(stats)
        for field, _ in fields_of(stats):
            rows.setdefault(metric_name(room, field), texts[field])
    return [f"| `{name}` | {text} |" for name, text in rows.items()]


def module() -> str:
    """The source of the module."""
    texts = {
        f"{type(stats).__name__}.{field}": text[field]
        for _, stats in counted()
        for text in (texts_of(stats),)
        for field, _ in fields_of(stats)
    }
    lines = [HEAD, "from typing import Final\n", "TEXTS: Final = {"]
    lines += [f"    {name!r}: {text!r}," for name, text in sorted(texts.items())]
    source = "\n".join([*lines, "}\n"])
    ruff = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(TARGET), "-"]
    return subprocess.run(ruff, input=source, capture_output=True, text=True, check=True).stdout  # noqa: S603  # our own words


def main() -> int:
    """Write the module, or with --check compare it."""
    source = module()
    if "--check" in sys.argv[1:]:
        if TARGET.exists() and TARGET.read_text(encoding="utf-8") == source:
            return 0
        sys.stderr.write(f"{TARGET.name} is not what the counters say of themselves; make fix writes it\n")
        return 1
    TARGET.write_text(source, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
