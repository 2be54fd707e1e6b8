"""Who calls when a proxy of ours asks: the last address of X-Forwarded-For that is not itself one of our proxies. Pure.

Everybody may write what they like into the field; a proxy puts the address it sees behind it. So it is read from the right, and only as
far as it was written by whom we trust. It lives as long as the server.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from callboard.model.errors import InvalidError

HEADER: Final = "x-forwarded-for"
_ENTRIES_MAX_COUNT: Final = 32
_KNOWN_MAX_COUNT: Final = 4_096


class Proxies:
    """The networks whose word counts."""

    __slots__ = ("_known", "_networks")

    def __init__(self, networks: Iterable[str]) -> None:
        """Raises `InvalidError`."""
        self._networks = tuple(_network(text) for text in networks)
        self._known: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._networks)

    def trusts(self, address: str) -> bool:
        """Whether an address is that of a proxy."""
        known = self._known.get(address)
        if known is None:
            known = self._trusts(address)
            if len(self._known) >= _KNOWN_MAX_COUNT:
                self._known.clear()
            self._known[address] = known
        return known

    def _trusts(self, text: str) -> bool:
        try:
            address = ip_address(text.partition("%")[0])
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def caller(self, peer: str, field: str) -> str:
        """Who calls, when `peer` sent the request with this field. What is no address ends what can be believed."""
        for entry in reversed(field.split(",")[-_ENTRIES_MAX_COUNT:]):
            if not self.trusts(peer):
                break
            address = _address(entry)
            if not address:
                break
            peer = address
        return peer


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text.strip())
    except ValueError as error:
        raise InvalidError("trusted_proxy", f"{text!r} must be an address or a network like 10.0.0.0/8 ({error})") from None


def _address(entry: str) -> str:
    """An entry without port and brackets, which some proxies write; empty when it is no address."""
    text = entry.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return ""
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)
