"""The SDK for asyncio: `async with callboard.aio.connect() as board`. The same names as `callboard.connect()`; what may wait is awaited."""

from callboard.client.aio.board import Board, connect
from callboard.client.aio.registered import Registered
from callboard.client.aio.service import Service
from callboard.client.attempts import Attempt
from callboard.client.board_settings import BoardSettings

__all__ = ["Attempt", "Board", "BoardSettings", "Registered", "Service", "connect"]
