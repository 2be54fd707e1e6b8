"""The texts that stand below the attributes of a class."""

import ast
import inspect
import textwrap


def attribute_texts(struct: type) -> dict[str, str]:
    """The literal below each attribute of a class; those that say nothing are left out."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(struct))).body[0]
    assert isinstance(tree, ast.ClassDef)
    texts: dict[str, str] = {}
    last = ""
    for statement in tree.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            last = statement.target.id
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and last:
            texts[last] = " ".join(str(statement.value.value).split())
    return texts
