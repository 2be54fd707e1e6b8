"""One run: a cluster, its load, one fault after the other, and what came of it. Shared by the long form and the short ones."""

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from callboard.testing.cluster import Cluster
from tests.soak.cluster_check import Verdicts, judge
from tests.soak.cluster_check_lives import Limits
from tests.soak.cluster_faults import FAULTS, Fault, Stage, another
from tests.soak.cluster_history import FaultRow, History, Quiet, now
from tests.soak.cluster_http import Answer, CallError
from tests.soak.cluster_load import Load, Plan, final_of
from tests.soak.cluster_violation import Violation

SETTINGS: Final = {"CALLBOARD_TUNE_NATIVE_ALIVE_MS": "2000", "CALLBOARD_TUNE_NATIVE_RETRY_MS": "200"}
"""Watchers are told often that their server is there, so that they notice soon when it is not."""
RECOVERED_MAX_S: Final = 120.0
AGREED_MAX_S: Final = 30.0
ANSWER_MAX_S: Final = 30.0
POLL_S: Final = 0.1
DYING_COUNT: Final = 2
"""Instances that die with each fault."""
CALM_S: Final = 3.0
INDEX_TARGETS: Final = ("/api/v1/services", "/api/v1/nodes")
"""These say the index in their body, so no answer is kept from before a change that left the rest as it was."""
_log = logging.getLogger(__name__)


class Result(NamedTuple):
    """Of one run."""

    history: History
    verdicts: Verdicts
    seconds: float


async def run(cluster: Cluster, faults: Mapping[str, Fault], *, seed: int, plan: Plan, until: float = 0.0) -> Result:
    """These faults, and as many more of the table, by weight, as begin before `until` (0: no more)."""
    chance = random.Random(seed)
    stage = Stage(cluster, chance)
    load = Load([member.port for member in cluster.members], cluster.names, plan, seed)
    begin, recovering = now(), list[Violation]()
    await load.start()
    load.kill(DYING_COUNT)
    load.kill(DYING_COUNT, hasty=True)
    await asyncio.sleep(plan.ttl_s + CALM_S)
    queue = list(faults.items())
    try:
        while queue:
            name, fault = queue.pop(0)
            recovering += await _one(stage, load, name, fault)
            if not queue and now() < until:
                name = another(chance, name)
                queue.append((name, FAULTS[name]))
        await _finish(cluster, load)
    finally:
        await load.stop()
    verdicts = judge(load.history, Limits())
    counts = dict(verdicts.counts)
    if recovering:
        counts["Recovers"] = len(recovering)
    return Result(load.history, Verdicts((*recovering, *verdicts.violations), counts), now() - begin)


async def _one(stage: Stage, load: Load, name: str, fault: Fault) -> list[Violation]:
    history = load.history
    wrong: list[Violation] = []
    load.kill(DYING_COUNT, hasty=stage.chance.random() < 0.3)
    begin, detail = now(), ""
    try:
        detail = await fault.do(stage)
    except Exception as error:  # noqa: BLE001  # said with the fault it came from; what is left is mended, and the run goes on
        wrong.append(Violation("Recovers", f"{name}: {type(error).__name__}: {error}", begin))
    healed = now()
    try:
        await stage.mend()
        await _until_recovered(load, healed)
    except Exception as error:  # noqa: BLE001  # the same
        wrong.append(Violation("Recovers", f"after {name} ({detail}): {type(error).__name__}: {error}", healed))
    history.faults.append(FaultRow(name, begin, healed, now(), fault.dooms, detail))
    _log.info("%s: %s; mended after %.1f s, recovered %.1f s later %s", name, detail, healed - begin, now() - healed, wrong or "")
    load.kill(1)
    await asyncio.sleep(stage.chance.uniform(CALM_S, 2 * CALM_S))
    load.check()
    wrong += await _agree(stage.cluster, load, name)
    return wrong


async def _until_recovered(load: Load, healed: float) -> None:
    """Every member serves reads, and writes are acknowledged."""
    while True:
        served = all(told and told[-1][0] > healed and told[-1][1] for told in load.history.watched.values())
        if served and load.history.writes and load.history.writes[-1] > healed:
            return
        if now() > healed + RECOVERED_MAX_S:
            raise AssertionError(f"not all members serve {RECOVERED_MAX_S:.0f} s after it was mended")
        load.check()
        await asyncio.sleep(POLL_S)


async def _agree(cluster: Cluster, load: Load, name: str) -> list[Violation]:
    """A quiet moment: nobody writes, and all members tell the same."""
    load.hold()
    until = now() + AGREED_MAX_S
    try:
        while True:
            await asyncio.sleep(5 * POLL_S)
            told = await _told(cluster, load)
            if told is not None:
                load.history.quiet.append(Quiet(now(), told))
                return []
            if now() > until:
                return [
                    Violation("Agreed", f"after {name} the revisions of the members do not come to one within {AGREED_MAX_S:.0f} s", now())
                ]
    except (CallError, OSError, msgspec.DecodeError) as error:
        return [Violation("Agreed", f"after {name} a member did not say what it knows: {error}", now())]
    finally:
        load.go_on()


class _Status(msgspec.Struct):
    revision: int


async def _told(cluster: Cluster, load: Load) -> dict[str, dict[str, str]] | None:
    """What each member says; None when something was written while they were asked."""
    before = await _revisions(cluster, load)
    told = {member.name: await _told_by(load, member.direct_port) for member in cluster.members}
    after = await _revisions(cluster, load)
    return told if before == after and len(set(before)) == 1 else None


async def _revisions(cluster: Cluster, load: Load) -> list[int]:
    answers = [await _get(load, member.direct_port, "/api/v1/status") for member in cluster.members]
    return [msgspec.json.decode(answer.body, type=_Status).revision for answer in answers]


async def _told_by(load: Load, port: int) -> dict[str, str]:
    told = {"digest": (await _get(load, port, "/api/v1/digest")).body.decode()}
    services = [f"/api/v1/services/svc-{number}" for number in range(load.plan.services)]
    for target in (*INDEX_TARGETS, *services):
        told[target] = (await _get(load, port, target)).headers["callboard-index"]
    return told


async def _get(load: Load, port: int, target: str) -> Answer:
    answer = await load.shared.http.call(port, "GET", target, timeout_s=ANSWER_MAX_S)
    if answer.status != 200:
        raise CallError(f"{target} answered {answer.status}", sent=True)
    return answer


async def _finish(cluster: Cluster, load: Load) -> None:
    """Who died is found dead; nobody writes any more; then everything is looked at."""
    await asyncio.sleep(load.plan.ttl_s + Limits().dead_late_s)
    load.hold()
    await asyncio.sleep(2.0)
    for member in cluster.members:
        load.history.finals.append(await final_of(load.shared.http, member.direct_port, member.name))


def run_in(
    folder: Path,
    faults: Mapping[str, Fault],
    *,
    seed: int,
    plan: Plan | None = None,
    seconds: float = 0.0,
    settings: Mapping[str, str] | None = None,
    engine_options: Sequence[str] = (),
) -> Result:
    """The same with a cluster of its own in `folder`; as many more faults as begin within `seconds`. The history is kept there."""
    import uvloop

    made = Cluster.running(folder, settings={**SETTINGS, **(settings or {})}, engine_options=engine_options)
    with made as cluster, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(run(cluster, faults, seed=seed, plan=plan or Plan(), until=now() + seconds))
    result.history.save(folder / "history.jsonl.gz")
    return result
