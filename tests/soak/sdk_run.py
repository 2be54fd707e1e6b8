"""One run through the fault table. Shared by the long form (tests/soak) and the short one (tests/client)."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from callboard.client.board_settings import BoardSettings
from callboard.frontend.native.settings import NativeSettings
from tests.soak.faults import FAULTS, Plan
from tests.soak.figures import Row, failures, row
from tests.soak.fleet import fleet, now

QUIET_S = 0.5
"""Between two phases: calls of one end in their own."""


def plan_of(scale: float, providers: int) -> Plan:
    """The plan in other measures: at 0.05 an outage of a minute takes three seconds."""
    quick = scale < 1
    full = Plan()
    return Plan(
        providers=providers,
        rate=full.rate if not quick else 100.0,
        outage_s=full.outage_s * scale,
        calm_s=full.calm_s * scale,
        at_once=full.at_once if not quick else providers,
        lease_s=settings_of(scale).lease_ms / 1000,
    )


def settings_of(scale: float) -> BoardSettings:
    """What users have when they say nothing; in a quick run its times are shortened with the outages, so that as much happens in them."""
    full = BoardSettings()
    if scale >= 1:
        return full
    part, asking = max(scale, 0.05), full.client
    return replace(
        full,
        client=replace(asking, timeout_ms=round(asking.timeout_ms * part * 2), silence_max_ms=round(asking.silence_max_ms * part)),
        lease_ms=round(full.lease_ms * part * 2),
        blocked_after_ms=round(full.blocked_after_ms * part * 4),
        drain_notice_ms=round(full.drain_notice_ms * part * 4),
        shrink_hold_ms=round(full.shrink_hold_ms * part * 2),
        call_timeout_ms=round(full.call_timeout_ms * part * 8),
    )


def server_settings_of(scale: float) -> dict[str, str]:
    """The server says that it is alive, and lets watchers come back, in time for the boards' patience."""
    if scale >= 1:
        return {}
    part, full = max(scale, 0.05), NativeSettings()
    told = {"ALIVE_MS": full.alive_ms * part, "RETRY_MS": full.retry_ms * part * 2}
    return {f"CALLBOARD_TUNE_NATIVE_{name}": str(round(value)) for name, value in told.items()}


class Result(NamedTuple):
    """Of one run."""

    rows: tuple[Row, ...]
    failures: tuple[str, ...]


def run(
    folder: Path, plan: Plan, settings: BoardSettings, *, seed: int, server_settings: dict[str, str], faults: Iterable[str] = tuple(FAULTS)
) -> Result:
    """Each of these faults, one after the other, with calls all the time."""
    with fleet(folder, settings, seed=seed, server_settings=server_settings) as staged:
        staged.start(plan.providers)
        staged.call(plan.rate)
        staged.until_all_up()
        marks = []
        for name in faults:
            begin = now()
            known_s = FAULTS[name](staged, plan)
            staged.until_all_up()
            marks.append((name, begin, now(), known_s))
            time.sleep(QUIET_S)
        staged.close()
        told = staged.told
    return Result(tuple(row(name, told, begin, end, known_s) for name, begin, end, known_s in marks), tuple(failures(told)))
