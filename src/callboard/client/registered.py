"""An instance that this process keeps signed in, for programs with threads. Its twin for asyncio is `callboard.client.aio.registered`."""

from types import TracebackType
from typing import Self

from callboard.client.registered_base import RegisteredBase

__all__ = ["Registered"]


class Registered(RegisteredBase):
    """Made by `Board.register`; signed out by `close`, or with the board. A forked child does not own it: there `close` does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def wait(self, timeout_s: float | None = None) -> None:
        """Until it is signed in, here or by another process of this host that shares it.

        Raises what it was refused with (`ClientError`, `InvalidError`), and `TimeoutError`, which says what is still missing.
        """
        self.keeper.wait(timeout_s)

    def drain(self, *, wait: bool = True) -> bool:
        """Leave without losing a call: hidden at once, signed out when callers know and the work under way has ended, within 30 s.

        When other processes of this host go on with the instance, it only changes hands. Answers whether all work had ended; without
        `wait` at once, and False.
        """
        self.keeper.drain()
        if not wait:
            return False
        self.keeper.join()
        self._restore_signal()
        return self.keeper.finished

    def close(self) -> None:
        """Sign out now, unless other processes of this host go on; at most some seconds. A registry that cannot be reached finds out by the
        lease."""
        try:
            self.keeper.close()
        finally:
            self._restore_signal()
