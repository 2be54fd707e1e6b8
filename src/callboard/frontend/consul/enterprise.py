"""Namespaces and partitions, which this door does not have: the default ones are accepted, others refused with Consul's text."""

from collections.abc import Mapping
from typing import Final

from callboard.frontend.consul.errors import bad_request
from callboard.wire.consul_go import quote
from callboard.wire.url import Query

PARAMETERS: Final = {"ns": "Namespaces", "partition": "Partitions"}
_HEADERS: Final = {"x-consul-namespace": ("X-Consul-Namespace", "Namespaces"), "x-consul-partition": ("X-Consul-Partition", "Partitions")}
_DEFAULT: Final = frozenset({"", "default"})


def check_parameters(query: Query) -> None:
    """Raise `ConsulError` for a namespace or partition in the parameters that is not the default one."""
    for name, feature in PARAMETERS.items():
        if (query.get(name) or "") not in _DEFAULT:
            raise bad_request(f"Invalid query parameter: {quote(name)} - {feature} are a Consul Enterprise feature")


def check_headers(headers: Mapping[str, str]) -> None:
    """The same for header fields. Not asked on reads of the catalog, whose answers are shared by everybody who asks the same line."""
    for field, (name, feature) in _HEADERS.items():
        if field in headers and headers[field] not in _DEFAULT:
            raise bad_request(f"Invalid header: {quote(name)} - {feature} are a Consul Enterprise feature")
