"""How a check is asked, for people who look why something is critical. Pure. Nothing that may be a secret is told.

Left out are header fields, bodies, arguments of programs, and of a URL what stands before `@` and after `?`:
whoever may read may not know those.
"""

from typing import Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from callboard.model.check import AliasCheck, Definition, HttpCheck, OsServiceCheck, ScriptCheck
from callboard.model.time import MILLISECOND

_HIDDEN: Final = "..."
"""Instead of parameters, which may be tokens."""


class Asked(NamedTuple):
    """What is asked and how often; zero and empty where that means nothing."""

    target: str
    interval_ms: int
    timeout_ms: int
    ttl_ms: int


def asked(definition: Definition) -> Asked:
    """A definition of any kind: kinds have the same names for the same things."""
    return Asked(_target(definition), _ms(definition, "interval"), _ms(definition, "timeout"), _ms(definition, "ttl"))


def _ms(definition: Definition, field: str) -> int:
    length: int = getattr(definition, field, 0)
    return length // MILLISECOND


def _target(definition: Definition) -> str:
    if isinstance(definition, HttpCheck):
        return f"{definition.method} {_without_secrets(definition.url)}"
    if isinstance(definition, AliasCheck):
        node = definition.alias_node or "its own node"
        return f"{definition.alias_service} on {node}" if definition.alias_service else definition.alias_node
    if isinstance(definition, ScriptCheck | OsServiceCheck):
        return definition.args[0] if isinstance(definition, ScriptCheck) else definition.service
    host, port = getattr(definition, "host", ""), getattr(definition, "port", 0)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}" if host else ""


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=_HIDDEN if parts.query else ""))
