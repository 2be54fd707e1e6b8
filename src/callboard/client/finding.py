"""Choosing an instance for each call: what both handles on a service share. Nothing here waits.

A finder makes a new picker whenever the service is known differently or an instance is put out or taken back, in the thread that found
out; a call only reads which picker there is. It lives as long as the handle that made it.
"""

import random
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from callboard.balance.endpoint import Endpoint
from callboard.balance.picked import Picked
from callboard.balance.picker import DEFAULT_PICKER, PICKERS, Picker, make_picker
from callboard.balance.selector import Selection, Selector, select, select_or_panic
from callboard.client import forks
from callboard.client.engine import Engine
from callboard.client.errors import NoInstanceError
from callboard.client.events import Observers
from callboard.client.options import ServiceOptions, check_known, text_map, texts
from callboard.client.tally import Tally
from callboard.model import names
from callboard.model.check import Status
from callboard.model.errors import InvalidError
from callboard.wire.native import InstanceState

_NEVER: Final = 1 << 62
_LEFT_OUT: Final = "left out for a while: calls to it fail"


class Finder:
    """The instances of one service that one caller wants."""

    def __init__(self, engine: Engine, name: str, options: ServiceOptions) -> None:
        """Raises `InvalidError` for an option that could not be meant, and `ClosedError`."""
        check_known("service()", options, ServiceOptions)
        self.service = names.name("service", name)
        self.settings = engine.settings
        self.observers: Observers = engine.observers
        self.selector = _selector(options, engine.settings.zone)
        self.policy = options.get("policy") or DEFAULT_PICKER
        if self.policy not in PICKERS:
            make_picker(self.policy, ())  # says which there are
        self.followed = engine.follow(self.service, names.namespace(options.get("namespace", "") or engine.settings.namespace))
        self.tally: Tally = self.followed.tally
        self._picker: Picker | None = None
        self._endpoints: tuple[Endpoint, ...] = ()
        self._due = 0
        """When a pick must first look at the time: for a sweep, or for the threads of a forked child."""
        self._lock = threading.Lock()
        told = _weakly(self)
        for remove in (self.followed.listen(told), self.tally.listen(told)):
            weakref.finalize(self, remove).atexit = False
        forks.after_in_child(self, Finder._forked)
        self.rebuild()

    def __repr__(self) -> str:
        snapshot, picker = self.followed.latest, self._picker
        if snapshot is None or picker is None:
            return f"{self.service!r}: nothing is known yet"
        stale = ", stale" if snapshot.stale else ""
        return f"{self.service!r}: {len(picker.endpoints)} of {len(snapshot.instances)} instances are called{stale}"

    @property
    def picker(self) -> Picker:
        """The present one. Raises `NoPictureError` while nothing is known."""
        picker = self._picker
        if picker is None or time.monotonic_ns() >= self._due:
            self._overdue()
            picker = self._picker
        if picker is None:
            raise self.followed.nothing()
        return picker

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Whom a call may go to now. Raises `NoPictureError`."""
        return self.picker.endpoints

    def pick(self, avoid: frozenset[str] | set[str] = frozenset()) -> Picked | None:
        """The endpoint for one call; None when there is none left beside `avoid` (keys). Raises `NoPictureError`."""
        now = time.monotonic_ns()
        picker = self._picker
        if picker is None or now >= self._due:
            picker = self.picker
        return picker.pick(now, random.random(), avoid)

    def picked(self) -> Picked:
        """The same for a call that must have one. Raises `NoInstanceError`."""
        picked = self.pick()
        if picked is None:
            raise self.nobody()
        return picked

    def selection(self) -> Selection:
        """Who is called now, and why everybody else is not. Raises `NoPictureError`."""
        snapshot = self.followed.latest
        if snapshot is None:
            raise self.followed.nothing()
        selection = self._select(tuple(endpoint_of(state) for state in snapshot.instances))
        out = self.tally.ejected
        kept = tuple(endpoint for endpoint in selection.kept if endpoint.key not in out)
        if not kept or len(kept) == len(selection.kept):
            return selection
        considered = tuple(
            judged._replace(kept=False, reason=_LEFT_OUT) if judged.kept and judged.endpoint.key in out else judged
            for judged in selection.considered
        )
        return selection._replace(kept=kept, considered=considered)

    def nobody(self) -> NoInstanceError:
        """What is raised when nobody can be called."""
        return NoInstanceError(self.service, [f"{judged.endpoint.id}: {judged.reason}" for judged in self.selection().considered])

    def done(self, picked: Picked, error: BaseException | None) -> None:
        """A call ended that was made by hand: an error counts against the instance, a cancelled call does not."""
        now = time.monotonic_ns()
        if error is None or isinstance(error, Exception):
            picked.done(now, ok=error is None)
            self.tally.ended(picked.endpoint.key, now, ok=error is None)
        else:
            picked.done(now)

    # -- inside

    def _select(self, endpoints: tuple[Endpoint, ...]) -> Selection:
        return select_or_panic(self.selector, endpoints, self.settings.panic_share)

    def rebuild(self) -> None:
        """Go over to what is known now. Whoever comes last reads the newest."""
        with self._lock:
            due = self.tally.due
            self._due = _NEVER if due is None else due
            if self.followed.latest is None:
                return
            endpoints, before = self.selection().kept, self._picker
            if before is None:
                self._picker = make_picker(self.policy, endpoints)
            elif endpoints != before.endpoints:
                self._picker = before.successor(endpoints)

    def _overdue(self) -> None:
        self.followed.ensure()
        self.tally.sweep(time.monotonic_ns())
        self.rebuild()

    def _forked(self) -> None:
        self._lock = threading.Lock()
        self._due = 0


def _selector(options: ServiceOptions, zone: str) -> Selector:
    selector = Selector(
        tags=texts("tags", options.get("tags", ())),
        labels=text_map("labels", options.get("labels", {})),
        version=options.get("version", ""),
        prefer=options.get("prefer", "any"),
        fallback=options.get("fallback", "") or "none",
        passing_only=options.get("passing_only", False),
        zone=options.get("zone", "") or zone,
    )
    select(selector, ())  # reads the ranges, and says what is wrong with them
    if selector.fallback not in {"none", "any"}:
        select(replace(selector, version=selector.fallback, fallback="none"), ())
    if selector.prefer not in {"any", "latest", "oldest"}:
        raise InvalidError("prefer", f"must be any, latest or oldest, is {selector.prefer!r}")
    return selector


def _weakly(finder: Finder) -> Callable[[], None]:
    """A listener that does not keep the handle alive."""
    held = weakref.ref(finder)

    def told() -> None:
        if (living := held()) is not None:
            living.rebuild()

    return told


def endpoint_of(state: InstanceState) -> Endpoint:
    """An instance as a balancer sees it."""
    weights = state.weights
    return Endpoint(
        key=f"{state.node}/{state.id}",
        id=state.id,
        node=state.node,
        address=state.address,
        port=state.port,
        weight=weights.warning if state.status is Status.WARNING else weights.passing,
        status=state.status,
        phase=state.phase,
        tags=state.tags,
        labels=state.meta,
    )
