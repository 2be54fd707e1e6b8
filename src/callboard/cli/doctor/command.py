"""`callboard doctor`: look at everything that stands between this machine and its servers, and say what mends what is wrong."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import click

from callboard.cli.asking import Server, reading
from callboard.cli.doctor import judging, naming, reaching, surroundings
from callboard.cli.doctor.findings import LAYOUT, Finding, Report, advise, report, well
from callboard.cli.exits import OK, UNHEALTHY, UNREACHABLE
from callboard.cli.output import show
from callboard.client.link import reason
from callboard.client.settings import Base, ClientSettings, parse_base
from callboard.core.callers import is_loopback
from callboard.wire.native import ServiceInstances, ServiceList
from callboard.wire.native_server import Diagnosis, MemberList

RESOLVER: Final = Path("/etc/resolv.conf")
_DIAL_S: Final = 1.5
_REASONS_MAX_COUNT: Final = 3
"""Services whose critical instances are asked for why they are."""
_CONFIG_S: Final = 30.0


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Also: can the server reach this port here, to check a program?")
@click.option("--config", metavar="FILE.toml", help="Also: would `serve` take this settings file, and CALLBOARD_* as they are here?")
@click.pass_context
@reading
def doctor(ctx: click.Context, *, server: Server, form: str, port: int | None, config: str | None) -> None:
    """Find out why a server cannot be used, or soon will not be; name the cause, and the command that mends it.

    Looks from here (name, port, TLS, DNS, clock, environment), asks each server what it sees (store, leader, disk, files, whether its
    advertised address leads to it), and changes nothing. What is wrong comes first. `-o wide` shows cause and remedy in columns.

    Exit code 0 when nothing is critical, 4 when something is, 5 when no server can be reached.
    """
    settings = server.settings()
    seen = [reaching.look(base, settings) for base in settings.bases]
    findings = [finding for one in seen for finding in (*one.findings, *_asked(one, settings, server.namespace, port))]
    findings += surroundings.judge_variables(os.environ, settings.bases)
    if config is not None:
        findings.append(_config(config))
    found = report((str(base) for base in settings.bases), findings)
    _tell(found, form)
    ctx.exit(UNREACHABLE if not any(one.reached for one in seen) else UNHEALTHY if found.verdict == "critical" else OK)


def _tell(found: Report, form: str) -> None:
    if form in {"table", "wide"}:
        advise(found)
    show(form, found.findings, LAYOUT, found)


def _asked(seen: reaching.Seen, settings: ClientSettings, namespace: str, port: int | None) -> Iterator[Finding]:
    """What a server that answers tells of itself, and what follows from it here."""
    if seen.status is None or seen.fetcher is None:
        return
    url, fetcher = str(seen.base), seen.fetcher
    yield from judging.judge_status(seen.status, url)
    members = reaching.told(fetcher, "/api/v1/members", MemberList)
    yield judging.judge_version(seen.status, members, url)
    if members is not None:
        yield from judging.judge_members(members, _reached(members, settings), url)
    diagnosis = reaching.told(fetcher, "/api/v1/diagnosis" + (f"?port={port}" if port else ""), Diagnosis)
    if diagnosis is None:
        yield Finding(
            "server",
            "warning",
            "the server tells nothing of its DNS, disk and limits",
            "it is too old for that, or too many ask at once",
            "pip install --upgrade 'callboard[server]'   (on the server's machine)",
            url,
        )
    else:
        yield from judging.judge_diagnosis(diagnosis, url)
        if diagnosis.machine is not None:
            yield from naming.look(diagnosis.machine.dns, diagnosis.machine.dns_domain, seen.base.host, _resolvers(), url)
    yield from _services(fetcher, namespace, url)


def _services(fetcher: reaching.Fetcher, namespace: str, url: str) -> Iterator[Finding]:
    query = f"?namespace={quote(namespace, safe='')}" if namespace else ""
    services = reaching.told(fetcher, f"/api/v1/services{query}", ServiceList)
    if services is None:
        return
    reasons = {}
    for name in [one.name for one in services.services if one.critical][:_REASONS_MAX_COUNT]:
        there = reaching.told(fetcher, f"/api/v1/services/{quote(name, safe='')}{query}", ServiceInstances)
        reasons[name] = judging.reason_of(there.instances) if there is not None else ""
    yield from judging.judge_services(services, reasons, url)


def _reached(members: MemberList, settings: ClientSettings) -> dict[str, str]:
    """Of each member's URL, why no connection can be made to it from here."""
    known = {str(base) for base in settings.bases}
    out = {}
    for url in {member.url for member in members.members if member.url and member.url not in known}:
        host = urlsplit(url).hostname or ""
        if len(members.members) > 1 or not is_loopback(host):
            out[url] = _refusal(parse_base(url))
    return out


def _refusal(base: Base) -> str:
    try:
        socket.create_connection((base.host, base.port), timeout=_DIAL_S).close()
    except OSError as error:
        return reason(error)
    return ""


def _resolvers() -> tuple[naming.Place, ...]:
    try:
        return naming.resolvers_of(RESOLVER.read_text("utf-8", "replace"))
    except OSError:
        return ()


def _config(path: str) -> Finding:
    """Ask the program itself, as a server would start: it merges file and environment, and refuses what it cannot read."""
    words = [sys.executable, "-m", "callboard", "serve", "--config", path, "--print-config"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_CONFIG_S, check=False)  # noqa: S603  # ourselves
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("settings", "critical", f"{path} could not be judged: {error}")
    if done.returncode == 0:
        return well("settings", f"{path} and the environment would be taken")
    lines = [line for line in done.stderr.splitlines() if line.strip()] or ["it does not say why"]
    return Finding(
        "settings",
        "critical",
        f"a server would not start with {path}",
        lines[-1].removeprefix("callboard: ").removeprefix("Error: "),
        f"callboard serve --config {path} --print-config   (until it prints the settings)",
    )
