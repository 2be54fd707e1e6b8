"""A hook for schemathesis, for requests that must be taken: what a schema does not say of their meaning is put right here.

Loaded by the command line through SCHEMATHESIS_HOOKS.
"""

import importlib
from collections.abc import MutableMapping
from typing import Any

schemathesis: Any = importlib.import_module("schemathesis")

GIVEN = {"version": "^2.1", "fallback": "any", "label": ["zone=a"]}
"""Grammars: a range of versions, pairs of which each key is there once."""
ALIVE = {"ttl_ms": 10_000}
PORT = {"name": "http", "port": 8080, "default": True}
"""Of several, exactly one is the default, and each has a name of its own."""
PLACES = ("port", "ports", "socket_path")
"""At most one of them."""
ANY_ADDRESS = {"0.0.0.0", "::", "[::]"}
ANOTHER = "another"
NODE = "X-Callboard-Node"
OWN = "consul"
"""The id of the server's own entry, which is none of a caller's business."""


def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    if isinstance(case.query, dict):
        case.query.update({name: value for name, value in GIVEN.items() if name in case.query})
    if isinstance(case.headers, MutableMapping) and NODE in case.headers:
        case.headers[NODE] = "rack-7"
    if isinstance(case.path_parameters, dict) and case.path_parameters.get("id") == OWN:
        case.path_parameters["id"] = ANOTHER
    if isinstance(case.body, dict):
        body = whole(case.body)
        case.body = meaningful(body) if "service" in body else body


def meaningful(body: dict[str, Any]) -> dict[str, Any]:
    """A registration with a check that can be run, and that heartbeats can renew."""
    said = [name for name in PLACES if name in body]
    kept = {name: value for name, value in body.items() if name not in said[1:]}
    kept["checks"] = [ALIVE]
    if "ports" in kept:
        kept["ports"] = [PORT]
    if kept.get("address") in ANY_ADDRESS:
        del kept["address"]
    if OWN in {kept.get("id"), kept["service"]}:
        kept["id"] = ANOTHER
    return kept


def whole(value: Any) -> Any:
    """Whole numbers without a fraction: JSON Schema takes 1.0 for an integer, and the server does not."""
    if isinstance(value, dict):
        return {name: whole(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


schemathesis.hook(before_call)
