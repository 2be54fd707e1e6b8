"""What happens to boards in a forked child: threads do not come along, and connections and locks belong to the parent.

`os.register_at_fork` cannot be undone, so it is called once, when the first object asks, and then serves whatever objects live at the
moment of a fork. Nothing is held over a fork but `opening`, which the child gets anew; and what our threads would import on the way is
imported before they start, for a module that one thread is importing at a fork is locked in the child for ever.
"""

import codecs
import os
import threading
import weakref
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")


class _Forks:
    """Who wants to know. One for the process, for the hooks of `os` are too."""

    def __init__(self) -> None:
        self.living: Final[weakref.WeakKeyDictionary[object, Callable[[], None]]] = weakref.WeakKeyDictionary()
        self.opening = threading.Lock()
        self._hooked = False

    def prepare(self) -> None:
        codecs.lookup("idna")  # imported by the first connection otherwise
        if self._hooked or not hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
            return
        self._hooked = True
        os.register_at_fork(before=self._before, after_in_parent=self._in_parent, after_in_child=self._in_child)

    def _before(self) -> None:
        self.opening.acquire()

    def _in_parent(self) -> None:
        self.opening.release()

    def _in_child(self) -> None:
        self.opening = threading.Lock()
        for call in list(self.living.values()):
            call()


_forks: Final = _Forks()


def after_in_child(owner: T, call: Callable[[T], None]) -> None:
    """Call `call(owner)` in every forked child, as long as `owner` lives."""
    held = weakref.ref(owner)

    def in_child() -> None:
        if (living := held()) is not None:
            call(living)

    _forks.living[owner] = in_child
    _forks.prepare()


def prepare() -> None:
    """Before a thread of ours starts, in the thread that starts it."""
    _forks.prepare()


def opening() -> threading.Lock:
    """Hold it from opening a descriptor to noting it down, so that no child inherits one that it does not know. Never wait with it."""
    return _forks.opening
