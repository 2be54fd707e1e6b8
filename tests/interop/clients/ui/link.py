"""What becomes of the page's link to the server: when it is opened, when it is given back, and what a broken event does to it."""

from playwright.sync_api import expect

from tests.interop.clients.ui.browser import Stage, live, rows, until
from tests.interop.clients.ui.stories import SHOP, shop


def the_list_does_not_wait_for_the_stream(at: Stage) -> None:
    shop(at)
    context = at.browser.new_context()
    page = context.new_page()
    told: list[str] = []
    page.on("requestfinished", lambda request: told.append("list") if "/api/v1/services?" in request.url else None)
    page.on("request", lambda request: told.append("stream") if "/api/v1/watch" in request.url else None)
    page.goto(at.url + "/ui")
    live(page)
    assert told == ["list", "stream"], "a server that tells of every instance answers nobody meanwhile"
    context.close()
    page = at.browser.new_page()
    page.route("**/api/v1/services?*", lambda route: route.abort())
    page.goto(at.url + "/ui")
    live(page)
    assert len(rows(page)) == len(SHOP), "without the list, the stream tells everything"


BREAK_FIRST = """
const real = window.fetch;
window.broken = false;
window.fetch = async (url, options) => {
  const answer = await real(url, options);
  if (window.broken || !String(url).includes('/api/v1/watch')) return answer;
  window.broken = true;
  const scrap = new TextEncoder().encode('event: added\\ndata: {"revision": 1, "instance"\\n\\n');
  return new Response(new ReadableStream({ start: (control) => control.enqueue(scrap) }), { headers: answer.headers });
};
"""


def a_broken_event_is_survived_and_leaves_no_stream_behind(at: Stage) -> None:
    shop(at)
    context = at.browser.new_context()
    page = context.new_page()
    page.add_init_script(BREAK_FIRST)
    page.goto(at.url + "/ui")
    live(page)
    assert page.evaluate("window.broken"), "the first stream told something broken"
    until(lambda: rows(page) == ["payments", "search", "orders"], "these, in this order")
    until(lambda: at.metric("native_watchers_now") == 1, "the broken stream was closed")


LOOK = """(how) => {
  Object.defineProperty(document, 'visibilityState', { value: how, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}"""


def a_page_that_nobody_looks_at_gives_its_stream_back(at: Stage) -> None:
    shop(at)
    page = at.page()
    live(page)
    for _ in range(2):
        page.evaluate(LOOK, "hidden")
        expect(page.locator(".link")).to_have_text("asleep")
        until(lambda: at.metric("native_watchers_now") == 0, "the stream is closed")
        page.evaluate("window.dispatchEvent(new Event('online'))")
        page.wait_for_timeout(1_500)
        assert at.metric("native_watchers_now") == 0, "and stays closed"
        at.register("meanwhile")
        page.evaluate(LOOK, "visible")
        live(page)
        until(lambda: "meanwhile" in rows(page), "what came meanwhile is there")
        at.remove("meanwhile")
        until(lambda: "meanwhile" not in rows(page), "and live")


LINK = (
    the_list_does_not_wait_for_the_stream, a_broken_event_is_survived_and_leaves_no_stream_behind,
    a_page_that_nobody_looks_at_gives_its_stream_back,
)  # fmt: skip
