"""What schemathesis must know about the API that its description does not say. Loaded by the command line through SCHEMATHESIS_HOOKS."""

import importlib
from typing import Any

schemathesis: Any = importlib.import_module("schemathesis")

LENIENT = {"consistency": ("",), "prefer": ("",), "passing_only": ("", "0", "1"), "fallback": ("",), "version": ("",)}
"""Parameters with spellings that are taken and not described: empty as if left out, numbers for truth values."""


def filter_query(_context: Any, query: Any) -> bool:
    if not isinstance(query, dict):
        return True
    return not any(value in spellings for name, spellings in LENIENT.items() for value in said(query.get(name)))


def said(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [str(each) for each in values if each is not None]


schemathesis.hook(filter_query)
