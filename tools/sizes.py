"""Measure how long modules and functions are: `python -m tools.sizes` prints the figures and exits 1 when a limit is passed.

Lines are counted as an editor counts them: docstrings, comments, decorators and blank lines included, an inner function also as part
of its outer one.
"""

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

LARGER: Mapping[str, int] = {}
"""What is larger than its limit, with its exact size. An entry may shrink and vanish; one that grew or is not needed is refused."""


class Size(NamedTuple):
    """One module (`path`) or function (`path::qualified.name`) and its number of lines."""

    name: str
    lines: int


def modules(source: Path) -> list[Size]:
    """Every module below `source`."""
    return [Size(_name(path), len(path.read_text("utf-8").splitlines())) for path in sorted(source.rglob("*.py"))]


def functions(source: Path) -> list[Size]:
    """Every function and method below `source`, inner ones included."""
    return [size for path in sorted(source.rglob("*.py")) for size in _functions(ast.parse(path.read_text("utf-8")), _name(path) + "::")]


def excess(sizes: Sequence[Size], limit: int, larger: Mapping[str, int]) -> list[str]:
    """Say what is wrong with `sizes`: too large without being listed in `larger`, or listed with a size that is not the true one."""
    complaints = []
    for name, lines in sizes:
        listed = larger.get(name)
        if listed is None and lines > limit:
            complaints.append(f"{name} has {lines} lines, the limit is {limit}: split it by subject")
        elif listed is not None and lines > listed:
            complaints.append(f"{name} grew from {listed} to {lines} lines")
        elif listed is not None and lines < listed:
            complaints.append(
                f"{name} shrank from {listed} to {lines} lines: say so in LARGER" + (", by leaving it out" if lines <= limit else "")
            )
    return complaints


def _functions(tree: ast.AST, prefix: str) -> Iterator[Size]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            yield Size(prefix + node.name, (node.end_lineno or node.lineno) - first + 1)
        inner = prefix + node.name + "." if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else prefix
        yield from _functions(node, inner)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.as_posix()


def _summary(kind: str, sizes: Sequence[Size]) -> str:
    largest = max(sizes, key=lambda size: size.lines)
    middle = median(size.lines for size in sizes)
    return f"{len(sizes)} {kind}, median {middle:g} lines, largest {largest.lines} ({largest.name})"


def main() -> int:
    """Print complaints, then the figures; the result is the exit code."""
    found_modules, found_functions = modules(ROOT / "src"), functions(ROOT / "src")
    names = {size.name for size in (*found_modules, *found_functions)}
    complaints = [
        *excess(found_modules, MODULE_LINES_MAX, LARGER),
        *excess(found_functions, FUNCTION_LINES_MAX, LARGER),
        *(f"{name} is listed in LARGER but is not there any more" for name in LARGER if name not in names),
    ]
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    print("; ".join((_summary("modules", found_modules), _summary("functions", found_functions))))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
