"""Every guide, and every other page with Python in it, is followed as it is written: see docs/guides/README.md."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

from callboard.testing.server import Server
from tests.docs.following import Step, World, steps_of
from tests.house.documents import ROOT, name
from tests.house.installing import build_wheel, copied

pytestmark = pytest.mark.timeout(300)  # a page has many programs
INDEX = ROOT / "docs" / "guides" / "README.md"
OF_OTHERS = {"adding-a-frontend.md": "tests/docs/test_adding_a_frontend.py", "adding-a-store.md": "tests/store/test_docs.py"}
"""Pages that say how to build a part: followed by tests of their own."""
GUIDES = sorted(page for page in INDEX.parent.glob("*.md") if page != INDEX)
INSTALLED = {"testing.md": ("server", "testing")}
"""Pages that need what an installation with these extras brings, beside what can be imported: here, pytest must find the plug-in."""
OTHERS = [page for page in sorted((ROOT / "docs").glob("*.md")) if "```python" in page.read_text("utf-8") and page.name not in OF_OTHERS]
PAGES = [*OTHERS, *GUIDES]
EXAMPLES = sorted(path for path in (ROOT / "examples").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]


def steps(page: Path) -> list[Step]:
    return steps_of(page.read_text("utf-8"), name(page))


def binaries(page: Path, folder: Path) -> Path:
    """Where the programs of a page are: here, or in an installation of its own."""
    if page.name not in INSTALLED:
        return Path(sys.executable).parent
    return copied(folder / "environment", build_wheel(folder), *INSTALLED[page.name]).binaries


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_works_as_it_is_written(page: Path, tmp_path: Path) -> None:
    todo = steps(page)
    if any("callboard serve" in step.text for step in todo):
        World(tmp_path / "page").follow(todo)
        return
    with Server.running(tmp_path / "registry") as server:
        port = int(server.url.rpartition(":")[2])
        world = World(tmp_path / "page", binaries=binaries(page, tmp_path), http_port=port, dns_port=server.dns[1])
        world.environment["CALLBOARD_SNAPSHOTS"] = str(server.snapshots)
        world.follow(todo)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_names_only_extras_that_are_there(page: Path) -> None:
    text = page.read_text("utf-8")
    named = {extra for extras in re.findall(r"callboard\[([\w,]+)\]", text) for extra in extras.split(",")}
    assert named - EXTRAS.keys() == set()


def test_every_guide_is_listed() -> None:
    listed = set(re.findall(r"\]\(([\w-]+\.md)\)", INDEX.read_text("utf-8")))
    assert {page.name for page in GUIDES} - listed == set()


def test_pages_with_tests_of_their_own_have_them() -> None:
    for page, test in OF_OTHERS.items():
        assert page in (ROOT / test).read_text("utf-8")


def without_docstring(source: str) -> str:
    """A program without the docstring at its head, which a page says in its own words."""
    body = ast.parse(source).body
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) and isinstance(body[0].value.value, str):
        return "\n".join(source.splitlines()[body[0].end_lineno or 0 :])
    return source


def shown(example: Path) -> str:
    text = example.read_text("utf-8")
    return (without_docstring(text) if example.suffix == ".py" else text).strip()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_shows_the_examples_as_they_are(page: Path) -> None:
    for step in steps(page):
        example = ROOT / "examples" / step.name
        if step.kind == "file" and example.is_file():
            assert step.text.strip() == shown(example), f"{step.place} and {name(example)} differ"


def test_every_example_is_shown_on_a_page_and_so_is_run() -> None:
    on_pages = {step.name for page in PAGES for step in steps(page) if step.kind == "file"}
    assert [name(path) for path in EXAMPLES if path.relative_to(ROOT / "examples").as_posix() not in on_pages] == []
