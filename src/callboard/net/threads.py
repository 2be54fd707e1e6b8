"""The only place beside the stores that makes threads. Apart from `net.tasks`, so that the blocking client loads no asyncio."""

import threading
from collections.abc import Callable


def start(work: Callable[[], None], *, name: str) -> threading.Thread:
    """Run `work` in a thread of its own, which does not keep the process alive. The caller tells it to end, and joins it."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread
