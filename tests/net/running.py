"""How tests of probes run one: on each kind of loop that a server may have."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import uvloop

from callboard.core.health import ProbeResult

Run = Callable[[Coroutine[Any, Any, ProbeResult]], ProbeResult]
LOOPS: Final[dict[str, Callable[[], asyncio.AbstractEventLoop]]] = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
