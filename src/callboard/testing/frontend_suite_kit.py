"""What the cases of the frontend suite are written with: the harness a frontend's author provides, and a world to try it in.

A world is a registry on a memory store with frontends over it, in one event loop and on a clock that stands still, unless it is virtual. It
lives for one case. Requests go through the real table of routes to the real handlers, without sockets between.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple, Self, TypeVar

from msgspec import Struct

from callboard.core.catalog.commands import Attached, Command, DeregisterNode, Register, ReportCheck, Target
from callboard.core.catalog.queries import Found, instances_of
from callboard.frontend.base import Frontend, LogEntry, LogReader, Operations, Plugin
from callboard.model.check import CheckSpec, ManualCheck, Status, TtlCheck
from callboard.model.errors import CallboardError
from callboard.model.instance import NodeSpec
from callboard.model.names import PUBLIC
from callboard.model.rows import Outcome
from callboard.net.http.message import After, Answer, Later, Read, Reply, Stream
from callboard.net.http.routing import Missing, Router
from callboard.registry.registry import Registry
from callboard.registry.settings import RegistrySettings
from callboard.store.memory.engine import MemoryEngine
from callboard.store.memory.settings import MemorySettings
from callboard.store.memory.store import MemoryStore
from callboard.testing.clock import SeededEntropy, VirtualClock
from callboard.testing.loop import VirtualLoop
from callboard.wire.url import Query, decode_path, split_target

T = TypeVar("T")
LOOPBACK: Final = "127.0.0.1"
_SETTINGS: Final = RegistrySettings(member="member-1")


class Ability(StrEnum):
    """What a frontend may be able to do."""

    HTTP = "http"
    """Speaks HTTP: it has sites."""
    REGISTER = "register"
    DEREGISTER = "deregister"
    HEARTBEAT = "heartbeat"
    FIND = "find"
    """Tells the instances of a service that may be called."""


class Example(NamedTuple):
    """An instance to sign in, on the node of calls from this machine, with a TTL check if the protocol has any, under this id."""

    service: str
    id: str
    port: int
    address: str = "192.0.2.7"
    tags: tuple[str, ...] = ("blue",)
    ttl_s: int = 30

    @property
    def check(self) -> str:
        """Id of its TTL check."""
        return f"service:{self.id}"

    @property
    def endpoint(self) -> "Endpoint":
        """Where it is found."""
        return Endpoint(self.address, self.port)


class Endpoint(NamedTuple):
    """Where to call."""

    address: str
    port: int


class Sample(NamedTuple):
    """A request."""

    method: str
    target: str
    """Path and query as they are sent."""
    body: bytes = b""
    headers: Mapping[str, str] = {}
    peer: str = LOOPBACK


class NotWrittenError(AssertionError):
    """A harness neither does something nor declares that its frontend cannot."""


class Harness:
    """How the suite uses one frontend. A harness keeps nothing between calls.

    What the frontend cannot do is declared in `cannot`, with the reason; whatever is not declared must be written.
    """

    plugin: Plugin[Any]
    cannot: Mapping[Ability, str] = {}
    samples: Sequence[Sample] = ()
    """At least one good request for each route; the suite also makes bad ones from them."""
    before_ready: frozenset[str] = frozenset()
    """Paths of samples that are answered as usual before the catalog is loaded."""
    only_shows: str = ""
    """Why a frontend that can do nothing with the catalog but speak HTTP is one all the same; empty for all others."""
    refuses: Mapping[str, str] = {}
    """Routes (`METHOD /path`) that refuse every request where a server stands alone, and why they are there all the same."""
    writes_by_get: Mapping[str, str] = {}
    """Paths of routes that change something though the method says otherwise, and why."""

    @property
    def settings(self) -> Struct:
        """Settings for tests; the defaults, if they will do."""
        made: Struct = self.plugin.settings()
        return made

    def register(self, door: "Door", example: Example) -> None:
        """Sign `example` in. An `AssertionError` when that is refused."""
        raise NotWrittenError(Ability.REGISTER)

    def deregister(self, door: "Door", example: Example) -> None:
        """Sign `example` out. An `AssertionError` when that is refused."""
        raise NotWrittenError(Ability.DEREGISTER)

    def heartbeat(self, door: "Door", example: Example) -> None:
        """Show that `example` lives. An `AssertionError` when that is refused."""
        raise NotWrittenError(Ability.HEARTBEAT)

    def find(self, door: "Door", service: str) -> set[Endpoint]:
        """The instances of a service that a client of this protocol would call."""
        raise NotWrittenError(Ability.FIND)

    def is_own_error(self, answer: Answer) -> bool:
        """Whether an error has the protocol's own form."""
        raise NotWrittenError(Ability.HTTP)

    def means_to_fail(self, answer: Answer) -> bool:
        """Whether a status of 500 and above is what the protocol wants there, and no bug."""
        return False


class MadeRequest:
    """A request as a handler sees it."""

    def __init__(self, sample: Sample, path: str, rest: str = "") -> None:
        self.method = sample.method
        self.path = path
        self.rest = rest
        self.body = sample.body
        self.query = Query(split_target(sample.target)[1])
        self.headers = {name.lower(): value for name, value in sample.headers.items()}
        self.peer = sample.peer
        self.local = LOOPBACK


class Exchange(NamedTuple):
    """A request, the route it took (`METHOD /path`, empty for none), and what became of it."""

    sample: Sample
    route: str
    answer: Answer
    read: Read | None = None


class Door:
    """A frontend in its world. Its requests go through one table of routes, with those of all frontends in it."""

    def __init__(self, world: "World", frontend: Frontend, addresses: Sequence[str], router: Router) -> None:
        self.world = world
        self.frontend = frontend
        self.addresses = addresses
        """Where its own listener listens."""
        self._router = router

    def call(self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """The answer to a request from this machine."""
        return self.exchange(Sample(method, target, body, headers or {})).answer

    def exchange(self, sample: Sample) -> Exchange:
        """A request and its answer. Raises whatever a handler raises, but for the errors that are answers."""
        raw_path, _ = split_target(sample.target)
        errors = self._router.errors(raw_path)
        route, read = "", None
        try:
            path = decode_path(raw_path)
            errors = self._router.errors(path)
            found = self._router.find(sample.method, path)
            if isinstance(found, Missing):
                return Exchange(sample, "", self._missing(found, MadeRequest(sample, path)))
            place, rest = found
            route, errors = f"{place.route.method} {place.route.path}", place.errors
            reply = place.route.handler(MadeRequest(sample, path, rest))
            if isinstance(reply, Stream):
                assert not place.route.quick, f"{route} is a quick route and answers with a stream"
            if isinstance(reply, Read):
                read = reply
            answer = self._settle(reply)
        except CallboardError as error:
            answer = errors.failure(error)
        self.world.settle()
        return Exchange(sample, route, answer, read)

    @staticmethod
    def _missing(found: Missing, request: MadeRequest) -> Answer:
        if found.allowed:
            return found.errors.wrong_method(request, found.allowed)
        return found.errors.unknown_path(request)

    def _settle(self, reply: Reply) -> Answer:
        if isinstance(reply, Read):
            return reply.render().answer
        if isinstance(reply, Later):
            return self.world.run(_outcome(reply))
        if isinstance(reply, After):
            return self._settle(self.world.run(_known(reply)))
        if isinstance(reply, Stream):
            return Answer(200, self.world.run(_first(reply)), reply.content_type, reply.headers)
        return reply


async def _outcome(later: Later) -> Answer:
    known: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    later.pending.then(known.set_result)
    return await known


async def _known(after: After[Any]) -> Reply:
    known: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    after.pending.then(known.set_result)
    return after.then(await known)


async def _first(stream: Stream) -> bytes:
    chunk = await anext(aiter(stream.chunks))
    if isinstance(stream.chunks, AsyncGenerator):
        await stream.chunks.aclose()
    return chunk


def _read_log(_level: int, reader: LogReader) -> Callable[[], None]:
    """Something is logged at once, and nothing after that."""
    reader.take(LogEntry(0, 20, "callboard", "the suite reads the log"))
    return lambda: None


_OPERATIONS: Final = Operations(reload=list, leave=lambda: None, measures=tuple, page=bytes, read_log=_read_log)
"""A server that does nothing."""


class World:
    """Use it in a `with` block."""

    def __init__(
        self, harnesses: Sequence[Harness], *, ready: bool = True, virtual: bool = False, settings: RegistrySettings = _SETTINGS
    ) -> None:
        """With `ready` False the catalog is not loaded. With `virtual` time passes while the world runs, and sockets are not looked at."""
        self.clock = VirtualClock()
        self._loop = VirtualLoop(self.clock) if virtual else asyncio.new_event_loop()
        self._ready = ready
        self._settled = 0
        self._settings = settings
        self._listening: list[Frontend] = []
        self.entropy = SeededEntropy()
        try:
            self.registry, self.doors = self.run(self._open(harnesses))
        except BaseException:
            self.close()
            raise

    async def _open(self, harnesses: Sequence[Harness]) -> tuple[Registry, dict[str, Door]]:
        store = MemoryStore(MemoryEngine(MemorySettings()))
        registry = Registry(store, self._settings, self.clock, self.entropy)
        frontends = {harness.plugin.name: harness.plugin.build(registry, harness.settings) for harness in harnesses}
        router = Router(tuple(site for frontend in frontends.values() for site in frontend.sites))
        doors: dict[str, Door] = {}
        for name, frontend in frontends.items():
            if frontend.operated is not None:
                frontend.operated(_OPERATIONS)
            addresses: list[str] = []
            if frontend.listener is not None:
                addresses = await frontend.listener.start()
                self._listening.append(frontend)
            doors[name] = Door(self, frontend, addresses, router)
        if self._ready:
            await registry.open()
        return registry, doors

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._shut())
        self.close()

    async def _shut(self) -> None:
        for frontend in self._listening:
            if frontend.listener is not None:
                await frontend.listener.stop()
        await self.registry.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def close(self) -> None:
        """Let go of the loop."""
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Let the world run until `work` is done."""
        return self._loop.run_until_complete(work)

    def door(self, harness: Harness) -> Door:
        """The frontend of a harness."""
        return self.doors[harness.plugin.name]

    # -- what happens to instances from elsewhere

    def submit(self, command: Command) -> Outcome:
        """Do something without any frontend."""

        async def outcome() -> Outcome:
            known: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
            self.registry.submit(command).then(known.set_result)
            return await known

        return self.run(outcome())

    def settle(self) -> None:
        """Wait for commands that nobody waits for."""
        if self.registry.stats.commands != self._settled:
            self.submit(DeregisterNode(""))  # is refused, when all before it are durable
            self._settled = self.registry.stats.commands

    def found(self, example: Example) -> Found | None:
        """The example as the catalog has it."""
        there = instances_of(self.registry.view, PUBLIC, example.service)
        return next((found for found in there if found.instance.id == example.id), None)

    def report(self, example: Example, status: Status) -> None:
        """Its TTL check has this status; one without gets a check that has it."""
        found = self.found(example)
        assert found is not None, f"{example.id} is not signed in"
        node = found.instance.node
        ttls = [check for check in found.checks if isinstance(check.definition, TtlCheck)]
        for check in ttls:
            self._expect(ReportCheck(target=Target(node, check.id), status=status, output=f"now {status}"))
        if not ttls:
            spec = CheckSpec(id=f"suite:{example.id}", definition=ManualCheck(), status=status)
            home = NodeSpec(name=node, address=found.node.address, implicit=True)
            attached = (Attached(example.id, spec),)
            self._expect(Register(nonce=self.entropy.nonce(), node=home, checks=attached, set_status=True))

    def _expect(self, command: Command) -> None:
        outcome = self.submit(command)
        assert outcome.refusal is None, f"{command} was refused: {outcome.refusal}"
