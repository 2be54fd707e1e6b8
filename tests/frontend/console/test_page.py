import hashlib
import html
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from callboard.frontend.console.assets import FOLDER, load
from callboard.frontend.console.plugin import POLICY, STATIC, Console
from callboard.frontend.console.settings import ConsoleSettings
from callboard.net.http.message import Answer
from callboard.testing.frontend_suite_kit import MadeRequest, Sample, World
from tests.frontend.console.harness import FILES, VIEWS, ConsoleHarness

README = (FOLDER.parent / "README.md").read_text("utf-8")
SCRIPTS = sorted(path for path in FOLDER.rglob("*.js") if path.parent.name != "vendor")
TEXTS = [*SCRIPTS, FOLDER / "index.html", FOLDER / "style.css"]
HARNESS = ConsoleHarness()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World((HARNESS,), ready=False) as world:
        yield world


def get(world: World, target: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return world.door(HARNESS).call("GET", target, headers=named)


def field(answer: Answer, name: str) -> str:
    return dict(answer.headers)[name.encode()].decode()


class Elements(HTMLParser):
    """The elements of a page, with their attributes, and what stands between the tags of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] in {"script", "style"}:
            self.inline += data.strip()


@pytest.mark.parametrize("target", [*VIEWS, *FILES, "/ui/none", f"{STATIC}none/app.js"])
def test_every_answer_is_under_the_policy(world: World, target: str) -> None:
    answer = get(world, target)
    assert field(answer, "content-security-policy") == POLICY.decode()
    assert (field(answer, "x-content-type-options"), field(answer, "referrer-policy")) == ("nosniff", "no-referrer")


def test_the_policy_allows_our_files_and_nothing_else() -> None:
    policy = POLICY.decode()
    assert policy.startswith("default-src 'self';")
    assert not re.search(r"unsafe|https?:|\*|data:|blob:", policy)


@pytest.mark.parametrize("target", VIEWS)
def test_every_view_has_its_address_and_is_the_same_page(world: World, target: str) -> None:
    answer = get(world, target)
    assert (answer.status, answer.content_type) == (200, b"text/html; charset=utf-8")
    assert answer == get(world, "/ui")
    assert field(answer, "cache-control") == "no-cache"


def test_the_page_names_only_files_that_are_there(world: World) -> None:
    elements = Elements(get(world, "/ui").body.decode())
    named = [attributes[name] for _, attributes in elements.found for name in ("src", "href") if name in attributes]
    ours = [target for target in named if target is not None and target.startswith(STATIC)]
    assert set(named) - set(ours) == {"/api/v1/services"}  # for those without scripts
    assert {get(world, target).status for target in ours} == {200}
    assert elements.inline == ""
    assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on") or name == "style"]


def test_the_page_tells_the_browser_its_settings(world: World) -> None:
    found = re.search(r'<meta name="callboard" content="([^"]*)">', get(world, "/ui").body.decode())
    assert found is not None
    assert json.loads(html.unescape(found[1]))["silent_max_ms"] == ConsoleSettings().silent_max_ms


def test_a_setting_cannot_leave_its_attribute() -> None:
    console = Console(ConsoleSettings(domain='"><script>alert(1)</script>'), load())
    answer = console.page(MadeRequest(Sample("GET", "/ui"), "/ui"))
    assert isinstance(answer, Answer)
    assert b"<script>alert" not in answer.body


def test_files_may_be_kept_for_ever_for_their_address_changes_with_them(world: World) -> None:
    for target in FILES:
        answer = get(world, target)
        assert answer.status == 200
        assert field(answer, "cache-control") == "public, max-age=31536000, immutable"


def test_what_a_browser_has_is_not_sent_again(world: World) -> None:
    for target in ("/ui", *FILES):
        etag = field(get(world, target), "etag")
        for known in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
            answer = get(world, target, if_none_match=known)
            assert (answer.status, answer.body, field(answer, "etag")) == (304, b"", etag)
        assert get(world, target, if_none_match='"other"').status == 200


@pytest.mark.parametrize("path", ["app.js", "../plugin.py", "..%2Fplugin.py", "index.html", "", "vendor", "vendor/"])
def test_nothing_else_is_served(world: World, path: str) -> None:
    digest = load().digest
    assert get(world, f"{STATIC}{'0' * len(digest)}/{path}").status == 404
    if path != "app.js":
        assert get(world, f"{STATIC}{digest}/{path}").status == 404


def test_another_content_is_another_address(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("1")
    first = load(tmp_path)
    (tmp_path / "a.js").write_text("2")
    assert load(tmp_path).digest != first.digest
    (tmp_path / "README.md").write_text("is not served")
    assert set(load(tmp_path).files) == {"a.js"}


# -- what the files are made of


def test_libraries_are_what_the_readme_says() -> None:
    rows = re.findall(r"^\| `(vendor/[^`]+)` \| (\S+) \| (\d+\.\d+\.\d+) \| (\S+) \| `([0-9a-f]{64})` \|$", README, re.MULTILINE)
    assert {path: digest for path, *_, digest in rows} == {
        path.relative_to(FOLDER).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in (FOLDER / "vendor").iterdir()
    }
    assert {package for path, package, *_ in rows if path.endswith(".js")} == {
        package for path, package, *_ in rows if path.endswith(".LICENSE")
    }


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_import_files_of_ours_and_libraries_import_nothing(script: Path) -> None:
    text = script.read_text("utf-8")
    named = re.findall(r"""^(?:import|export) .*?from ['"]([^'"]+)['"]""", text, re.MULTILINE | re.DOTALL)
    assert [name for name in named if not name.startswith("./") or not (script.parent / name).is_file()] == []
    assert "import(" not in text
    for library in (FOLDER / "vendor").glob("*.js"):
        assert not re.search(r"\bimport\b", library.read_text("utf-8"))


@pytest.mark.parametrize("file", TEXTS, ids=lambda path: path.name)
def test_nothing_makes_markup_of_text_and_nothing_comes_from_elsewhere(file: Path) -> None:
    text = file.read_text("utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc|javascript:", text)
    assert not re.search(r"https?://|//[a-z]+\.[a-z]|@import|url\(", text.replace("// ", ""))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_short_and_say_what_they_are_for(script: Path) -> None:
    lines = script.read_text("utf-8").splitlines()
    assert lines[0].startswith("// ")
    assert len(lines) <= 200
    assert max(map(len, lines)) <= 170


def test_colours_are_told_for_both_themes() -> None:
    style = (FOLDER / "style.css").read_text("utf-8")
    named = set(re.findall(r"var\((--[a-z-]+)\)", style)) - {"--row", "--tone"}
    pairs = dict(re.findall(r"(--[a-z-]+): light-dark\((#[0-9a-f]{6}), #[0-9a-f]{6}\);", style))
    assert named == set(pairs)
