"""Prometheus' HTTP service discovery: target groups as JSON (prometheus.io: docs, http_sd). A group lives for one answer."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct

CONTENT_TYPE: Final = b"application/json"
PREFIX: Final = "__meta_callboard_"
_META: Final = PREFIX + "meta_"
_NO_LABEL: Final = re.compile(r"[^a-zA-Z0-9_]")


class TargetGroup(Struct, frozen=True, gc=False):
    """Targets as `host:port` and the labels they all have."""

    targets: tuple[str, ...]
    labels: dict[str, str]


def target(host: str, port: int) -> str:
    """An address as Prometheus writes it: IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def joined(values: Sequence[str]) -> str:
    """A list as one label, with a comma before and after each value, so that `.*,value,.*` matches whole values."""
    return f",{','.join(values)}," if values else ""


def labels(values: Mapping[str, str], meta: Mapping[str, str]) -> dict[str, str]:
    """Labels under our prefix; what a label name cannot hold becomes `_`; of keys that become the same the last one stays."""
    named = {PREFIX + name: value for name, value in values.items()}
    for key in sorted(meta):
        named[_META + (key if key.isidentifier() and key.isascii() else _NO_LABEL.sub("_", key))] = meta[key]
    return named


def encode(groups: Sequence[TargetGroup | Raw]) -> bytes:
    """The body of an answer; groups may be JSON made before."""
    return msgspec.json.encode(groups)


def encode_group(group: TargetGroup) -> bytes:
    """One of them."""
    return msgspec.json.encode(group)


def decode(body: bytes) -> list[TargetGroup]:
    """The groups of an answer, as Prometheus reads them. Raises `msgspec.DecodeError`."""
    return msgspec.json.decode(body, type=list[TargetGroup])
