"""Liveness through the whole registry, in virtual time."""

import asyncio

import pytest

from callboard.core.catalog import commands as cmd
from callboard.core.deadlines import TICK
from callboard.core.health import ProbeResult
from callboard.core.liveness import LivenessSettings
from callboard.model.check import CheckSpec, HttpCheck, ManualCheck, Status, Thresholds
from callboard.model.instance import InstanceSpec
from callboard.model.time import SECOND
from callboard.registry.settings import RegistrySettings
from callboard.registry.ticking import Ticker
from callboard.store.memory.engine import MemoryEngine
from callboard.testing.clock import VirtualClock
from callboard.testing.faults import Fault, in_order
from tests.registry.stage import NODE, Stage, http, on_stage, played, registration, report, tcp, ttl

P, W, C = Status.PASSING, Status.WARNING, Status.CRITICAL


@pytest.mark.parametrize("span_s", [0.1, 1, 15, 3600])
def test_a_ttl_check_runs_out_within_20_ms_of_its_deadline_and_never_early(span_s: float) -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            await stage.done(registration(ttl(span_s)))
            registered = stage.elapsed_s
            await stage.wait(span_s + 1)
            [_, (when, _, status)] = stage.turns
            assert status is C
            assert span_s <= when - registered <= span_s + 0.02
            assert stage.check().output == "TTL expired"  # type: ignore[union-attr]  # it is there

    played(play)


def test_heartbeats_keep_a_ttl_check_and_what_stops_beating_runs_out_its_span_later() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            await stage.done(registration(ttl(2)))
            groups = stage.registry.stats.groups
            for _ in range(30):
                await stage.wait(1.9)
                assert stage.beat()
            assert stage.registry.stats.groups == groups, "a heartbeat never touches the store"
            last = stage.elapsed_s
            await stage.wait(3)
            assert 2 <= stage.turns[-1][0] - last <= 2.02
            assert not stage.beat(), "a turn is more than a heartbeat"
            await stage.done(report(P))
            assert stage.status() is P

    played(play)


def test_a_heartbeat_with_another_status_or_output_or_check_is_a_report() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            await stage.done(registration(ttl(2), output="fine"))
            assert stage.beat(output="fine")
            assert not stage.beat(output="better")
            assert not stage.beat(status=W, output="fine")
            assert not stage.beat("unknown")
            await stage.done(registration(ManualCheck(), check="c2", instance="b", nonce="r2"))
            assert not stage.beat("c2")

    played(play)


@pytest.mark.parametrize("command", ["identical registration", "identical check", "report"])
def test_a_sign_of_life_starts_the_span_again_though_it_changes_nothing(command: str) -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            first = registration(ttl(10))
            await stage.done(first)
            commands: dict[str, cmd.Command] = {
                "identical registration": first,
                "identical check": cmd.RegisterCheck(nonce="r3", node=NODE, check=first.checks[0].check, instance=cmd.Target("n1", "a")),
                "report": report(P),
            }
            for _ in range(3):
                await stage.wait(9)
                assert not (await stage.done(commands[command])).changed
            assert stage.turns[1:] == []

    played(play)


def test_a_check_of_a_node_lives_on_signs_of_life_from_any_namespace() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            command = cmd.Register(
                nonce="r1", node=NODE, instance=InstanceSpec(service="web", id="a", namespace="blue"), namespace="blue",
                checks=(cmd.Attached("", CheckSpec(id="c1", definition=ttl(10), status=P)),),
            )  # fmt: skip
            await stage.done(command)
            for _ in range(3):
                await stage.wait(9)
                await stage.done(command)
            assert stage.turns[1:] == []
            await stage.wait(11)
            assert stage.status() is C

    played(play)


def test_a_shorter_span_counts_from_the_registration_that_brings_it() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            await stage.done(registration(ttl(3600)))
            await stage.wait(5)
            await stage.done(registration(ttl(1), nonce="r2"))
            await stage.wait(1.1)
            assert stage.status() is C

    played(play)


def test_a_span_after_a_longer_one_and_a_critical_time_is_kept() -> None:
    """The old deadline's place in the wheel must not delay the new one."""

    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            await stage.done(registration(ttl(50)))
            await stage.done(report(C))
            await stage.done(registration(ttl(1), nonce="r2"))
            await stage.done(report(P))
            await stage.wait(1.1)
            assert stage.status() is C

    played(play)


def test_a_check_that_changes_its_kind_is_asked_the_new_way_only() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            await stage.done(registration(ttl(2)))
            await stage.done(registration(http(1), nonce="r2"))
            await stage.wait(5)
            assert stage.status() is P
            asked = len(stage.asked.when)
            assert asked >= 4
            await stage.done(registration(tcp(1), nonce="r3"))
            await stage.wait(5)
            assert {type(definition).__name__ for _, definition in stage.asked.when[asked:]} == {"TcpCheck"}
            asked = len(stage.asked.when)
            await stage.done(registration(ttl(2), nonce="r4"))
            await stage.wait(5)
            assert len(stage.asked.when) == asked
            assert stage.status() is C
            await stage.done(registration(ManualCheck(), nonce="r5"))
            await stage.done(cmd.DeregisterInstance(cmd.Target("n1", "a")))
            term = stage.registry._door.term  # noqa: SLF001  # nothing of it may be left
            assert term is not None
            await stage.wait(61)
            assert [len(term.liveness.ttls), len(term.liveness.reaps), stage.registry.probing_count] == [0, 0, 0]

    played(play)


def test_after_a_restart_ttl_deadlines_start_afresh_and_statuses_are_kept() -> None:
    async def play(clock: VirtualClock) -> None:
        engine = MemoryEngine()
        async with on_stage(clock, engine) as stage:
            await stage.done(registration(ttl(10)))
            await stage.done(registration(ttl(10), instance="b", check="c2", status=W, nonce="r2"))
            await stage.done(registration(ttl(10, 20), instance="c", check="c3", status=C, nonce="r3"))
            await stage.wait(9)
        await stage.wait(3600)
        async with on_stage(clock, engine, seed=1) as stage:
            assert [stage.status(check) for check in ("c1", "c2", "c3")] == [P, W, C]
            await stage.wait(9.9)
            assert [stage.status(check) for check in ("c1", "c2", "c3")] == [P, W, C]
            await stage.wait(0.2)
            assert [stage.status(check) for check in ("c1", "c2", "c3")] == [C, C, C]
            await stage.wait(9.8)
            assert stage.status("c3") is C, "its time of being critical starts afresh too"
            await stage.wait(0.2)
            assert stage.status("c3") is None

    played(play)


def test_a_pause_of_the_process_moves_every_deadline_by_the_gap() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            await stage.done(registration(ttl(10)))
            await stage.done(registration(ttl(3, 10), instance="b", check="c2", status=C, nonce="r2"))
            await stage.wait(6)
            stage.pause(30)
            await stage.wait(3.4)
            assert (stage.status(), stage.status("c2")) == (P, C), "36 s and more went by, but only 9.4 s of them here"
            assert stage.registry.stats.pauses == 1
            await stage.wait(1.2)
            assert (stage.status(), stage.status("c2")) == (C, None)

    played(play)


def test_a_short_delay_of_the_loop_is_no_pause() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            await stage.done(registration(ttl(10)))
            for _ in range(10):
                stage.pause(0.9)
                await stage.wait(0.05)
            assert stage.registry.stats.pauses == 0
            await stage.wait(0.6)
            assert stage.status() is C

    played(play)


def test_a_heartbeat_that_waited_while_the_loop_was_held_up_comes_before_the_expiry() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            await stage.done(registration(ttl(1)))
            await stage.wait(0.5)
            # It waits in the buffer of its socket, and its callback comes after that of the deadline.
            asyncio.get_running_loop().call_later(0.52, stage.beat)
            stage.pause(0.8)
            await stage.wait(0.5)
            assert stage.turns[1:] == []
            await stage.wait(0.7)
            assert stage.status() is C

    played(play)


def test_an_instance_goes_when_a_check_was_critical_for_the_whole_time_and_not_before() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            await stage.done(registration(ttl(100, 10), status=C))
            await stage.wait(9.5)
            await stage.done(report(P))
            await stage.done(report(C))
            since = stage.elapsed_s
            await stage.wait(9.9)
            assert stage.registry.view.placed("public", "n1", "a") is not None
            await stage.wait(0.2)
            assert stage.registry.view.placed("public", "n1", "a") is None
            assert "n1" not in stage.registry.view.nodes, "an implicit node goes with its last content"
            assert since > 9

    played(play)


def test_a_check_that_passed_for_a_moment_within_one_group_was_not_critical_all_the_time() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            await stage.done(registration(ttl(100, 10), status=C))
            await stage.wait(9.5)
            stage.registry.submit(report(P))
            await stage.done(report(C))
            await stage.wait(9.9)
            assert stage.registry.view.placed("public", "n1", "a") is not None
            await stage.wait(0.2)
            assert stage.registry.view.placed("public", "n1", "a") is None

    played(play)


def test_a_registration_gives_a_critical_instance_its_whole_time_again() -> None:
    """What was acknowledged stays until a deadline that began after it."""

    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            command = registration(ttl(100, 10), status=C)
            await stage.done(command)
            await stage.wait(9.9)
            assert not (await stage.done(command)).changed
            await stage.wait(9.9)
            assert stage.registry.view.placed("public", "n1", "a") is not None

    played(play)


def test_an_expiry_in_flight_is_followed_by_a_heartbeat_and_loses_nothing() -> None:
    async def play(clock: VirtualClock) -> None:
        faults = in_order(Fault.NONE, Fault.SLOW)
        async with on_stage(clock, choose=faults) as stage:
            await stage.done(registration(ttl(1)))
            await stage.wait(1.2)
            assert stage.status() is P, "the expiry is at the store"
            assert not stage.beat(), "no heartbeat is acknowledged while that is so"
            assert (await stage.done(report(P))).changed
            assert stage.status() is P
            assert [status for _, _, status in stage.turns] == [P, C, P]

    played(play)


def test_a_reap_in_flight_is_followed_by_a_registration_and_loses_nothing() -> None:
    async def play(clock: VirtualClock) -> None:
        faults = in_order(Fault.NONE, Fault.SLOW)
        async with on_stage(clock, choose=faults) as stage:
            command = registration(ttl(100, 5), status=C)
            await stage.done(command)
            await stage.wait(5.2)
            assert stage.registry.view.placed("public", "n1", "a") is not None, "the removal is at the store"
            assert (await stage.done(registration(ttl(100, 5), status=C, nonce="r2"))).changed
            await stage.wait(4.5)
            assert stage.registry.view.placed("public", "n1", "a") is not None

    played(play)


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.FULL, Fault.LOST, Fault.LANDED, Fault.LATE])
def test_an_expiry_whose_group_failed_comes_again(fault: Fault) -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock, choose=in_order(Fault.NONE, fault)) as stage:
            await stage.done(registration(ttl(1, 5)))
            await stage.wait(2.5)
            assert stage.status() is C
            await stage.wait(6)
            assert stage.status() is None

    played(play)


# -- probes


def test_probes_come_every_interval_and_the_first_ones_are_spread_over_it() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            for number in range(40):
                await stage.done(registration(http(10), instance=f"i{number}", check=f"c{number}", nonce=f"r{number}"))
            await stage.wait(10.05)
            assert len(stage.asked.when) == 40, "every first probe is within one interval"
            slices = {int((moment - stage.started) / SECOND) for moment, _ in stage.asked.when}
            assert len(slices) >= 8, "and they are spread"
            await stage.wait(100)
            assert len(stage.asked.when) == 440

    played(play)


def test_an_interval_counts_from_the_start_of_a_probe_and_a_slow_one_is_not_overtaken() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            await stage.done(registration(http(10)))
            stage.asked.takes_s = 4
            await stage.wait(35)
            assert [round(second) for second in stage.asked.seconds()] in ([0, 10, 20], [0, 10, 20, 30])
            stage.asked.takes_s = 25
            await stage.wait(100)
            assert stage.asked.most == 1

    played(play)


def test_no_more_probes_run_at_once_than_may_and_none_is_forgotten() -> None:
    async def play(clock: VirtualClock) -> None:
        settings = RegistrySettings(member="m1", probes_parallel_max_count=3)
        async with on_stage(clock, settings=settings) as stage:
            stage.asked.takes_s = 1
            for number in range(30):
                await stage.done(registration(http(5), instance=f"i{number}", check=f"c{number}", nonce=f"r{number}", status=C))
            await stage.wait(12)
            assert stage.asked.most == 3
            assert {stage.status(f"c{number}") for number in range(30)} == {P}

    played(play)


def test_thresholds_initial_status_and_output_limit_are_those_of_the_check() -> None:
    async def play(clock: VirtualClock) -> None:
        thresholds = Thresholds(success_before_passing=2, failures_before_critical=3)
        definition = HttpCheck("http://10.0.0.1/", SECOND, thresholds=thresholds, output_max_bytes=10)
        async with on_stage(clock) as stage:
            await stage.done(registration(definition, status=W, output="nobody asked yet"))
            assert (stage.status(), stage.check().output) == (W, "nobody asked yet")  # type: ignore[union-attr]  # it is there
            results = [P, C, P, P, C, C, P, C, C, C, C]
            stage.asked.answer = lambda _: ProbeResult(results.pop(0) if results else C, "x" * 50)
            await stage.wait(12.5)
            assert [status for _, _, status in stage.turns] == [W, P, C]
            assert stage.check().output == "x" * 10 + " ... (captured 10 of 50 bytes)"  # type: ignore[union-attr]  # it is there
            assert stage.registry.stats.turns == 2

    played(play)


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), ZeroDivisionError("a bug")])
def test_a_probe_that_fails_within_this_server_does_not_end_the_probes(error: Exception) -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            await stage.done(registration(http(1), status=P))

            def fail(_: object) -> ProbeResult:
                raise error

            stage.asked.answer = fail
            await stage.wait(3)
            asked = len(stage.asked.when)
            assert asked >= 2
            assert stage.status() is (P if isinstance(error, OSError) else C), "lack of files here is no evidence about the service"
            stage.asked.answer = lambda _: ProbeResult(P, "well")
            await stage.wait(2)
            assert len(stage.asked.when) > asked
            assert stage.status() is P

    played(play)


def test_probes_that_cannot_be_made_fill_no_log(caplog: pytest.LogCaptureFixture) -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:

            def fail(_: object) -> ProbeResult:
                raise OSError(24, "Too many open files")

            stage.asked.answer = fail
            for number in range(20):
                await stage.done(registration(http(1), instance=f"a{number}", check=f"c{number}", status=P))
            await stage.wait(35)
            assert len(stage.asked.when) > 600

    played(play)
    said = [record.getMessage() for record in caplog.records if "could not be made" in record.getMessage()]
    assert len(said) == 4
    assert "(200 such since this was last said)" in said[-1]


def test_a_result_of_an_earlier_incarnation_counts_for_nothing() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            stage.asked.takes_s = 3
            stage.asked.answer = lambda definition: ProbeResult(C if definition.interval == 10 * SECOND else P, "")
            await stage.done(registration(http(10), status=P))
            while not stage.asked.when:
                await stage.wait(0.5)
            await stage.done(registration(http(60), nonce="r2"))
            await stage.wait(5)
            assert stage.status() is P
            await stage.done(cmd.DeregisterInstance(cmd.Target("n1", "a")))
            await stage.wait(5)
            assert stage.status() is None

    played(play)


def test_detection_by_probe_takes_at_most_interval_and_timeout() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            await stage.done(registration(http(5)))
            await stage.wait(7.3)
            dies = stage.elapsed_s
            stage.asked.takes_s = 2
            stage.asked.answer = lambda _: ProbeResult(C, "timeout")
            await stage.wait(8)
            assert stage.turns[-1][0] - dies <= 5 + 2 + 0.02

    played(play)


# -- the driver


def test_the_driver_comes_only_when_there_is_something_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = []
    real = Ticker._tick  # noqa: SLF001  # the driver's own turn is what is counted

    def counted(ticker: Ticker, *, gave_way: bool = False) -> None:
        ticks.append(1)
        real(ticker, gave_way=gave_way)

    monkeypatch.setattr(Ticker, "_tick", counted)

    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            for number in range(20):
                await stage.done(registration(ttl(7), instance=f"t{number}", check=f"t{number}", nonce=f"t{number}"))
                await stage.done(registration(http(10, 3600), instance=f"h{number}", check=f"h{number}", nonce=f"h{number}"))
            ticks.clear()
            await stage.wait(100)
            # 2 a second for noticing pauses; each probe, each deadline and each turn may bring two more.
            assert len(ticks) <= 200 + 2 * (20 * 10 + 20 + 20)

    played(play)


def test_a_deadline_is_noticed_within_one_tick_of_the_wheel_by_an_idle_driver() -> None:
    assert TICK <= 20_000_000


async def _flood(stage: Stage, count: int) -> None:
    for number in range(count):
        await stage.done(registration(ttl(1), instance=f"i{number}", check=f"c{number}", nonce=f"r{number}"))


def test_many_that_run_out_at_once_share_groups() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock, liveness=LivenessSettings(preservation_share=1.0)) as stage:
            await _flood(stage, 300)
            before = stage.registry.stats.groups
            await stage.wait(1.5)
            assert {stage.status(f"c{number}") for number in range(300)} == {C}
            assert stage.registry.stats.groups - before <= 10

    played(play)
