"""One browser for one story, with everything noted that a page must not do: errors, requests to others, breaches of its own policy."""

import contextlib
import json
import re
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

PATIENCE_MS = 60_000
ARGUMENTS = [
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
TTL_MS = 86_400_000
NOTE_BREACHES = """document.addEventListener('securitypolicyviolation', (breach) =>
  console.error(`policy breached: ${breach.violatedDirective} ${breach.blockedURI}`));"""
expect.set_options(timeout=PATIENCE_MS)


class Stage:
    """What a story has: a browser, the server's API past the link, and the one who started the server."""

    def __init__(self, browser: Browser, url: str, axe: Path) -> None:
        self.browser = browser
        self.url = url
        self.direct = str(self.control("direct"))
        self.axe = axe
        self.complaints: list[str] = []
        self.link_breaks = False
        """The story cuts the link, so failed requests are no complaint."""
        self.figures: dict[str, object] = {}

    # -- pages

    def page(self, path: str = "/ui", *, width: int = 1440, height: int = 900, **options: Any) -> Page:
        """A page in a context of its own, opened and watched."""
        context = self.browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(PATIENCE_MS)
        context.on("request", self._requested)
        page = context.new_page()
        page.add_init_script(NOTE_BREACHES)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.goto(self.url + path)
        return page

    def _requested(self, request: Request) -> None:
        if not request.url.startswith(self.url + "/"):
            self.complaints.append(f"asks others: {request.url}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"} or (self.link_breaks and "Failed to load resource" in message.text):
            return
        self.complaints.append(f"console: {message.text}")

    # -- the server

    @staticmethod
    def control(order: str) -> object:
        """Ask whoever started the server to do something to it."""
        sys.stdout.write(json.dumps({"control": order}) + "\n")
        sys.stdout.flush()
        return json.loads(sys.stdin.readline())

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """The native API."""
        data = json.dumps(body).encode() if body is not None else None
        with urllib.request.urlopen(urllib.request.Request(f"{self.direct}/api/v1{path}", data, method=method), timeout=60) as answer:
            return json.loads(answer.read())

    def metric(self, name: str) -> float:
        """What the server counts."""
        with urllib.request.urlopen(f"{self.direct}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return float(next(line for line in lines if line.startswith(f"callboard_{name} ")).partition(" ")[2])

    def register(self, service: str, instance: str = "", status: str = "passing", output: str = "", **fields: object) -> None:
        """Sign an instance in, with a check that has this status."""
        check = {"id": f"check:{instance or service}", "name": "alive", "ttl_ms": TTL_MS, "status": status, "output": output}
        self.ask("PUT", "/instances", {"service": service, "id": instance or service, "port": 8080, "checks": [check], **fields})

    def beat(self, instance: str, status: str, output: str) -> None:
        """What its check says from now on."""
        self.ask("PUT", f"/heartbeat/{quote(instance, safe='')}", {"status": status, "output": output})

    def remove(self, instance: str) -> None:
        """Sign it out."""
        self.ask("DELETE", f"/instances/{quote(instance, safe='')}")


def live(page: Page) -> None:
    """Wait until the page knows everything and is told of changes."""
    expect(page.locator(".link")).to_have_text("live")


def rows(page: Page) -> list[str]:
    """Names in the list, as they are made now."""
    found: list[str] = page.locator(".c-name a").all_inner_texts()
    return found


def address(page: Page) -> str:
    """Where the page is now: what Playwright remembers may be older."""
    return str(page.evaluate("location.href"))


def until(condition: Callable[[], bool], what: str) -> None:
    """Poll."""
    end = time.monotonic() + PATIENCE_MS / 1000
    while not condition():
        assert time.monotonic() < end, f"not so: {what}"
        time.sleep(0.05)


def no_sideways(page: Page) -> None:
    """Nothing is wider than the window."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{page.url} is {wide} px wider than its window"


def judged(page: Page, axe: Path) -> list[str]:
    """What axe-core has against the page."""
    page.evaluate(axe.read_text("utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{page.url} {each['id']}: {each['help']}: {re.sub(r'[ ]+', ' ', node['html'])[:200]} {node.get('failureSummary', '')[:300]}"
        for each in found["violations"]
        for node in each["nodes"][:3]
    ]


@contextlib.contextmanager
def stage(url: str, chromium: str, axe: Path) -> Iterator[Stage]:
    """A fresh browser with a fresh profile."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        try:
            yield Stage(browser, url, axe)
        finally:
            browser.close()
