"""Callboard: a service registry and discovery server, and the SDK for it.

    with callboard.connect() as board, board.register("orders", port=8000):
        with board.service("users", version="^2").pick() as endpoint:
            ...  # call endpoint.address, endpoint.port

`callboard.aio.connect` has the same names for asyncio; errors and values are in `callboard.client`, what fits it to httpx, FastAPI and the
others in `callboard.integrations`.

Importing the package loads nothing but this text. `callboard.connect` loads the SDK when it is first asked for, `callboard.aio` the one for
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


def __dir__() -> list[str]:
    """For completion at a prompt, and for `help`: also what is not loaded yet."""
    return sorted({*globals(), *__all__})
