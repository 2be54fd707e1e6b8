"""What both `Registered` have in common: everything that needs no waiting. One lives as long as its keeper, and is used by any thread."""

from types import TracebackType
from typing import Final, Self

from callboard.client.attending import Times
from callboard.client.engine import Engine
from callboard.client.keeping import Keeper
from callboard.client.options import RegisterOptions
from callboard.client.registering import ServicePlan
from callboard.client.showing import State
from callboard.client.terminating import Stop, drain_on_sigterm
from callboard.model.errors import InvalidError
from callboard.model.names import text
from callboard.wire.native import Reported

_STATUSES: Final[tuple[Reported, ...]] = ("passing", "warning", "critical")


class Working:
    """Work under way, from `with` to its end."""

    __slots__ = ("_keeper",)

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def __enter__(self) -> Self:
        self._keeper.begin_work()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._keeper.end_work()


class RegisteredBase:
    """An instance that this process keeps signed in."""

    def __init__(self, engine: Engine, service: str, options: RegisterOptions) -> None:
        """Raises `InvalidError`, `TypeError` for an argument that there is none of, and `ClosedError`."""
        settings = engine.settings
        times = Times(
            timeout_ms=settings.client.timeout_ms,
            port_wait_ms=settings.port_wait_ms,
            blocked_after_ms=settings.blocked_after_ms,
            takeover_ms=settings.takeover_ms,
            drain_notice_ms=settings.drain_notice_ms,
            drain_finish_ms=settings.drain_finish_ms,
        )
        self._plan = ServicePlan(service, options, settings, engine.backend)
        self.keeper = Keeper(engine.backend, self._plan, times, engine.observers)
        """Who does the work."""
        self._off_sigterm: Stop | None = None
        engine.keep(self.keeper)
        self.keeper.start()

    def __repr__(self) -> str:
        why = f" ({self.error})" if self.error is not None else ""
        return f"<{type(self).__name__} {self.id or self.service}: {self.state}{why}>"

    @property
    def service(self) -> str:
        """The service that it is an instance of."""
        return self._plan.service

    @property
    def id(self) -> str:
        """The instance's id; empty until its address is known, unless it was said."""
        return self.keeper.shown.instance

    @property
    def node(self) -> str:
        """The node it was put on; empty until it was signed in by this process, unless it was said."""
        written, made = self.keeper.written, self.keeper.registration
        return written.node if written is not None else made.node if made is not None else ""

    @property
    def address(self) -> str:
        """What others are told to call; empty until it is known."""
        made = self.keeper.registration
        return made.address if made is not None else ""

    @property
    def port(self) -> int:
        """Where it is called; 0: nowhere."""
        return self._plan.port

    @property
    def state(self) -> State:
        """`starting` (waits for its port or for the registry), `registered`, `waiting` (another process of this host keeps it), `lost`
        (heartbeats are not heard), `refused`, `draining`, `ended`."""
        return self.keeper.state

    @property
    def error(self) -> Exception | None:
        """Why it is not signed in, or not heard; None: it is."""
        return self.keeper.shown.error

    @property
    def in_flight(self) -> int:
        """How much work is under way (`working`)."""
        return self.keeper.in_flight

    def set_status(self, status: Reported, output: str = "") -> None:
        """How this instance is from now on; its callers hear of it at once. Raises `InvalidError`."""
        if status not in _STATUSES:
            raise InvalidError("status", f"{status!r} must be one of {', '.join(_STATUSES)}")
        self.keeper.tell(status, text("output", output))

    def working(self) -> Working:
        """A context manager around each piece of work: a drain waits for what is under way."""
        return Working(self.keeper)

    def on_sigterm(self) -> bool:
        """At SIGTERM drain, and let whoever handled it before hear of it when callers have had the time to hear of the drain; a second one
        passes at once. False: this is not the main thread, or there are no such signals, and nothing was done."""
        if self._off_sigterm is None and not self.keeper.ended:
            self._off_sigterm = drain_on_sigterm(self.keeper, self.keeper.times.drain_notice_ms)
        return self._off_sigterm is not None

    def _restore_signal(self) -> None:
        off, self._off_sigterm = self._off_sigterm, None
        if off is not None:
            off()
