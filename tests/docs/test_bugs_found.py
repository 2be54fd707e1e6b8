"""The page of bugs names a test for each that was mended: it must be there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_test_that_the_page_of_bugs_names_is_there() -> None:
    page = (ROOT / "docs/bugs-found.md").read_text("utf-8")
    written = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py"))
    named = re.findall(r"::(test_\w+)", page)
    assert len(named) > 20
    assert [name for name in named if f"def {name}(" not in written] == []
    assert [path for path in re.findall(r"`((?:tests|docs)/[\w/.-]+)", page) if not (ROOT / path).exists()] == []
