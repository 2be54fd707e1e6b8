"""Several processes behind one port are one instance, whoever of them comes, goes or is killed."""

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from callboard.model.check import Status
from callboard.model.instance import Phase
from tests.client.workers import Host, WorkerProcess, host
from tests.servers import ServerProcess
from tests.support import Stopwatch, poll_until

QUICK_LEASE_S = 1.5


@pytest.fixture
def there(server: ServerProcess, space: str, tmp_path: Path) -> Iterator[Host]:
    with host(server.url, space, tmp_path) as processes:
        yield processes


def test_many_processes_are_one_instance_kept_by_one(there: Host) -> None:
    workers = there.start_all(4)
    assert sorted(worker.state for worker in workers) == ["registered", "waiting", "waiting", "waiting"]
    (instance,) = there.instances()
    assert (instance.id, instance.status) == ("orders-127.0.0.1-8000", Status.PASSING)


def test_a_killed_owner_is_replaced_before_anybody_notices(there: Host) -> None:
    there.start_all(3)
    (before,) = there.instances()
    there.owner().kill()

    def replaced() -> bool:
        (instance,) = there.instances()
        assert instance.status is Status.PASSING
        return any(worker.state == "registered" for worker in there.workers if worker.popen.poll() is None)

    poll_until(replaced)
    for _ in range(50):
        (instance,) = there.instances()
        assert (instance.id, instance.created, instance.status) == (before.id, before.created, Status.PASSING)


def test_a_stopped_owner_costs_no_lease_while_others_are_well(there: Host) -> None:
    workers = there.start_all(3)
    owner = there.owner()
    (before,) = there.instances()
    there.client.drain(before.id, node=before.node, namespace=there.space)
    owner.send(signal.SIGSTOP)
    stopped = time.monotonic()
    while time.monotonic() - stopped < 2.5 * QUICK_LEASE_S:
        (instance,) = there.instances()
        assert (instance.id, instance.created, instance.status) == (before.id, before.created, Status.PASSING)
        assert instance.phase is Phase.DRAINING, "what people hid stays hidden"
    owner.send(signal.SIGCONT)
    one, other = (worker for worker in workers if worker is not owner)
    assert (one.end(), other.end()) == (0, 0)
    assert [instance.id for instance in there.instances()] == [before.id]
    owner.end()
    assert there.instances() == ()


def test_an_owner_that_is_killed_while_others_stand_in_is_signed_out_by_the_last(there: Host) -> None:
    first, second = there.start_all(2)
    owner, other = (first, second) if first.state == "registered" else (second, first)
    owner.send(signal.SIGSTOP)
    time.sleep(1.5 * QUICK_LEASE_S)
    owner.kill()
    poll_until(lambda: other.state == "registered")
    (instance,) = there.instances()
    assert instance.status is Status.PASSING
    other.end()
    assert there.instances() == ()


def test_an_owner_that_leaves_while_others_go_on_hands_over(there: Host) -> None:
    there.start_all(3)
    (before,) = there.instances()
    for left in (2, 1):
        owner = there.owner()
        assert owner.end() == 0
        assert owner.states[-1] == "ended"
        poll_until(lambda: [worker.state for worker in there.workers].count("registered") == 1)
        (instance,) = there.instances()
        assert instance.created == before.created, "it was never signed out"
        assert sum(worker.popen.poll() is None for worker in there.workers) == left
    there.owner().end()
    assert there.instances() == ()


def test_all_that_leave_at_once_sign_it_out_once(there: Host) -> None:
    workers = there.start_all(5)
    for worker in workers:
        worker.do("exit")
    assert [worker.wait() for worker in workers] == [0] * 5
    assert there.instances() == ()


def test_a_drain_of_one_of_several_drains_nothing(there: Host) -> None:
    there.start_all(2)
    owner = there.owner()
    owner.do("drain")
    assert owner.value("drained") is True
    assert "draining" not in owner.states
    poll_until(lambda: [worker.state for worker in there.workers].count("registered") == 1)
    (instance,) = there.instances()
    assert instance.phase is Phase.SERVING


def test_of_several_that_drain_at_once_the_last_one_drains(there: Host) -> None:
    workers = there.start_all(4)
    with there.watched() as phases:
        for worker in workers:
            worker.do("drain")
        assert [worker.value("drained") for worker in workers] == [True] * 4
        poll_until(lambda: phases[-1] is None)
    assert phases == [Phase.SERVING, Phase.DRAINING, None]
    assert sum("draining" in worker.states for worker in workers) == 1
    assert there.instances() == ()


def test_who_comes_while_the_last_one_drains_goes_on_with_the_instance(server: ServerProcess, space: str, tmp_path: Path) -> None:
    with host(server.url, space, tmp_path, {"takeover_ms": 50, "drain_notice_ms": 4_000}) as there:
        (old,) = there.start_all(1)
        (before,) = there.instances()
        new = there.start("--later")
        assert new.value("there")
        old.do("drain")
        poll_until(lambda: there.instances()[0].phase is Phase.DRAINING)
        new.do("come")
        poll_until(lambda: new.state == "registered")
        (instance,) = there.instances()
        assert (instance.phase, instance.created) == (Phase.SERVING, before.created)


def test_who_takes_over_from_one_that_was_killed_while_it_drained_is_not_hidden(server: ServerProcess, space: str, tmp_path: Path) -> None:
    with host(server.url, space, tmp_path, {"takeover_ms": 50, "drain_notice_ms": 60_000}) as there:
        (old,) = there.start_all(1)
        old.do("drain")
        poll_until(lambda: there.instances()[0].phase is Phase.DRAINING)
        new = there.start()
        poll_until(lambda: new.state == "waiting")
        old.kill()
        poll_until(lambda: new.state == "registered")
        assert there.instances()[0].phase is Phase.SERVING


def test_what_people_hid_stays_hidden_when_it_changes_hands(there: Host) -> None:
    there.start_all(2)
    (instance,) = there.instances()
    there.client.drain(instance.id, node=instance.node, namespace=there.space)
    there.owner().kill()
    poll_until(lambda: any(worker.state == "registered" and worker.popen.poll() is None for worker in there.workers))
    assert there.instances()[0].phase is Phase.DRAINING


def test_a_forked_child_of_a_killed_owner_keeps_nobody_waiting(there: Host) -> None:
    (owner,) = there.start_all(1)
    other = there.start()
    poll_until(lambda: other.state == "waiting")
    owner.do("fork")
    child = owner.value("child")
    owner.popen.kill()
    with Stopwatch() as watch:
        poll_until(lambda: other.state == "registered")
    assert watch.seconds < 5, "the child sleeps for longer"
    os.kill(child, signal.SIGKILL)
    assert len(there.instances()) == 1


def test_a_worker_that_was_told_its_status_says_it_when_it_takes_over(there: Host) -> None:
    there.start_all(2)
    for worker in there.workers:
        worker.do("status warning")
    poll_until(lambda: there.instances()[0].status is Status.WARNING)
    there.owner().kill()
    poll_until(lambda: any(worker.state == "registered" and worker.popen.poll() is None for worker in there.workers))
    assert there.instances()[0].status is Status.WARNING


@pytest.mark.parametrize("seed", [1, 2])
def test_whoever_comes_goes_or_is_killed_it_is_one_instance_and_none_in_the_end(there: Host, seed: int) -> None:
    chance = random.Random(seed)
    living: list[WorkerProcess] = there.start_all(2)
    gone: list[WorkerProcess] = []
    for _ in range(14):
        if len(living) < 2 or (len(living) < 8 and chance.random() < 0.5):
            living.append(there.start())
        else:
            worker = living.pop(chance.randrange(len(living)))
            gone.append(worker)
            poll_until(lambda: any(other.state in {"registered", "waiting"} for other in living))
            if chance.random() < 0.5:
                worker.popen.kill()
            else:
                worker.do("exit")
        assert len(there.instances()) == 1
        time.sleep(chance.random() * 0.1)
    poll_until(lambda: all(worker.state in {"registered", "waiting"} for worker in living))
    poll_until(lambda: [worker.state for worker in living].count("registered") == 1)
    (instance,) = there.instances()
    assert (instance.status, instance.phase) == (Status.PASSING, Phase.SERVING)
    for worker in living:
        worker.do("exit")
    for worker in [*living, *gone]:
        worker.wait()
    assert there.instances() == ()
