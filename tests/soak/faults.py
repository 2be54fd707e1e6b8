"""What is done to the fleet while the caller calls, one fault after the other. Each answers the seconds until the caller knew.

A fault is a function of the fleet and a plan. What `known_s` means differs, and is said with each: it is the time users care about.
"""

import contextlib
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from tests.soak.fleet import UP, Fleet, Provider, now


class Plan(NamedTuple):
    """How long and how many."""

    providers: int = 20
    rate: float = 200.0
    outage_s: float = 60.0
    """How long the registry is away, the link is cut, a loop is blocked."""
    calm_s: float = 10.0
    """How long nothing happens, to compare; and after each fault."""
    at_once: int = 1
    """Providers that are replaced at the same time in a rolling restart."""
    lease_s: float = 15.0
    """How long a dead instance may be held for alive: the boards' setting."""


Fault = Callable[[Fleet, Plan], float]
RECOVERED_MAX_S: Final = 90.0


def nothing(fleet: Fleet, plan: Plan) -> float:
    """The calm before."""
    time.sleep(plan.calm_s)
    return 0.0


def registry_killed(fleet: Fleet, plan: Plan) -> float:
    """kill -9, and started again after the outage. Known: from its start until the caller follows it again."""
    fleet.server.kill()
    time.sleep(plan.outage_s)
    fleet.server.start()
    return _until_fresh(fleet)


def registry_paused(fleet: Fleet, plan: Plan) -> float:
    """SIGSTOP, and SIGCONT after the outage. Known: from then until the caller follows it again."""
    fleet.server.pause()
    time.sleep(plan.outage_s)
    fleet.server.resume()
    return _until_fresh(fleet)


def link_cut(fleet: Fleet, plan: Plan) -> float:
    """Nothing passes between the registry and everybody else, connections stay half open. Known: as above."""
    with fleet.server.partition():
        time.sleep(plan.outage_s)
    return _until_fresh(fleet)


def registry_empty(fleet: Fleet, plan: Plan) -> float:
    """Restarted without its data. Known: until every instance is back at the registry, and nothing is held against its word."""
    fleet.server.restart(lose_state=True)
    begin = now()
    fleet.until(lambda: _all_back(fleet), RECOVERED_MAX_S)
    taken = now() - begin
    time.sleep(plan.calm_s)
    return taken


def instance_killed(fleet: Fleet, plan: Plan) -> float:
    """kill -9 of one instance. Known: until the caller hears that it is critical or gone. Another takes its place afterwards."""
    victim = fleet.providers.pop()
    begin = now()
    victim.close()
    fleet.until_not_up(victim, plan.lease_s * 4 + RECOVERED_MAX_S)
    taken = now() - begin
    time.sleep(plan.calm_s)
    _gone(fleet, victim)
    fleet.start(1)
    return taken


def rolling_restart(fleet: Fleet, plan: Plan) -> float:
    """Every instance is replaced: a new one signs in, the old one drains. Known: the longest time until a drain was heard of."""
    longest = 0.0
    old = list(fleet.providers)
    for start in range(0, len(old), plan.at_once):
        leaving = old[start : start + plan.at_once]
        fresh = fleet.start(len(leaving))
        fleet.until_up(fresh, RECOVERED_MAX_S)
        longest = max(longest, _drained(fleet, leaving))
        fleet.providers = [one for one in fleet.providers if one not in leaving]
    return longest


def loop_blocked(fleet: Fleet, plan: Plan) -> float:
    """One provider's event loop stands still for the outage. Known: until the caller hears `warning`. Its lease is kept all the time."""
    victim = fleet.providers[0]
    begin = now()
    mark = len(fleet.told.known)
    with _blocking(victim, plan.outage_s):
        fleet.until(lambda: fleet.told.instances().get(victim.id) == "warning/serving", RECOVERED_MAX_S)
        taken = now() - begin
        time.sleep(max(0.0, begin + plan.outage_s - now()))
    fleet.until_up([victim], RECOVERED_MAX_S)
    lost = [states for _, _, states in fleet.told.known[mark:] if states.get(victim.id) not in {UP, "warning/serving"}]
    assert not lost, f"the lease of a blocked instance was not kept: {lost[0].get(victim.id)}"
    return taken


FAULTS: Final[dict[str, Fault]] = {
    "nothing happens": nothing,
    "registry killed": registry_killed,
    "registry paused": registry_paused,
    "link cut": link_cut,
    "registry restarted empty": registry_empty,
    "one instance killed": instance_killed,
    "rolling restart": rolling_restart,
    "loop blocked": loop_blocked,
}


def _until_fresh(fleet: Fleet) -> float:
    begin = now()
    fleet.until_all_up(RECOVERED_MAX_S)
    fleet.until(lambda: any(at > begin and age == 0 for at, age, _ in fleet.told.ages[-3:]), RECOVERED_MAX_S)
    return now() - begin


def _all_back(fleet: Fleet) -> bool:
    _, held, states = fleet.told.known[-1]
    return held == 0 and states == {provider.id: UP for provider in fleet.providers} and _registered(fleet) == len(fleet.providers)


def _registered(fleet: Fleet) -> int:
    with fleet.server.connect(snapshots="off") as board:
        return len(board.instances("echo").instances)


def _gone(fleet: Fleet, victim: Provider) -> None:
    """Sign out for it who cannot: what an operator does, so that the next fault begins with a clean list."""
    request = urllib.request.Request(f"{fleet.server.url}/v1/agent/service/deregister/{victim.id}", method="PUT")
    urllib.request.urlopen(request, timeout=10).close()
    fleet.until(lambda: victim.id not in fleet.told.instances(), RECOVERED_MAX_S)


def _drained(fleet: Fleet, leaving: list[Provider]) -> float:
    """SIGTERM to these; the longest time until the caller heard of a drain. Answers when they are gone."""
    begin = now()
    for one in leaving:
        one.popen.terminate()
    heard = 0.0
    for one in leaving:
        fleet.until_not_up(one, RECOVERED_MAX_S)
        heard = now() - begin
    for one in leaving:
        one.gone()
    return heard


@contextlib.contextmanager
def _blocking(victim: Provider, seconds: float) -> Iterator[None]:
    """The call that blocks is none of a user; it is answered when the block is over."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", victim.port, timeout=seconds + 30)
    connection.request("GET", f"/block/{seconds}")
    try:
        yield
        connection.getresponse().read()
    finally:
        connection.close()
