"""Callboard: a service registry and discovery server, and the SDK for it.

Importing the package loads nothing but this line. `callboard.connect` loads the SDK when it is first asked for, `callboard.aio` the one for
asyncio; the other parts are imported by name (`callboard.client`, `callboard.server`, `callboard.integrations`).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from callboard import aio
    from callboard.client.board import Attempt, Board, BoardSettings, Registered, Service, connect

__all__ = ["Attempt", "Board", "BoardSettings", "Registered", "Service", "__version__", "aio", "connect"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """The SDK, when it is first asked for: so that `callboard --version` and a server load none of it."""
    from importlib import import_module  # noqa: PLC0415  # as late as what it loads

    if name == "aio":
        return import_module("callboard.aio")
    if name in __all__:
        return getattr(import_module("callboard.client.board"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
