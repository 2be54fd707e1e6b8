"""Judges every example of an OpenAPI document by the schema beside it, and prints how many there were. Argument: the document."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

jsonschema_rs: Any = importlib.import_module("jsonschema_rs")


def examples(node: Any) -> Iterator[tuple[Any, Any]]:
    """Schemas and values."""
    if isinstance(node, dict):
        if "schema" in node:
            yield from ((node["schema"], each["value"]) for each in node.get("examples", {}).values())
            if "example" in node:
                yield node["schema"], node["example"]
        for inner in node.values():
            yield from examples(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from examples(inner)


document = json.loads(Path(sys.argv[1]).read_text("utf-8"))
found = list(examples(document["paths"]))
for schema, value in found:
    jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]}).validate(value)
sys.stdout.write(f"{len(found)}\n")
