"""What is promised of the cluster by name, each measured on its own: leader, engine leader or engine away; everything restarted in turn.

Figures go to bench/results/cluster-acceptance.json. SOAK_SEED names another run.
"""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from bench.lab import machine
from callboard.testing.cluster import Member
from tests.soak.cluster_faults import OUTAGE_S, Fault, Stage
from tests.soak.cluster_history import now
from tests.soak.cluster_load import Plan
from tests.soak.cluster_report import RESULTS, Row, rows, table, totals
from tests.soak.cluster_rolling import rolling
from tests.soak.cluster_run import run_in

pytestmark = pytest.mark.soak
RESULT: Final = RESULTS / "cluster-acceptance.json"
SEED: Final = int(os.environ.get("SOAK_SEED", "1"))
LEADER_WRITES_MAX_S, ENGINE_WRITES_MAX_S = 6.0, 5.0
READS_MAX_S: Final = 2.0
"""A reader that waits half a second for a member before it asks another is never longer without an answer."""
AFTERWARDS_S: Final = 35.0
"""Two time limits and more: whoever is to run out by mistake does so meanwhile."""
ANSWER_MAX_S, REFUSED_MAX_S = 20.0, 1.0
OLD_MIN_MS: Final = 30_000
FEW: Final = Plan(steady=60, hasty=6, churning=4, watchers=6, blocked=6, readers=4)


async def leader_killed_for_good(stage: Stage) -> str:
    """It comes back only when all time limits have passed."""
    member = await stage.leader()
    await stage.off(member.kill)
    await asyncio.sleep(AFTERWARDS_S)
    await stage.off(member.start)
    return member.name


async def leader_paused_25_s(stage: Stage) -> str:
    member = await stage.leader()
    await stage.off(member.pause)
    await asyncio.sleep(25)
    await stage.off(member.resume)
    await asyncio.sleep(AFTERWARDS_S)
    return member.name


async def engine_leader_killed_for_good(stage: Stage) -> str:
    node = await stage.engine_leader()
    await stage.off(node.kill)
    await asyncio.sleep(AFTERWARDS_S)
    await stage.off(stage.cluster.engine.start, node)
    return node.name


async def engine_down_two_minutes(stage: Stage) -> str:
    """Whoever asks meanwhile is told at once how things are: no write counts, and reads are as old as they are."""
    nodes = stage.cluster.engine.nodes
    for node in nodes:
        await stage.off(node.kill)
    await asyncio.sleep(OUTAGE_S / 2)
    told = [await stage.off(_how_it_answers, member) for member in stage.cluster.members]
    await asyncio.sleep(OUTAGE_S / 2)
    for node in nodes:
        await stage.off(stage.cluster.engine.start, node)
    return "; ".join(told)


def _how_it_answers(member: Member) -> str:
    begin = now()
    body = json.dumps({"service": "late", "id": "late", "node": "late"}).encode()
    status, headers, _ = member.call("PUT", "/api/v1/instances", body, ANSWER_MAX_S)
    taken = now() - begin
    assert status == 503, f"{member.name} answers a write with {status}"
    assert "retry-after" in headers, f"{member.name} does not say when to try again"
    assert taken < REFUSED_MAX_S, f"{member.name} refuses a write after {taken:.1f} s only"
    status, headers, _ = member.call("GET", "/v1/health/service/svc-0")
    contact = headers.get("x-consul-knownleader"), int(headers.get("x-consul-lastcontact", "0"))
    assert status == 200, f"{member.name} answers a read with {status}"
    assert contact[0] == "false" or contact[1] > OLD_MIN_MS, f"{member.name} says of a read that is a minute old: {contact}"
    return f"{member.name} refuses in {taken:.2f} s, last contact {contact[1]} ms"


@pytest.fixture(scope="module")
def figures() -> Iterator[dict[str, Any]]:
    """Of all tests of this file; kept at its end."""
    taken: dict[str, Any] = json.loads(RESULT.read_text("utf-8")) if RESULT.exists() else {}
    yield taken
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({**taken, "machine": machine(), "seed": SEED}, indent=1) + "\n", encoding="utf-8")


@pytest.fixture
def measure(tmp_path: Path, figures: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> Any:
    def measured(name: str, fault: Fault, plan: Plan) -> tuple[Row, float]:
        """The row, and how long the load itself stood still at most: no bound is for that."""
        result = run_in(tmp_path, {name: fault}, seed=SEED, plan=plan)
        (row,) = rows(result.history)
        figures[name] = {**row._asdict(), "totals": totals(result)}
        with capsys.disabled():
            sys.stdout.write(f"\n{table(result)}\n")
        assert result.verdicts.counts == {}
        return row, max((stall.seconds for stall in result.history.stalls), default=0.0)

    return measured


@pytest.mark.timeout(900)
def test_leader_killed_with_5000_live_instances_removes_none_writes_resume_and_reads_never_stop(measure: Any) -> None:
    row, stalled_s = measure("leader killed with 5,000 instances", Fault(leader_killed_for_good, "leader"), FEW._replace(agents=50))
    assert row.write_gap_s < LEADER_WRITES_MAX_S + stalled_s
    assert row.read_gap_s < READS_MAX_S + stalled_s


@pytest.mark.timeout(900)
def test_leader_that_stands_still_for_25_s_removes_none(measure: Any) -> None:
    row, stalled_s = measure("leader paused 25 s", Fault(leader_paused_25_s, "leader"), FEW)
    assert row.write_gap_s < LEADER_WRITES_MAX_S + stalled_s
    assert row.read_gap_s < READS_MAX_S + stalled_s


@pytest.mark.timeout(900)
def test_engine_leader_killed_writes_resume(measure: Any) -> None:
    row, stalled_s = measure("engine leader killed", Fault(engine_leader_killed_for_good, "leader"), FEW)
    assert row.write_gap_s < ENGINE_WRITES_MAX_S + stalled_s
    assert row.read_gap_s < READS_MAX_S + stalled_s


@pytest.mark.timeout(900)
def test_whole_engine_down_two_minutes_reads_are_served_throughout_by_every_member_and_nothing_expires(measure: Any) -> None:
    row, stalled_s = measure("engine down 2 minutes", Fault(engine_down_two_minutes, "engine"), FEW)
    assert row.read_gap_s < READS_MAX_S + stalled_s
    assert max(row.unserved_s.values()) < READS_MAX_S + stalled_s


@pytest.mark.timeout(900)
def test_rolling_restart_under_half_the_peak_load_fails_no_operation(
    tmp_path: Path, figures: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    told = rolling(tmp_path, seed=SEED)
    figures["rolling restart"] = told._asdict()
    with capsys.disabled():
        sys.stdout.write(f"\n{json.dumps(told._asdict(), indent=1)}\n")
    assert told.failed == 0
    assert told.operations > 0
    assert told.violations == {}
