"""Namespaces and partitions, which this door does not have: the default ones are accepted, others refused with Consul's text."""

from collections.abc import Mapping
from typing import Final

from callboard.frontend.consul.errors import bad_request
from callboard.net.http.message import Request
from callboard.wire.consul_go import quote
from callboard.wire.url import Query

PARAMETERS: Final = {"ns": "Namespaces", "partition": "Partitions"}
_HEADERS: Final = {"x-consul-namespace": ("X-Consul-Namespace", "Namespaces"), "x-consul-partition": ("X-Consul-Partition", "Partitions")}
FIELDS: Final = frozenset(_HEADERS)
_READS: Final = ("/v1/catalog/", "/v1/health/")
_OF_NODES: Final = "/v1/catalog/nodes"
_OF_NOBODY: Final = "/v1/catalog/datacenters"
_DEFAULT: Final = frozenset({"", "default"})


def check_parameters(query: Query) -> None:
    """Raise `ConsulError` for a namespace or partition in the parameters that is not the default one."""
    for name, feature in PARAMETERS.items():
        if (query.get(name) or "") not in _DEFAULT:
            raise bad_request(f"Invalid query parameter: {quote(name)} - {feature} are a Consul Enterprise feature")


def check_headers(headers: Mapping[str, str]) -> None:
    """The same for header fields."""
    for field, (name, feature) in _HEADERS.items():
        if field in headers and headers[field] not in _DEFAULT:
            raise bad_request(f"Invalid header: {quote(name)} - {feature} are a Consul Enterprise feature")


def judge(request: Request) -> None:
    """The same for reads of the catalog, which see no header fields: their answers are shared by all who ask the same line.

    Nodes are in no namespace, and data centres in no partition either.
    """
    if request.path.startswith(_READS) and request.path != _OF_NOBODY:
        headers = request.headers
        check_headers({name: headers[name] for name in FIELDS & headers.keys() if request.path != _OF_NODES or "partition" in name})
