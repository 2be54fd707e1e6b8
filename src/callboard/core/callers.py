"""Which node a caller speaks for. "The agent" is the whole cluster: a call belongs to the node it comes from, not to the member it reached.

A call from this machine belongs to the configured node; one from elsewhere to a node of the caller's own, made on its first use.
"""

from ipaddress import ip_address
from typing import Final

from msgspec import Struct

from callboard.model.instance import NodeSpec

HEADER: Final = "x-callboard-node"
PARAMETER: Final = "node"


class Home(Struct, frozen=True):
    """The node of calls that come from this machine: its name, and the address others reach this machine at."""

    node: str
    address: str


def is_loopback(host: str) -> bool:
    """Whether a host of a URL or address means the machine it is used on."""
    host = host.strip("[]").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def plain_address(peer: str) -> str:
    """The address of a peer without zone, IPv4 written as IPv4 (RFC 4291 section 2.5.5.2)."""
    peer = peer.partition("%")[0]
    return peer.removeprefix("::ffff:") if peer.startswith("::ffff:") and "." in peer else peer


def is_here(peer: str, local: str) -> bool:
    """Whether a call comes from this machine: over a unix socket, over loopback, or from the very address it reached."""
    return not peer or peer == local or is_loopback(peer)


def caller_node(home: Home, peer: str, local: str, named: str | None) -> NodeSpec:
    """The node a call belongs to. `named` is what the caller said in `?node=` or X-Callboard-Node. Raises `InvalidError`."""
    peer, local = plain_address(peer), plain_address(local)
    here = is_here(peer, local)
    address = home.address if here else peer
    if named:
        return NodeSpec(name=named, address=address, implicit=True)
    if here:
        return NodeSpec(name=home.node, address=address, implicit=True)
    return NodeSpec(name=peer.replace(".", "-").replace(":", "-"), address=address, implicit=True)


def probe_address(host: str, peer: str, local: str) -> str:
    """Where a check aimed at `host` is to be dialled: the caller's address when it means the caller's own loopback; else empty."""
    peer, local = plain_address(peer), plain_address(local)
    return peer if is_loopback(host) and not is_here(peer, local) else ""
