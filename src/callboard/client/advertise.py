"""Which address an instance says: the one that others can call it at, or a clear refusal.

What is said in the code counts first, then CALLBOARD_ADVERTISE, then POD_IP (as Kubernetes' downward interface sets it), then the address
of this host on the way to the registry: that is the one that the registry's other clients most likely share a network with. The host's
name is no source: in a container it is a number that nobody else resolves.
"""

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from callboard.client.board_settings import ADVERTISE_VARIABLE
from callboard.model.errors import InvalidError

POD_VARIABLE: Final = "POD_IP"
_WAYS_OUT: Final = f"say address=..., or set {ADVERTISE_VARIABLE} or {POD_VARIABLE}"


def advertised(said: str, environment: Mapping[str, str], *, remote: bool, local_address: Callable[[], str]) -> str:
    """The address, and nothing else in it. `said` is what code and settings say, `remote` whether the registry is on another host.

    Raises `InvalidError`, and `UnreachableError` when only the way to the registry could tell and there is none.
    """
    source, address = _found(said, environment, local_address)
    return check_address(source, address, remote=remote)


def check_address(source: str, address: str, *, remote: bool) -> str:
    """`address` without brackets, if others can call it. Raises `InvalidError`."""
    bare = address.strip()
    if bare.startswith("[") and bare.endswith("]"):
        bare = bare[1:-1]
    if not bare or not bare.isprintable() or any(sign in bare for sign in " /@"):
        raise InvalidError(source, f"{address!r} is no address; {_WAYS_OUT}")
    found = _parsed(bare)
    if found is None and ":" in bare:
        raise InvalidError(source, f"{address!r} must be an address without a port")
    if found is not None and found.is_unspecified:
        raise InvalidError(source, f"{address!r} is what one listens on, not what one calls; {_WAYS_OUT}")
    if remote and (bare.lower() == "localhost" or (found is not None and _loops(found))):
        raise InvalidError(source, f"{address!r} is this host to everybody, and the registry is on another; {_WAYS_OUT}")
    return bare


def _found(said: str, environment: Mapping[str, str], local_address: Callable[[], str]) -> tuple[str, str]:
    for source, address in (
        ("address", said),
        (ADVERTISE_VARIABLE, environment.get(ADVERTISE_VARIABLE, "")),
        (POD_VARIABLE, environment.get(POD_VARIABLE, "")),
    ):
        if address.strip():
            return source, address
    return "address", local_address()


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _loops(address: IPv4Address | IPv6Address) -> bool:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address.is_loopback or (mapped is not None and mapped.is_loopback)
