"""The engine is full: additions are refused and nothing else breaks; when an operator has made room, all goes on by itself."""

import asyncio
import http.client
import sys
from pathlib import Path
from typing import Final

import msgspec
import pytest

from callboard.testing.cluster import Member
from tests.soak.cluster_faults import Fault, Stage
from tests.soak.cluster_load import Plan
from tests.soak.cluster_report import table
from tests.soak.cluster_run import run_in

pytestmark = pytest.mark.soak
MIB: Final = 1 << 20
SOFT_BYTES, QUOTA_BYTES = 24 * MIB, 48 * MIB
FEW: Final = Plan(steady=40, hasty=4, churning=2, watchers=4, blocked=4, readers=2)
FILLERS_MAX_COUNT: Final = 5_000
FULL_S: Final = 20.0
"""Longer than the time limit of the instances: whoever is kept alive by writes only runs out."""
META: Final = {f"key-{number}": "x" * 500 for number in range(60)}
ANSWER_MAX_S: Final = 20.0
_FULL: Final = 507


def _call(member: Member, method: str, target: str, body: bytes = b"") -> int:
    return member.call(method, target, body, ANSWER_MAX_S)[0]


def _fill(member: Member) -> int:
    """Register large instances until the store is full; answers how many."""
    for number in range(FILLERS_MAX_COUNT):
        body = msgspec.json.encode({"service": "filler", "id": f"f-{number}", "node": "filler", "address": "10.0.0.1", "meta": META})
        status = _call(member, "PUT", "/api/v1/instances", body)
        if status == _FULL:
            return number
        assert status == http.client.OK, f"filler {number} was answered with {status}"
    raise AssertionError(f"not full after {FILLERS_MAX_COUNT} large instances")


async def full(stage: Stage) -> str:
    """Full, for longer than a time limit; then the large ones go, if removals pass, and the operator makes room."""
    member = await stage.follower()
    count = await stage.off(_fill, member)
    await asyncio.sleep(FULL_S)
    assert await stage.off(_call, member, "GET", "/v1/health/service/svc-0") == http.client.OK
    gone = 0
    for number in range(count):
        if await stage.off(_call, member, "DELETE", f"/api/v1/instances/f-{number}?node=filler") != http.client.OK:
            break
        gone += 1
    size = await stage.off(stage.cluster.engine.size_bytes)
    assert gone == count or size >= QUOTA_BYTES, f"below etcd's quota removals pass, and {gone} of {count} did"
    await stage.off(stage.cluster.engine.make_room)
    for number in range(gone, count):
        status = await stage.off(_call, member, "DELETE", f"/api/v1/instances/f-{number}?node=filler")
        assert status == http.client.OK, f"room was made, and the removal of f-{number} is answered with {status}"
    await stage.off(stage.cluster.engine.make_room)
    return f"full at {size / MIB:.0f} MiB after {count} large instances, of which {gone} could be removed while it was"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("limit_bytes", [SOFT_BYTES, 4 * QUOTA_BYTES], ids=["our own limit", "the quota of etcd"])
def test_a_full_engine_refuses_additions_and_expires_nobody(tmp_path: Path, limit_bytes: int, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_in(
        tmp_path, {"engine full": Fault(full, "engine")}, seed=1, plan=FEW,
        settings={"CALLBOARD_TUNE_ETCD_DATABASE_MAX_BYTES": str(limit_bytes), "CALLBOARD_TUNE_ETCD_HEALTH_INTERVAL_MS": "500"},
        engine_options=[f"--quota-backend-bytes={QUOTA_BYTES}"],
    )  # fmt: skip
    with capsys.disabled():
        sys.stdout.write(f"\n{table(result)}\n")
    assert result.verdicts.counts == {}
