"""What foreign clients asked of which route, and what foreign programs were seen to do: kept below docs/, shown by docs/compatibility.md.

A run replaces what was known of a client, once all its stories held, and only when that says something new: another version, another
route, another status. How often each was asked differs from run to run, and alone is no reason to write.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec

from tests.interop.recording import Noted
from tools.compatibility import LOG, PROGRAMS, TARGET, Asked, Ran, asked_in, ran_in, recorded_document, route_of

CONSUL_PATHS = "/v1/"
WRITES_BY_GET = ("/v1/agent/check/", "/v1/agent/service/deregister/")
"""Where old clients send GET for what is PUT in every table."""


def lines_of(client: str, version: str, noted: Counter[Noted]) -> list[Asked]:
    """One line for each route that was asked. Raises `AssertionError` for a path of Consul's that the page has no line for."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for (method, path, status), count in noted.items():
        if not path.startswith(CONSUL_PATHS):
            continue
        meant = "PUT" if path.startswith(WRITES_BY_GET) else method
        route = route_of(meant, path)
        assert route, f"{client} asked {method} {path}, which tools/compatibility_rows.py does not know"
        counts[route, meant][str(status)] += count
    return [Asked(client, version, method, route, dict(sorted(found.items()))) for (route, method), found in sorted(counts.items())]


def _gist(lines: list[Asked]) -> set[tuple[str, str, str, tuple[str, ...]]]:
    return {(line.version, line.method, line.route, tuple(line.status_counts)) for line in lines}


def keep(client: str, version: str, noted: Counter[Noted]) -> None:
    """Write both files when there is something new."""
    known = asked_in(LOG.read_bytes()) if LOG.exists() else []
    lines = lines_of(client, version, noted)
    if _gist(lines) == _gist([line for line in known if line.client == client]):
        return
    merged = sorted([*(line for line in known if line.client != client), *lines], key=lambda line: (line.client, line.route, line.method))
    LOG.write_bytes(_lines(merged))
    TARGET.write_text(recorded_document(), encoding="utf-8")


def keep_stories(program: str, version: str, stories: list[str]) -> None:
    """What a program was seen to do in this run."""
    known = ran_in(PROGRAMS.read_bytes()) if PROGRAMS.exists() else []
    ran = Ran(program, version, stories)
    if ran in known:
        return
    merged = sorted([*(one for one in known if one.program != program), ran], key=lambda one: one.program)
    PROGRAMS.write_bytes(_lines(merged))
    TARGET.write_text(recorded_document(), encoding="utf-8")


def _lines(values: Sequence[msgspec.Struct]) -> bytes:
    return b"[\n" + b",\n".join(msgspec.json.encode(value) for value in values) + b"\n]\n"
