"""How quick the page is with 2,000 services of 10 instances each, and whether it is right after thousands of changes."""

import http.client
import json
import random
import statistics
import time
from urllib.parse import urlsplit

from playwright.sync_api import Page

from tests.interop.clients.ui.browser import Stage, live, until

SERVICES_COUNT = 2_000
INSTANCES_COUNT = 10
NODES_COUNT = 400
CHANGES_PER_S = 200
SHORT_S = 10
LONG_S = 60
LOADS_COUNT = 5
SEED = 7
SEARCHES = ("service-1999", "host-042", "10.1.7.", "blue 7", "nobody", "service-10 host-1")

FIRST_PAINT = """() => new Promise((done) => {
  const look = () => document.querySelector('.row .numbers') ? done(performance.now()) : requestAnimationFrame(look);
  look();
})"""
SEARCH = """(text) => new Promise((done) => {
  const field = document.getElementById('search');
  const began = performance.now();
  field.value = text;
  field.dispatchEvent(new Event('input', { bubbles: true }));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
})"""
KNOWN = """async () => {
  const { store } = await import(document.querySelector('script[type=module]').src.replace('app.js', 'store.js'));
  const of = (held) => [...held.instances.values()].map((each) => [each.id, each.status, each.checks.at(-1).output].join(' '));
  return [...store.catalog.shown.services.values()].flatMap(of).sort();
}"""
LONG_TASKS = """() => {
  window.longTasks = [];
  new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((each) => each.duration))).observe({ type: 'longtask' });
}"""


def large_catalog(at: Stage) -> None:
    """What a large catalog costs: first paint, complete picture, search, memory, and a storm of changes."""
    play(at, SHORT_S)


def long_storm(at: Stage) -> None:
    """The same with a minute of changes."""
    play(at, LONG_S)


def play(at: Stage, storm_s: int) -> None:
    """Fill, load, search, change, compare."""
    fleet = Fleet(at)
    fleet.fill()
    page = loads(at)
    searches = [page.evaluate(SEARCH, text) for text in (*SEARCHES, "")]
    page.evaluate(LONG_TASKS)
    rate = fleet.storm(storm_s)
    settled = time.monotonic()
    until(lambda: shown(page) == fleet.told(), "the page counts as the server does")
    settled_s = time.monotonic() - settled
    until(lambda: page.evaluate(KNOWN) == fleet.known(), "the page knows every instance as the server does")
    at.figures.update(
        services=SERVICES_COUNT, instances=SERVICES_COUNT * INSTANCES_COUNT, search_ms=[round(each, 1) for each in searches],
        search_max_ms=round(max(searches), 1), storm_s=storm_s, changes_per_s=round(rate), settled_s=round(settled_s, 2),
        longest_task_in_storm_ms=page.evaluate("Math.round(Math.max(0, ...window.longTasks))"),
        heap_mb=page.evaluate("Math.round(performance.memory.usedJSHeapSize / 1e6)"),
    )  # fmt: skip


def loads(at: Stage) -> Page:
    """Load it several times, each in a fresh context; answers the last page."""
    paints, completes, page = [], [], None
    for _ in range(LOADS_COUNT):
        if page is not None:
            page.context.close()
        page = at.page()
        paints.append(page.evaluate(FIRST_PAINT))
        live(page)
        completes.append(page.evaluate("performance.now()"))
    assert page is not None
    at.figures.update(
        first_useful_paint_ms=[round(each) for each in paints], first_useful_paint_median_ms=round(statistics.median(paints)),
        complete_median_ms=round(statistics.median(completes)),
    )  # fmt: skip
    return page


def shown(page: Page) -> dict[str, int]:
    """How many services the page counts in each state."""
    return {
        name.split()[0]: int(name.split()[1].replace(",", ""))
        for name in page.locator(".filter").all_inner_texts()
        if name.split()[0] in {"critical", "warning", "passing"}
    }


class Fleet:
    """2,000 services, whose instances are told by heartbeats how they are."""

    def __init__(self, at: Stage) -> None:
        self._at = at
        there = urlsplit(at.direct)
        self._connection = http.client.HTTPConnection(there.hostname or "", there.port, timeout=60)
        self._chance = random.Random(SEED)

    def _ask(self, method: str, path: str, body: object) -> None:
        self._connection.request(method, "/api/v1" + path, json.dumps(body))
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text

    def fill(self) -> None:
        """Register everybody, through one connection."""
        for service in range(SERVICES_COUNT):
            for number in range(INSTANCES_COUNT):
                self._ask("PUT", "/instances", _instance(service, number))

    def storm(self, seconds: int) -> float:
        """So many turns a second for so long; answers how many came about."""
        began, done = time.monotonic(), 0
        while (now := time.monotonic() - began) < seconds:
            if done >= now * CHANGES_PER_S:
                time.sleep(0.002)
                continue
            status = self._chance.choice(("passing", "warning", "critical"))
            service, number = self._chance.randrange(SERVICES_COUNT), self._chance.randrange(INSTANCES_COUNT)
            path = f"/heartbeat/{name(service, number)}?node={_node(service, number)}"
            self._ask("PUT", path, {"status": status, "output": f"turn {done}"})
            done += 1
        return done / (time.monotonic() - began)

    def known(self) -> list[str]:
        """Every instance, with its status and what its check said last, as the server knows it."""
        services = (self._at.ask("GET", f"/services/service-{service}")["instances"] for service in range(SERVICES_COUNT))
        return sorted(f"{each['id']} {each['status']} {each['checks'][-1]['output']}" for found in services for each in found)

    def told(self) -> dict[str, int]:
        """How many services the server counts in each state."""
        found = self._at.ask("GET", "/services")["services"]
        return {state: sum(each[state] > 0 for each in found) for state in ("critical", "warning", "passing")}


def _instance(service: int, number: int) -> dict[str, object]:
    status = "passing" if service % 50 or number else "critical"
    return {
        "service": f"service-{service}", "id": name(service, number), "node": _node(service, number), "port": 8000 + number,
        "address": f"10.{number}.{service % 250}.{service // 250 + 1}", "tags": ["blue", f"v{service % 9}"],
        "meta": {"version": f"1.{service % 7}.{number}", "zone": f"z{number % 3}"},
        "checks": [{"ttl_ms": 86_400_000, "status": status, "output": "HTTP GET: 200 OK"}],
    }  # fmt: skip


def _node(service: int, number: int) -> str:
    return f"host-{(service * 7 + number) % NODES_COUNT:03d}"


def name(service: int, number: int) -> str:
    """An instance id."""
    return f"i-{service}-{number}"


FIGURES = (large_catalog, long_storm)
