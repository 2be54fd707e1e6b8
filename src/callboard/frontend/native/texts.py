"""What stands below the attributes of structs, for the description of the API: the one text for who reads the code and who reads that.

Python keeps the docstrings of classes and not those of attributes, so these are read from the source, once, when somebody asks. Where there
is no source (a frozen program), there are no texts.
"""

import ast
import inspect
from collections.abc import Iterator
from types import ModuleType


def texts_of(module: ModuleType) -> dict[tuple[str, str], str]:
    """Texts by class and attribute."""
    try:
        tree = ast.parse(inspect.getsource(module))
    except OSError:
        return {}
    return dict(_texts(tree))


def _texts(tree: ast.Module) -> Iterator[tuple[tuple[str, str], str]]:
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef):
            yield from (((statement.name, attribute), text) for attribute, text in _of_class(statement))


def _of_class(statement: ast.ClassDef) -> Iterator[tuple[str, str]]:
    last = ""
    for line in statement.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            last = line.target.id
        elif isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and last:
            yield last, " ".join(str(line.value.value).split())
            last = ""
