"""The floors are held by import-linter (`make check`). A pattern that matches nothing is silent there: here it fails."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
MODULES = {
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__") for path in (ROOT / "src").rglob("*.py")
}


def patterns() -> list[str]:
    """Every module or pattern of ours that a contract names, once."""
    named = {name for contract in CONTRACTS for key in ("source_modules", "forbidden_modules", "modules") for name in contract.get(key, [])}
    return sorted(name for name in named if name.startswith("callboard"))


def matched(pattern: str) -> set[str]:
    """The modules which a pattern of import-linter names."""
    expression = re.escape(pattern).replace(r"\*\*", ".+").replace(r"\*", "[^.]+")
    return {module for module in MODULES if re.fullmatch(expression, module)}


@pytest.mark.parametrize("pattern", patterns())
def test_every_contract_is_about_something(pattern: str) -> None:
    assert matched(pattern)


def test_every_translation_is_pure() -> None:
    (pure,) = [contract for contract in CONTRACTS if contract["name"].startswith("Pure")]
    held = set().union(*map(matched, pure["source_modules"]))
    translations = {module for module in MODULES if re.match(r"callboard\.frontend\.\w+\.translate", module)}
    assert translations - held == set()


def test_no_floor_is_optional() -> None:
    (floors,) = [contract for contract in CONTRACTS if contract["type"] == "layers"]
    assert [layer for layer in floors["layers"] if "(" in layer] == []
