"""Whether another process still answers, judged by waits that this one has seen pass. Nothing of it outlives the question.

A single long wait is over as soon as the clock says so: after a pause of this process, before it looks at the answer that came meanwhile.
So the wait is cut into short ones, and a pause, however long, is one of them.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from callboard.net.tasks import spawn

_LOOK_MS: Final = 250


async def answered(asking: Coroutine[Any, Any, bytes | None], patience_ms: int) -> bool:
    """Whether an answer comes within `patience_ms` of this process's life. What brings None is none."""
    task = spawn(asking, name="still there")
    try:
        for _ in range(-(-patience_ms // _LOOK_MS)):
            await asyncio.wait({task}, timeout=min(patience_ms, _LOOK_MS) / 1_000)
            if task.done():
                return task.result() is not None
        return False
    finally:
        task.cancel()
        await asyncio.wait({task})
