"""What one process is to its server: all of it, the one that holds the engine for workers, or a worker. Assembly is the same for all of
them; what differs stands here. A role is made before the parts, and lives as long as the `Server`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from callboard.net.sharing import Sharing
from callboard.registry.peers import Courier
from callboard.registry.pending import Promise
from callboard.server.member import member_name
from callboard.server.reloading import reload_or_log
from callboard.server.settings import Settings
from callboard.server.stores import hold_for_workers, make_store
from callboard.server.telemetry import Telemetry
from callboard.server.worker_settings import WorkersStats
from callboard.server.workers.crew import Aboard, Crew, WorkerError
from callboard.server.workers.desk import Desk
from callboard.server.workers.words import Place
from callboard.store.contract import Store
from callboard.store.unix.holding import HeldStore


class Addresses(NamedTuple):
    """Where to listen, as people write it; `dns` is empty for nowhere."""

    http: tuple[str, ...]
    https: tuple[str, ...]
    dns: str


@dataclass(frozen=True, slots=True)
class Process:
    """What a role may ask of the process that has it."""

    place: Callable[[int], Place]
    """Where a worker of that number stands. Valid once the process listens."""
    hear: Callable[[bytes], Promise[bytes]]
    """A worker's message for the registry. Raises `CallboardError`."""
    leave: Callable[[], None]
    reload: Callable[[], list[str]]
    """Raises `CallboardError`: then all is as it was."""
    settings: Callable[[], Settings]
    """Those in force."""
    telemetry: Telemetry


class Role(Protocol):
    """The part that one process plays. Make it in a running loop."""

    number: int
    """Which worker it is; 0 for the process that was started."""
    member: str
    """The server's name, the same in all of its processes."""
    sharing: Sharing
    addresses: Addresses
    store: Store
    stats: WorkersStats
    courier: Courier | None
    """A worker's only way to the leader. Servers have none yet: their frontends find one when it is known where they listen."""

    def join(self, process: Process) -> None:
        """The process is put together; called once, before it starts."""
        ...

    async def staffed(self) -> str:
        """Return when all processes of the server serve (empty), or one does not come to (why)."""
        ...

    def leave(self) -> None:
        """Have the whole server stop; returns at once."""
        ...

    def reload(self) -> list[str]:
        """Have the whole server read its settings again; answers what came of it. Raises `CallboardError`: then all is as it was."""
        ...

    def page(self) -> bytes | Awaitable[bytes]:
        """The metrics of all processes; where there are several, they are asked first."""
        ...

    def end(self) -> None:
        """This process stops: let nobody begin anything new beside it."""
        ...

    async def gone(self) -> None:
        """Return when nobody beside this process needs it any more. Call `end` first."""
        ...


class Alone:
    """The only process of its server."""

    number = 0
    sharing = Sharing.ALONE
    courier: Courier | None = None

    def __init__(self, settings: Settings, store: Store) -> None:
        """Raises `CallboardError` for a name that cannot be read."""
        server = settings.server
        self.member = member_name(server)
        self.addresses = Addresses(tuple(server.http), tuple(server.https), server.dns)
        self.store = store
        self.stats = WorkersStats()
        self._process: Process

    def join(self, process: Process) -> None:
        self._process = process

    async def staffed(self) -> str:
        return ""

    def leave(self) -> None:
        self._process.leave()

    def reload(self) -> list[str]:
        return self._process.reload()

    def page(self) -> bytes | Awaitable[bytes]:
        return self._process.telemetry.page()

    def end(self) -> None:
        """Nobody is beside it."""

    async def gone(self) -> None:
        """The same."""


class Holder(Alone):
    """The process that was started, of several: it holds the engine, leads, and keeps the workers."""

    sharing = Sharing.FIRST

    def __init__(self, settings: Settings, store: HeldStore) -> None:
        super().__init__(settings, store)
        self._held = store
        self._workers_count = settings.server.workers - 1
        self._settings = settings.room("workers")
        self._crew: Crew

    def join(self, process: Process) -> None:
        super().join(process)
        aboard = Aboard(process.place, process.hear, process.leave, lambda: reload_or_log(self.reload), process.telemetry.figures)
        self._crew = Crew(self._workers_count, self._held, self._settings, self.stats, aboard)

    async def staffed(self) -> str:
        try:
            await self._crew.start()
        except WorkerError as error:
            return str(error)
        return ""

    def reload(self) -> list[str]:
        lines = super().reload()
        self._crew.apply(self._process.settings())
        return lines

    def page(self) -> bytes | Awaitable[bytes]:
        return self._crew.page()

    def end(self) -> None:
        self._crew.end()

    async def gone(self) -> None:
        await self._crew.gone()


class Worker:
    """A process beside the one that holds the engine; whatever is for the whole server it passes on over its desk."""

    sharing = Sharing.NEXT

    def __init__(self, desk: Desk) -> None:
        place = desk.place
        self.number, self.member = place.number, place.member
        self.addresses = Addresses(place.http, place.https, place.dns)
        self.store: Store = desk.store
        self.stats = WorkersStats()
        self.courier: Courier | None = desk.courier
        self._desk = desk

    def join(self, process: Process) -> None:
        """Its desk is served by whoever runs the process."""

    async def staffed(self) -> str:
        return ""

    def leave(self) -> None:
        self._desk.leave()

    def reload(self) -> list[str]:
        return self._desk.reload()

    def page(self) -> bytes | Awaitable[bytes]:
        return self._desk.page()

    def end(self) -> None:
        """Nobody needs it."""

    async def gone(self) -> None:
        """The same."""


def role_of(settings: Settings, desk: Desk | None) -> Role:
    """With a desk, a worker; else what the settings say. Raises `CallboardError` where they contradict each other, and as `Alone`."""
    if desk is not None:
        return Worker(desk)
    store = make_store(settings)
    return Alone(settings, store) if settings.server.workers == 1 else Holder(settings, hold_for_workers(store, settings))
