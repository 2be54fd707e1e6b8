"""The base install as users get it: from the package index. Writes down what it weighs."""

import json
from pathlib import Path

import pytest

from bench.lab import machine
from tests.house.base_install import BASE, figures
from tests.house.installing import ROOT, build_wheel, from_index

pytestmark = pytest.mark.interop
RESULT = ROOT / "bench" / "results" / "base-install.json"


def test_the_base_install_from_the_index_is_four_packages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    installed = from_index(tmp_path / "environment", build_wheel(tmp_path))
    assert installed.sizes().keys() == BASE
    found = figures(installed)
    with capsys.disabled():
        print(f"\n{found.shown()}")  # noqa: T201  # figures for people
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({"machine": machine(), **found._asdict()}, indent=1) + "\n", encoding="utf-8")
