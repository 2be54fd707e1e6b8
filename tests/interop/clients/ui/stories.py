"""What people do with the page. Each story is played against a fresh server, in a fresh browser."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.interop.clients.ui.browser import Stage, address, judged, live, no_sideways, rows, until

SHOP = ("orders", "payments", "search")


def shop(at: Stage) -> None:
    """Three services: one is down, one has a warning, one is well."""
    at.register("payments", "payments-1", "critical", "dial tcp 10.0.3.7:5432: connection refused", node="host-1", address="10.0.3.7")
    for number, status in enumerate(("passing", "warning"), 1):
        meta = {"version": "2.1.0", "zone": "eu-1a"}
        at.register("search", f"search-{number}", status, f"said {status}", node=f"host-{number}", tags=["blue"], meta=meta)
    at.register("orders", "orders-1", tags=["green", "v2"], node="host-2")


def the_list_is_worst_first_and_says_why(at: Stage) -> None:
    shop(at)
    page = at.page()
    live(page)
    until(lambda: rows(page) == ["payments", "search", "orders"], "these, in this order")
    first = page.locator(".row").first
    expect(first.locator(".state")).to_have_text("down")
    expect(first.locator(".why")).to_have_text("payments-1: dial tcp 10.0.3.7:5432: connection refused")
    assert "1 warning" in " ".join(page.locator(".row").nth(1).locator(".numbers").inner_text().split())
    page.get_by_role("button", name="by name").click()
    until(lambda: rows(page) == ["orders", "payments", "search"], "by name")
    warning = page.get_by_role("button", name="warning")
    expect(warning).to_have_attribute("title", "services with an instance that is warning; a service with several states counts in each")
    warning.click()
    until(lambda: rows(page) == ["search"], "only what has a warning")
    until(lambda: address(page).endswith("?status=warning&sort=name"), "the address follows")


def search_finds_by_name_tag_instance_node_and_address(at: Stage) -> None:
    shop(at)
    page = at.page()
    live(page)
    for text, found in (("pay", "payments"), ("v2", "orders"), ("search-2", "search"), ("10.0.3.7", "payments"), ("BLUE host-1", "search")):
        page.get_by_role("searchbox").fill(text)
        until(lambda found=found: rows(page) == [found], f"{text} finds {found}")  # type: ignore[misc]
    page.get_by_role("searchbox").fill("nobody")
    expect(page.get_by_role("heading", name="Nothing is found")).to_be_visible()
    page.get_by_role("searchbox").press("Escape")
    until(lambda: len(rows(page)) == 3, "Esc clears the search")


def a_service_page_shows_its_instances(at: Stage) -> None:
    shop(at)
    page = at.page()
    page.get_by_role("link", name="search").click()
    expect(page.get_by_role("heading", name="search", exact=True)).to_be_visible()
    assert page.title() == "search · Callboard"
    row = page.locator(".instance").nth(1)
    for text in ("passing", "search-1", "host-1", "2.1.0", "eu-1a"):
        expect(row.locator(".row")).to_contain_text(text)
    row.get_by_role("button", name="search-1", exact=True).click()
    expect(row.locator(".details")).to_contain_text("said passing")
    expect(row.locator(".details")).to_contain_text("heartbeat, expected within 1 d")
    calls = page.locator(".calling")
    for text in ("/api/v1/resolve/search", "callboard resolve search", 'base_url="svc://search"', "/v1/health/service/search?passing"):
        expect(calls).to_contain_text(text)
    row.get_by_role("link", name="host-1").click()
    expect(page.get_by_role("heading", name="host-1")).to_be_visible()
    expect(page.locator(".instances")).to_contain_text("payments-1")
    page.go_back()
    expect(page.get_by_role("heading", name="search", exact=True)).to_be_visible()


def why_something_is_critical_is_seen_without_a_click(at: Stage) -> None:
    probe = {"http": "http://secret:word@127.0.0.1:1/health?token=x", "interval_ms": 1000, "timeout_ms": 500, "name": "health endpoint"}
    at.ask("PUT", "/instances", {"service": "probed", "port": 1, "checks": [probe]})
    page = at.page("/ui/services/probed")
    check = page.locator(".check")
    for text in ("critical", "health endpoint", "http: GET http://127.0.0.1:1/health?..., every 1 s, waits 500 ms", "critical for"):
        expect(check).to_contain_text(text)
    expect(check.locator(".output")).to_contain_text("refused")
    assert "secret:word" not in page.locator(".check-head").inner_text()


def a_change_is_shown_as_it_happens(at: Stage) -> None:
    shop(at)
    page = at.page()
    live(page)
    at.register("fresh", "fresh-1")
    until(lambda: "fresh" in rows(page), "a new service appears")
    at.beat("orders-1", "critical", "out of paper")
    until(lambda: "orders" in rows(page)[:2], "it goes to the worst")
    expect(page.locator(".row", has_text="orders").locator(".why")).to_have_text("orders-1: out of paper")
    at.ask("PUT", "/drain/search-1")
    expect(page.locator(".row", has_text="search").locator(".numbers")).to_contain_text("draining")


def a_removal_is_shown_as_it_happens(at: Stage) -> None:
    shop(at)
    page = at.page()
    other = at.page("/ui/services/orders")
    live(page)
    expect(other.get_by_role("heading", name="orders", exact=True)).to_be_visible()
    at.remove("orders-1")
    until(lambda: "orders" not in rows(page), "it is gone from the list")
    expect(other.get_by_role("heading", name="No service of this name is registered")).to_be_visible()
    at.register("orders", "orders-2")
    expect(other.get_by_role("heading", name="orders", exact=True)).to_be_visible()


def a_cut_link_is_told_and_what_was_missed_is_caught_up(at: Stage) -> None:
    at.link_breaks = True
    shop(at)
    page = at.page()
    live(page)
    for how in ("cut", "refuse", "stop"):
        at.control(how)
        expect(page.locator(".banner")).to_contain_text("Stale since")
        expect(page.locator(".link")).to_have_text("cut off")
        assert len(rows(page)) >= len(SHOP), "what was known is still shown"
        if how != "stop":
            at.register(f"missed-{how}")
        at.control("heal" if how != "stop" else "start")
        live(page)
        expect(page.locator(".banner")).to_have_count(0)
        if how != "stop":
            until(lambda how=how: f"missed-{how}" in rows(page), "what was missed")  # type: ignore[misc]
    at.direct = str(at.control("direct"))
    at.remove("missed-cut")
    until(lambda: "missed-cut" not in rows(page), "live again after the restart")
    at.control("lose")
    at.direct = str(at.control("direct"))
    at.register("alone")
    until(lambda: rows(page) == ["alone"], "another history replaces the picture")


def an_address_leads_to_what_it_says(at: Stage) -> None:
    shop(at)
    at.register("a/b c?d#é", "odd", "critical", "odd")
    page = at.page("/ui?q=host-1&status=critical,warning&sort=name")
    live(page)
    until(lambda: rows(page) == ["payments", "search"], "these, in this order")
    assert page.get_by_role("searchbox").input_value() == "host-1"
    assert page.get_by_role("button", name="critical").get_attribute("aria-pressed") == "true"
    page.goto(at.url + "/ui")
    page.get_by_role("link", name="a/b c?d#é").click()
    expect(page.get_by_role("heading", name="a/b c?d#é")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="a/b c?d#é")).to_be_visible()
    page.goto(at.url + "/ui/members")
    expect(page.get_by_role("heading", name="This server")).to_be_visible()
    expect(page.locator(".members")).to_contain_text("leader")
    page.goto(at.url + "/ui/services/nobody")
    expect(page.get_by_role("heading", name="No service of this name is registered")).to_be_visible()
    page.goto(at.url + "/ui?namespace=elsewhere")
    expect(page.get_by_role("heading", name="Nobody has signed in yet")).to_be_visible()


def the_keyboard_is_enough(at: Stage) -> None:
    shop(at)
    page = at.page()
    live(page)
    press = page.keyboard.press

    def focused() -> str:
        return str(page.evaluate("document.activeElement.dataset.key ?? document.activeElement.id"))

    press("/")
    assert focused() == "search"
    page.keyboard.type("host")
    until(lambda: len(rows(page)) == 3, "all are found")
    for expected in ("payments", "search", "orders", "orders"):
        press("ArrowDown")
        until(lambda expected=expected: focused() == expected, expected)  # type: ignore[misc]
    press("ArrowUp")
    until(lambda: focused() == "search", "the row of the service search")
    at.beat("orders-1", "critical", "worse")
    until(lambda: rows(page) == ["orders", "payments", "search"], "rows have moved")
    until(lambda: focused() == "search", "the focus stays where it was")
    press("Enter")
    expect(page.get_by_role("heading", name="search", exact=True)).to_be_visible()
    press("Escape")
    until(lambda: "/services/" not in address(page), "Esc goes back")
    press("/")
    page.keyboard.type("pay")
    until(lambda: rows(page) == ["payments"], "found")
    press("Enter")
    expect(page.get_by_role("heading", name="payments", exact=True)).to_be_visible()
    page.goto(at.url + "/ui")
    live(page)
    press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"


def dark_and_light_follow_the_system_and_the_button(at: Stage) -> None:
    shop(at)

    def ground(page: Page) -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    light, dark = (at.page(color_scheme=scheme) for scheme in ("light", "dark"))
    live(light)
    live(dark)
    colours = ground(light), ground(dark)
    assert colours[0] != colours[1]
    button = dark.get_by_role("button", name="Theme")
    button.click()
    until(lambda: ground(dark) == colours[0], "light is chosen")
    dark.reload()
    live(dark)
    assert ground(dark) == colours[0], "the choice is kept"
    dark.get_by_role("button", name="Theme: light").click()
    until(lambda: ground(dark) == colours[1], "dark is chosen")
    for page in (light, dark):
        for path in (
            "/ui",
            "/ui/services/payments",
            "/ui/services/search",
            "/ui/nodes",
            "/ui/nodes/host-1",
            "/ui/members",
            "/ui/services/none",
        ):
            page.goto(at.url + path)
            live(page)
            if "/services/s" in path:
                page.locator(".fold").last.click()
            found = judged_apart(at, page)
            assert found == [], "\n".join(found)


def judged_apart(at: Stage, page: Page) -> list[str]:
    """axe-core is not the page's own script, and so what it does to the policy is no complaint."""
    before = list(at.complaints)
    found = judged(page, at.axe)
    at.complaints[:] = before
    return found


def an_empty_catalog_says_how_to_begin(at: Stage) -> None:
    page = at.page()
    expect(page.get_by_role("heading", name="Nobody has signed in yet")).to_be_visible()
    assert page.locator(".beginning .code").count() == 3
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=at.url)
    page.get_by_role("button", name="copy curl lines").click()
    copied = str(page.evaluate("navigator.clipboard.readText()"))
    assert copied.startswith("curl -X PUT ")
    assert f"{at.url}/api/v1/instances" in copied
    found = judged_apart(at, page)
    assert found == [], "\n".join(found)
    at.control(f"shell {copied}")
    until(lambda: rows(page) == ["web"], "what was copied works, and appears at once")


HOSTILE = (
    "<img src=x onerror=alert(1)>", "<script>alert(1)</script>", "\"'><svg onload=alert(1)>", "javascript:alert(1)", "${alert(1)}{{1+1}}",
    "'; rm -rf ~; '", "..", "__proto__", "constructor", "x" * 255,
)  # fmt: skip


def hostile_names_are_only_text(at: Stage) -> None:
    for number, text in enumerate(HOSTILE):
        at.register(
            text,
            f"{number}{text}"[:255],
            "critical",
            f"\u202e{text}\n{text}",
            tags=[text],
            meta={"version": text, "zone": text},
            node=f"n{text}"[:255],
        )
    page = at.page()
    dialogs: list[Any] = []
    page.on("dialog", lambda dialog: seen(dialogs, dialog))
    live(page)
    until(lambda: set(rows(page)) == set(HOSTILE), "each name is text")
    for text in HOSTILE:
        page.goto(at.url + "/ui")
        live(page)
        page.locator(".c-name a").nth(rows(page).index(text)).click()
        until(lambda text=text: page.locator("h1").text_content() == text, text)  # type: ignore[misc]
        page.locator(".fold").first.click()
        expect(page.locator(".details")).to_be_visible()
        page.locator(".c-other a").first.click()
        expect(page.get_by_role("heading", name="Instances on it")).to_be_visible()
    assert page.locator("main img, main script, main [onload], main [onerror]").count() == 0
    assert dialogs == []
    page.goto(at.url + "/ui/services/" + "%27%3B%20rm%20-rf%20~%3B%20%27")
    expect(page.locator(".calling")).to_contain_text("callboard resolve ''\\''; rm -rf ~; '\\'''")


def seen(dialogs: list[Any], dialog: Any) -> None:
    """A dialog stops the page until somebody answers it."""
    dialogs.append(dialog)
    dialog.dismiss()


HINT_FITS = """() => {
  const field = document.getElementById('search');
  if (!field) return true;
  const style = getComputedStyle(field);
  const pen = document.createElement('canvas').getContext('2d');
  pen.font = style.font;
  const room = field.clientWidth - Number.parseFloat(style.paddingLeft) - Number.parseFloat(style.paddingRight);
  return pen.measureText(field.placeholder).width <= room;
}"""
BAR_IS_WHOLE = "document.querySelector('.bar-top').getBoundingClientRect().right >= document.documentElement.clientWidth"


def narrow_windows_are_wide_enough(at: Stage) -> None:
    shop(at)
    long = "a-very-long-name-without-any-place-to-break-" * 3
    at.register(long, long, "critical", "word" * 200, node=long, tags=[f"tag-{number}-{'x' * 30}" for number in range(9)])
    for width in (360, 768, 1280, 1440):
        page = at.page(width=width, height=740)
        for path in ("/ui", f"/ui/services/{long}", "/ui/nodes", f"/ui/nodes/{long}", "/ui/members", "/ui/services/none"):
            page.goto(at.url + path)
            live(page)
            no_sideways(page)
            assert page.evaluate(BAR_IS_WHOLE), f"{page.url}: the bar at the top ends before a window of {width} px does"
            assert page.evaluate(HINT_FITS), f"{page.url}: what can be searched for is cut off at {width} px"
        page.context.close()


PARTS = Path(__file__).with_name("parts.js")


def the_parts_hold(at: Stage) -> None:
    wrong = at.page().evaluate(PARTS.read_text("utf-8"))
    assert wrong == [], "\n".join(wrong[:5])


STORIES = (
    the_list_is_worst_first_and_says_why, search_finds_by_name_tag_instance_node_and_address, a_service_page_shows_its_instances,
    why_something_is_critical_is_seen_without_a_click, a_change_is_shown_as_it_happens, a_removal_is_shown_as_it_happens,
    a_cut_link_is_told_and_what_was_missed_is_caught_up, an_address_leads_to_what_it_says, the_keyboard_is_enough,
    dark_and_light_follow_the_system_and_the_button, an_empty_catalog_says_how_to_begin, hostile_names_are_only_text,
    narrow_windows_are_wide_enough, the_parts_hold,
)  # fmt: skip
