"""How a feed asks, and what it makes of answers that no healthy server gives."""

import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from callboard.client.consul.feed import SERVICES_MAX_COUNT, ConsulFeed
from callboard.client.errors import DeniedError, InvalidRequestError, ProtocolError, UnavailableError, UnreachableError
from callboard.client.settings import ClientSettings
from callboard.client.watch import WatchLostError
from callboard.model.errors import InvalidError
from tests.client.consul.collecting import Collected
from tests.client.consul.scripted import Scripted, Step, scripted
from tests.servers import free_port
from tests.support import Stopwatch, poll_until

HANG = Step(hang=True)


@pytest.fixture(autouse=True)
def _good_luck(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failure chance has it that little time is waited."""
    monkeypatch.setattr("callboard.client.consul.querying.random", SimpleNamespace(random=lambda: 0.02))


def feed_of(script: Scripted, collected: Collected, *services: str, silence_max_ms: int = 40_000, token: str = "") -> ConsulFeed:
    settings = ClientSettings(urls=(script.url,), silence_max_ms=silence_max_ms, token=token)
    return ConsulFeed(settings, "", services or ("web",), collected.lost.append)


def test_it_asks_without_an_index_first_and_then_with_the_last_one() -> None:
    with scripted(Step(5, ("a",)), Step(7, ("a", "b")), HANG) as script, Collected() as seen:
        seen.read(feed_of(script, seen, token="secret"))
        poll_until(lambda: len(script.asked) == 3)
        assert script.indexes() == ["", "5", "7"]
        poll_until(lambda: seen.told() == ["added a", "ready", "added b"])
        assert {asked.token for asked in script.asked} == {"secret"}
        assert {asked.connection for asked in script.asked} == {script.asked[0].connection}
        assert all(asked.path == "/v1/health/service/web" and "stale" in asked.query for asked in script.asked)
        assert "wait" not in script.asked[0].query
        assert seen.lost == []


def test_an_index_that_goes_back_is_forgotten_and_what_is_missing_then_is_doubted() -> None:
    with scripted(Step(50, ("a", "b")), Step(3, ("a",)), Step(3, ("a",)), HANG) as script, Collected() as seen:
        seen.read(feed_of(script, seen))
        poll_until(lambda: len(script.asked) == 4)
        assert script.indexes() == ["", "50", "", "3"]
        poll_until(lambda: seen.told() == ["added a", "added b", "ready", "removed b", "ready", "ready"])
        assert [change.inferred for change in seen.changes if change.kind == "removed"] == [True]
        assert seen.lost == []


def test_what_is_missing_from_the_next_answer_of_the_same_history_is_gone() -> None:
    with scripted(Step(5, ("a", "b")), Step(6, ("b",)), HANG) as script, Collected() as seen:
        seen.read(feed_of(script, seen))
        seen.until("removed a")
        assert [change.inferred for change in seen.changes if change.kind == "removed"] == [False]
        assert seen.told()[-1] == "removed a"


def test_an_index_of_zero_counts_as_one() -> None:
    with scripted(Step(0, ("a",)), HANG) as script, Collected() as seen:
        seen.read(feed_of(script, seen))
        poll_until(lambda: len(script.asked) == 2)
        assert script.indexes() == ["", "1"]


def test_an_answer_with_the_same_index_tells_nothing() -> None:
    with scripted(Step(5, ("a",)), Step(5, ("a",)), Step(5, ("a",)), HANG) as script, Collected() as seen:
        seen.read(feed_of(script, seen))
        poll_until(lambda: len(script.asked) == 4)
        assert script.indexes() == ["", "5", "5", "5"]
        poll_until(lambda: seen.told() == ["added a", "ready"])


def test_an_index_that_runs_is_not_run_after() -> None:
    with scripted(*(Step(index, ("a",)) for index in range(1, 1000))) as script, Collected() as seen:
        seen.read(feed_of(script, seen))
        poll_until(lambda: len(script.asked) >= 5)
        started, asked = time.monotonic(), len(script.asked)
        poll_until(lambda: len(script.asked) >= asked + 4)
        assert time.monotonic() - started > 0.7


@pytest.mark.parametrize(
    ("step", "kind", "said"),
    [
        (Step(None, status=500, text="No cluster leader"), UnavailableError, "No cluster leader"),
        (Step(None, status=429, text="Your IP is issuing too many concurrent connections"), UnavailableError, "too many concurrent"),
        (Step(None, status=403, text="ACL not found"), DeniedError, "ACL not found"),
        (Step(None, status=400, text="Missing service name"), InvalidRequestError, "Missing service name"),
        (Step(None, status=404, text="<html>nginx</html>"), ProtocolError, "no such path"),
        (Step(None, text="[]"), ProtocolError, "X-Consul-Index"),
        (Step(4, text='{"not":"a list"}'), ProtocolError, "array"),
        (Step(4, text="[{]"), ProtocolError, "JSON"),
        (Step(4, ("a", "b"), cut=True), WatchLostError, "broke off"),
    ],
)
def test_a_failure_is_told_and_the_picture_asked_for_anew(step: Step, kind: type[Exception], said: str) -> None:
    with scripted(Step(5, ("a",)), step, Step(6, ("a",)), HANG) as script, Collected() as seen:
        seen.read(feed_of(script, seen))
        poll_until(lambda: len(script.asked) == 4)
        assert script.indexes() == ["", "5", "", "6"]
        poll_until(lambda: seen.told() == ["added a", "ready", "ready"])
        poll_until(lambda: [type(error) for error in seen.lost] == [kind])
        assert said in str(seen.lost[0])


def test_a_server_is_given_the_time_it_asks_for() -> None:
    steps = (Step(None, status=503, text="later", headers={"Retry-After": "1"}), Step(5, ("a",)), HANG)
    with scripted(*steps) as script, Collected() as seen:
        started = time.monotonic()
        seen.read(feed_of(script, seen))
        seen.until("ready")
        assert time.monotonic() - started >= 1


def test_silence_is_taken_for_death() -> None:
    with scripted(Step(5, ("a",)), HANG, Step(6, ("a",)), HANG) as script, Collected() as seen:
        seen.read(feed_of(script, seen, silence_max_ms=400))
        poll_until(lambda: len(script.asked) >= 4)
        assert script.indexes()[:4] == ["", "5", "", "6"]
        lost = poll_until(lambda: list(seen.lost))[0]
        assert isinstance(lost, WatchLostError)
        assert 0.3 <= lost.silent_s < 30
        assert int(script.asked[1].query["wait"][0].removesuffix("ms")) < 400


def test_a_server_that_closes_after_each_answer_is_still_asked_with_an_index() -> None:
    with scripted(Step(5, ("a",), close=True), Step(6, ("a", "b"), close=True), HANG) as script, Collected() as seen:
        seen.read(feed_of(script, seen))
        poll_until(lambda: len(script.asked) == 3)
        assert script.indexes() == ["", "5", "6"]
        assert seen.lost == []


def test_who_may_not_see_everything_any_more_is_doubted() -> None:
    filtered = {"X-Consul-Results-Filtered-By-ACLs": "true"}
    with scripted(Step(5, ("a", "b")), Step(6, ("b",), headers=filtered), HANG) as script, Collected() as seen:
        seen.read(feed_of(script, seen))
        seen.until("removed a")
        poll_until(lambda: seen.told()[-1] == "ready")
        assert [change.inferred for change in seen.changes if change.kind == "removed"] == [True]


@pytest.mark.parametrize("hidden", [False, True])
def test_that_nobody_is_left_is_asked_twice_for_a_wait_does_not_say_what_is_hidden(hidden: bool) -> None:
    confirmed = Step(6, (), headers={"X-Consul-Results-Filtered-By-ACLs": "true"} if hidden else {})
    with scripted(Step(5, ("a", "b")), Step(6), confirmed, HANG) as script, Collected() as seen:
        seen.read(feed_of(script, seen))
        seen.until("removed a", "removed b")
        poll_until(lambda: len(script.asked) == 4)
        assert script.indexes() == ["", "5", "", "6"]
        poll_until(lambda: seen.told()[3:] == ["removed a", "removed b"] + ["ready"] * hidden)
        assert [change.inferred for change in seen.changes if change.kind == "removed"] == [hidden, hidden]


def test_another_server_takes_over() -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    with scripted(Step(None, status=500, text="No cluster leader")) as ill, scripted(Step(5, ("a",)), HANG) as well, Collected() as seen:
        settings = ClientSettings(urls=(gone, ill.url, well.url))
        seen.read(ConsulFeed(settings, "", ("web",), seen.lost.append))
        seen.until("added a", "ready")


def test_nobody_there_is_told_with_every_reason() -> None:
    urls = tuple(f"http://127.0.0.1:{free_port()}" for _ in range(2))
    with Collected() as seen:
        seen.read(ConsulFeed(ClientSettings(urls=urls), "", ("web",), seen.lost.append))
        poll_until(lambda: seen.lost)
        assert isinstance(seen.lost[0], UnreachableError)
        assert set(seen.lost[0].reasons) == set(urls)


def test_one_service_that_is_refused_does_not_disturb_the_others() -> None:
    with scripted(Step(5, ("a",))) as script, Collected() as seen:
        script.steps = [Step(5, ("a",))]
        refused = {"/v1/health/service/bad"}
        plain = script.next
        script.next = lambda asked: (  # type: ignore[method-assign]
            Step(None, status=400, text="bad name") if asked.path in refused else plain(asked)
        )
        seen.read(feed_of(script, seen, "web", "bad"))
        poll_until(lambda: len([each for each in seen.lost if isinstance(each, InvalidRequestError)]) >= 2)
        before = len(seen.changes)
        poll_until(lambda: "ready" in seen.told(before))
        assert all(change.services == ("web",) for change in seen.changes if change.kind == "ready")
        refused.clear()
        poll_until(lambda: any("bad" in change.services for change in seen.changes))


def test_when_all_are_back_it_says_that_all_are() -> None:
    with scripted(Step(5)) as script, Collected() as seen:
        down = [False]
        script.next = lambda asked: (  # type: ignore[method-assign]
            Step(None, status=500, text="no") if down[0] else Step(5) if not asked.index else Step(6, hang=True)
        )
        seen.read(feed_of(script, seen, "a", "b", silence_max_ms=300))
        poll_until(lambda: {change.services for change in seen.changes} >= {("a",), ("b",)})
        down[0] = True
        poll_until(lambda: any(isinstance(error, UnavailableError) for error in seen.lost))
        before = len(seen.changes)
        down[0] = False
        poll_until(lambda: any(set(change.services) == {"a", "b"} for change in seen.changes[before:]))


def test_a_restart_in_the_middle_of_a_wait_asks_at_once_and_tells_no_failure() -> None:
    with scripted(Step(5, ("a",)), HANG, Step(5, ("b",)), HANG) as script, Collected() as seen:
        feed = feed_of(script, seen)
        seen.read(feed)
        poll_until(lambda: len(script.asked) == 2)
        feed.restart()
        poll_until(lambda: len(script.asked) == 4)
        assert script.indexes() == ["", "5", "", "5"]
        poll_until(lambda: seen.told() == ["added a", "ready", "removed a", "added b", "ready"])
        assert [change.inferred for change in seen.changes if change.kind == "removed"] == [True]
        assert [change.more for change in seen.changes] == [True, False, True, True, False]
        assert seen.lost == []


def test_a_close_ends_a_wait_for_the_next_try_at_once() -> None:
    with scripted(Step(None, status=503, text="later", headers={"Retry-After": "60"})) as script, Collected() as seen:
        feed = feed_of(script, seen)
        seen.read(feed)
        poll_until(lambda: seen.lost)
        with Stopwatch() as watch:
            feed.close()
            seen.thread.join(60)
        assert watch.seconds < 2


def test_what_was_not_told_when_the_reader_stopped_is_told_when_it_goes_on() -> None:
    with scripted(Step(5, ("a", "b", "c")), HANG) as script:
        feed = feed_of(script, Collected())
        try:
            assert next(iter(feed)).kind == "added"
            rest = iter(feed)
            assert [next(rest).kind for _ in range(3)] == ["added", "added", "ready"]
        finally:
            feed.close()
        assert list(feed) == []


def test_nothing_is_asked_before_somebody_reads() -> None:
    with scripted(Step(5)) as script:
        feed = feed_of(script, Collected())
        feed.include("api")
        feed.restart()
        feed.close()
        assert list(feed) == []
        assert script.asked == []


def test_there_are_limits_and_the_error_names_them() -> None:
    settings = ClientSettings()
    with pytest.raises(InvalidError, match="at least one"):
        ConsulFeed(settings, "", ())
    feed = ConsulFeed(settings, "", tuple(f"s{number}" for number in range(SERVICES_MAX_COUNT)))
    with pytest.raises(InvalidError, match=f"at most {SERVICES_MAX_COUNT}"):
        feed.include("one-more")
    feed.include("s0")
    feed.close()


FORKING = """
import os, sys, warnings
warnings.simplefilter("ignore")
from callboard.client.consul.feed import ConsulFeed
from callboard.client.settings import ClientSettings
lost = []
feed = ConsulFeed(ClientSettings(urls=(sys.argv[1],)), "", ("web",), lost.append)
changes = iter(feed)
assert [next(changes).kind for _ in range(2)] == ["added", "ready"]
child = os.fork()
if child == 0:
    feed.close()
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print("the child has closed it", flush=True)
assert next(changes).kind == "added"
"""


def test_a_forked_child_leaves_the_parents_connections_alone() -> None:
    with scripted(Step(5, ("a",)), Step(6, ("a", "b"), wait=True), HANG) as script:
        program = subprocess.Popen([sys.executable, "-c", FORKING, script.url], stdout=subprocess.PIPE, text=True)
        with program:
            assert program.stdout is not None
            assert program.stdout.readline() == "the child has closed it\n"
            script.released.set()
            assert program.wait(timeout=90) == 0
        assert len({asked.connection for asked in script.asked[:2]}) == 1, "the answer came over the connection that the child had closed"
