"""Store URLs of etcd. Pure, and apart from what needs gRPC: a URL is read before it is known whether that is installed."""

from callboard.model.errors import InvalidError


def parse_url(rest: str) -> tuple[tuple[str, ...], str]:
    """Endpoints and prefix of a store URL, without its scheme: //HOST:PORT[,HOST:PORT]/PREFIX. Raises `InvalidError`."""
    hosts, _, prefix = rest.removeprefix("//").partition("/")
    endpoints = tuple(host for host in hosts.split(",") if host)
    if not rest.startswith("//") or not endpoints or not prefix.strip("/"):
        raise InvalidError("store", f"etcd:{rest} is not of the form etcd://HOST:PORT[,HOST:PORT]/PREFIX")
    for endpoint in endpoints:
        host, colon, port = endpoint.rpartition(":")
        if not host or not colon or not port.isdigit():
            raise InvalidError("store", f"{endpoint!r} must be HOST:PORT")
    return endpoints, prefix.strip("/")
