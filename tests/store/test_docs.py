import asyncio
import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from callboard.store.etcd.settings import EtcdSettings
from callboard.store.etcd.stats import EtcdStats
from callboard.store.memory.engine import MemoryStats
from callboard.store.memory.settings import MemorySettings
from callboard.store.sqlite.settings import SqliteSettings
from callboard.store.sqlite.store import SqliteStats
from callboard.store.unix.settings import UnixSettings
from callboard.store.unix.stats import UnixStats
from callboard.testing.store_suite import CASES, Case

ROOT = Path(__file__).resolve().parents[2]
STORES: dict[str, tuple[type[msgspec.Struct], Any]] = {
    "memory": (MemorySettings, MemoryStats),
    "sqlite": (SqliteSettings, SqliteStats),
    "etcd": (EtcdSettings, EtcdStats),
    "unix": (UnixSettings, UnixStats),
}
GUIDE = (ROOT / "docs" / "adding-a-store.md").read_text("utf-8")


def section(store: str, heading: str) -> str:
    text = (ROOT / "src" / "callboard" / "store" / store / "README.md").read_text("utf-8")
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("store", STORES)
def test_the_readme_has_its_headings(store: str) -> None:
    assert all(section(store, heading) for heading in ("Name", "Description", "Settings", "Examples", "Metrics", "Deviations"))


@pytest.mark.parametrize("store", STORES)
def test_the_readme_names_every_setting_with_its_default(store: str) -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| (\S*?) ?\|", section(store, "Settings"), re.MULTILINE))
    fields = msgspec.structs.fields(STORES[store][0])
    assert told == {field.name: "" if field.default is msgspec.NODEFAULT else str(field.default) for field in fields}


@pytest.mark.parametrize("store", STORES)
def test_the_readme_names_every_metric(store: str) -> None:
    told = re.findall(r"`callboard_store_(\w+)`", section(store, "Metrics"))
    fields = [field.name for field in dataclasses.fields(STORES[store][1])]
    assert told == [name if name.endswith(("_count", "_bytes")) else f"{name}_total" for name in fields]


def test_the_guide_has_at_most_six_steps() -> None:
    assert len(re.findall(r"^## \d+\. ", GUIDE, re.MULTILINE)) <= 6


@pytest.fixture(scope="module")
def guided() -> Callable[[Case], None]:
    """The test function of the guide's example."""
    block = re.search(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    assert block is not None
    names: dict[str, Any] = {}
    exec(compile(block[1], "adding-a-store.md", "exec"), names)
    assert names["asyncio"] is asyncio
    function: Callable[[Case], None] = names["test_conformance"]
    return function


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_guides_harness_passes_the_suite(case: Case, guided: Callable[[Case], None]) -> None:
    guided(case)
