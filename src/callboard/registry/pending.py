"""Something that will be known: the one shape in which the registry answers later. It lives until it was told."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Promise(Generic[T]):
    """Told once; calls back once, at once if it is known already."""

    __slots__ = ("_callback", "_known", "_value")

    def __init__(self) -> None:
        self._callback: Callable[[T], None] | None = None
        self._known = False
        self._value: T | None = None

    @classmethod
    def of(cls, value: T) -> "Promise[T]":
        """Known from the start."""
        promise: Promise[T] = cls()
        promise.tell(value)
        return promise

    @property
    def known(self) -> bool:
        """Whether it was told."""
        return self._known

    def then(self, callback: Callable[[T], None]) -> None:
        """Call back with the value. One callback only."""
        if self._known:
            callback(self._value)  # type: ignore[arg-type]  # known, so it is there; T may include None
        else:
            self._callback = callback

    def tell(self, value: T) -> None:
        """Make it known; a second telling is ignored."""
        if self._known:
            return
        self._known, self._value = True, value
        callback, self._callback = self._callback, None
        if callback is not None:
            callback(value)
