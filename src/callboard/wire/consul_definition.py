"""How a check of the catalog is asked, in Consul's words: kept for whoever asks it (consul-esm reads it), and shown as Consul shows it.

Nobody here asks such a check. What is read is put into the form and order of Go's encoder once, when it comes; what is empty is left out.
"""

from typing import Final

import msgspec
from msgspec import Struct

from callboard.model.errors import InvalidError
from callboard.wire.consul_body import Anything
from callboard.wire.consul_fields import Span, convert, go_name
from callboard.wire.consul_go import format_duration

DEFINITION_MAX_CHARS: Final = 16_384
_NAMES: Final = {"h2ping_use_tls": "H2PingUseTLS"}


class _Definition(Struct, frozen=True, omit_defaults=True, rename=lambda field: _NAMES.get(field) or go_name(field)):
    """Fields in the order in which Consul shows them. `ttl` is a number there, the other spans are text."""

    interval: str = ""
    output_max_size: int = 0
    timeout: str = ""
    deregister_critical_service_after: str = ""
    http: str = ""
    tls_server_name: str = ""
    tls_skip_verify: bool = False
    header: dict[str, tuple[str, ...]] = {}
    method: str = ""
    body: str = ""
    disable_redirects: bool = False
    tcp: str = ""
    tcp_use_tls: bool = False
    udp: str = ""
    h2ping: str = ""
    os_service: str = ""
    h2ping_use_tls: bool = False
    script_args: tuple[str, ...] = ()
    docker_container_id: str = ""
    shell: str = ""
    grpc: str = ""
    grpc_use_tls: bool = False
    alias_node: str = ""
    alias_service: str = ""
    ttl: int = 0


_FIELDS: Final = {field.encode_name.lower(): field.encode_name for field in msgspec.structs.fields(_Definition)}
_SPANS: Final = frozenset({"Interval", "Timeout", "DeregisterCriticalServiceAfter"})
_KINDS: Final = (
    ("GRPC", "grpc"), ("HTTP", "http"), ("TTL", "ttl"), ("TCP", "tcp"), ("UDP", "udp"), ("AliasNode", "alias"), ("AliasService", "alias"),
    ("DockerContainerID", "docker"), ("ScriptArgs", "script"), ("H2PING", "h2ping"), ("OSService", "os_service"),
)  # fmt: skip
"""The field that makes a check of each type; the first that says something counts, as in Consul."""


def definition_text(value: Anything) -> str:
    """The definition as JSON text; empty when it says nothing. Fields nobody knows are left out. Raises `InvalidError`."""
    if value is None:
        return ""
    if not isinstance(value, dict):
        raise InvalidError("Definition", "must be an object")
    try:
        known = {_FIELDS[key.lower()]: item for key, item in value.items() if key.lower() in _FIELDS and item is not None}
        for name in _SPANS | {"TTL"}:
            if name in known:
                span = msgspec.convert(known[name], Span, dec_hook=convert)
                known[name] = span if name == "TTL" else format_duration(span) if span else ""
        text = msgspec.json.encode(msgspec.convert(known, _Definition)).decode()
    except (msgspec.ValidationError, ValueError) as error:
        raise InvalidError("Definition", str(error)) from None
    if len(text) > DEFINITION_MAX_CHARS:
        raise InvalidError("Definition", f"must have at most {DEFINITION_MAX_CHARS} characters as JSON, has {len(text)}")
    return "" if text == "{}" else text


def type_of(value: Anything) -> str:
    """The type of a check whose caller names none."""
    given = {key.lower() for key, item in value.items() if item} if isinstance(value, dict) else set()
    return next((kind for field, kind in _KINDS if field.lower() in given), "")
