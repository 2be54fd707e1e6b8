"""Addresses as people write them: `HOST:PORT`, `[V6]:PORT`, `:PORT`, `PORT`."""

from typing import NamedTuple

from callboard.model.errors import InvalidError


class Address(NamedTuple):
    """Where to listen; port 0 means any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(field: str, text: str) -> Address:
    """Raises `InvalidError` naming `field`. Without a host it is loopback."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise InvalidError(field, f"{text!r} must be HOST:PORT, :PORT or PORT with a port from 0 to 65535")
    return Address(host, int(port))
