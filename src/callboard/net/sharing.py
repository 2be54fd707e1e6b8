"""One port for several processes of one server (SO_REUSEPORT): the kernel deals connections and datagrams out among their sockets.

The option lets any process of the same user join a port in silence, a second server too. So the first process takes the port like one that
shares it with nobody, and only then opens it to its own workers: whoever has it already is found out.
"""

import enum
import socket
from typing import Any


class Sharing(enum.Enum):
    """How a socket is bound."""

    ALONE = "alone"
    FIRST = "first"
    """Takes the port for itself and for those that come after it."""
    NEXT = "next"
    """Joins a port that the first process of this server has."""


def bind(sock: socket.socket, address: Any, sharing: Sharing) -> None:  # noqa: ANN401  # as `socket.bind` has it
    """Bind it. Raises `OSError`, also where somebody else shares the port already."""
    if sharing is Sharing.NEXT:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(address)
    if sharing is Sharing.FIRST:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
