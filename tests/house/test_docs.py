import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from tests.house.documents import ROOT, anchors, blocks, documents, name, prose

PAGES = documents()
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TARGETS = set(re.findall(r"^\.PHONY: (\S+)", MAKEFILE, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_make_targets_that_are_named_exist(page: Path) -> None:
    code = [*re.findall(r"`([^`\n]+)`", prose(page)), *(line for block in blocks(page) for line in block.text.splitlines())]
    commands = [re.sub(r"^\$ ", "", line.strip()) for line in code]
    words = [word for command in commands if command.startswith("make ") for word in shlex.split(command, comments=True)[1:]]
    named = {word for word in words if "=" not in word}
    assert named - TARGETS == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_examples_are_well_formed(page: Path) -> None:
    for block in blocks(page):
        if block.language == "python":
            compile(block.text, block.place, "exec")
        elif block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "json":
            json.loads(block.text)


def test_every_make_target_is_explained() -> None:
    assert {target for target in TARGETS if not re.search(rf"^{target}:.*## \S", MAKEFILE, re.MULTILINE)} == set()
    contributing = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert {target for target in TARGETS - {"help", "clean"} if f"`make {target}" not in contributing} == set()
