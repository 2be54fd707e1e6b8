"""The harness of the console: a page, and the files it is made of."""

from collections.abc import Mapping, Sequence

from callboard.frontend.console.assets import load
from callboard.frontend.console.plugin import PLUGIN, POLICY, STATIC
from callboard.net.http.message import Answer
from callboard.testing.frontend_suite_kit import Ability, Harness, Sample

SHOWS = "it shows people what the native API tells"
VIEWS = (
    "/ui",
    "/ui/",
    "/ui/services/web",
    "/ui/services/a%2Fb",
    "/ui/nodes",
    "/ui/nodes/callboard",
    "/ui/members",
    "/ui?q=web&status=critical",
)
FILES = tuple(f"{STATIC}{load().digest}/{path}" for path in ("app.js", "style.css", "vendor/preact.LICENSE"))


class ConsoleHarness(Harness):
    plugin = PLUGIN
    cannot: Mapping[Ability, str] = dict.fromkeys((Ability.REGISTER, Ability.DEREGISTER, Ability.HEARTBEAT, Ability.FIND), SHOWS)
    only_shows = SHOWS
    samples: Sequence[Sample] = tuple(Sample("GET", target) for target in (*VIEWS, *FILES))
    before_ready = frozenset(sample.target.partition("?")[0] for sample in samples)

    def is_own_error(self, answer: Answer) -> bool:
        """A line of text, under the same policy as the page."""
        return (
            answer.content_type.startswith(b"text/plain")
            and answer.body.endswith(b"\n")
            and (b"content-security-policy", POLICY) in answer.headers
        )
