"""What the doctor found: one line for each thing it looked at, the weightiest first, with what mends it."""

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

from callboard.cli.output import Column, Layout, emit, plain

Verdict = Literal["critical", "warning", "passing"]
_ORDER: Final[dict[Verdict, int]] = {"critical": 0, "warning": 1, "passing": 2}


class Finding(Struct, frozen=True, omit_defaults=True):
    """One thing that was looked at."""

    about: str
    """`http`, `tls`, `dns` ..."""
    verdict: Verdict
    """`critical`: it does not work, or will soon not. `warning`: it works, and may surprise. `passing`: it is well."""
    what: str
    """What was seen, in a sentence."""
    cause: str = ""
    """Why it is so."""
    mend: str = ""
    """The command that mends it, or what to do where there is none."""
    server: str = ""
    """The URL it is about; empty: this machine."""


class Report(Struct, frozen=True):
    """All of it, as `-o json` prints it. `verdict` is the worst one."""

    verdict: Verdict
    servers: tuple[str, ...]
    findings: tuple[Finding, ...]


LAYOUT: Final = Layout[Finding](
    (
        Column("VERDICT", lambda finding: finding.verdict),
        Column("ABOUT", lambda finding: finding.about),
        Column("SERVER", lambda finding: finding.server, wide=True),
        Column("FOUND", lambda finding: finding.what),
        Column("CAUSE", lambda finding: finding.cause, wide=True),
        Column("MEND", lambda finding: finding.mend, wide=True),
    ),
    lambda finding: finding.about,
)


def well(about: str, what: str, server: str = "") -> Finding:
    """Nothing to mend."""
    return Finding(about, "passing", what, server=server)


def report(servers: Iterable[str], findings: Iterable[Finding]) -> Report:
    """The weightiest first; those of one weight as they were found, which is the order in which one needs the other."""
    ordered = tuple(sorted(findings, key=lambda finding: _ORDER[finding.verdict]))
    return Report(ordered[0].verdict if ordered else "passing", tuple(servers), ordered)


def advise(found: Report) -> None:
    """Say what is to be mended, for people: the weightiest first."""
    wrong = [finding for finding in found.findings if finding.verdict != "passing"]
    if not wrong:
        emit("all is well")
        return
    critical = sum(finding.verdict == "critical" for finding in wrong)
    emit(f"{critical} critical, {len(wrong) - critical} worth a look; the weightiest first")
    for number, finding in enumerate(wrong, 1):
        place = f" ({finding.server})" if finding.server and len(found.servers) > 1 else ""
        emit(f"{number}. {finding.about}{place}: {plain(finding.what)}")
        if finding.cause:
            emit(f"   because {plain(finding.cause)}")
        if finding.mend:
            emit(f"   mend it: {plain(finding.mend)}")
