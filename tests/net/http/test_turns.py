"""Whatever happens in whatever order, each request gets its own answer, once, and in its turn.

Clients that stop reading at any moment and read on later, changes and outcomes that come early or late, bytes in any pieces: asyncio
promises nothing about the moment at which a transport says that it is full, and neither does this.
"""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.net.http.message import TEXT, Answer
from callboard.net.tasks import spawn
from tests.net.http.fake import World, request
from tests.net.http.wires import Ours, Wire, responses, run, settled

KINDS: dict[str, Callable[[int], bytes]] = {
    "hot": lambda n: request("GET /read/a"),
    "echo": lambda n: request(f"GET /echo/{n}"),
    "body": lambda n: request(f"PUT /echo/{n}", body=b"GET /read/a HTTP/1.1\r\nhost: x\r\n\r\n"),
    "unique": lambda n: request(f"GET /echo/{n}", f"traceparent: {n}"),
    "beat": lambda n: request(f"PUT /beat/{n}"),
    "slow": lambda n: request(f"GET /slow/echo/{n}"),
    "later": lambda n: request(f"PUT /later/{n}"),
    "slow later": lambda n: request(f"PUT /slow/later/{n}"),
    "parked": lambda n: request(f"GET /read/p{n}?index=1"),
    "slow parked": lambda n: request(f"GET /slow/read/p{n}?index=1"),
    "chunked": lambda n: request(f"PUT /echo/{n}", "transfer-encoding: chunked") + b"2\r\nhi\r\n0\r\n\r\n",
    "head": lambda n: request(f"HEAD /echo/{n}"),
    "none": lambda n: request(f"GET /nowhere/{n}"),
}
TELLS = {
    "hot": "nothing", "echo": "GET /echo/{0} {0} ", "unique": "GET /echo/{0} {0} ", "body": "PUT /echo/{0} {0} ",
    "slow": "GET /slow/echo/{0} {0} ", "beat": "beat None [] {0} ", "later": "outcome {0}", "slow later": "outcome {0}",
    "parked": "text {0}", "slow parked": "text {0}",
    "chunked": "PUT /echo/{0} {0} ", "head": "", "none": "no /nowhere/{0}",
}  # fmt: skip
"""How the answer to a request begins."""


class Scene:
    """One connection, and what is still to come about on it."""

    def __init__(self, wire: Wire, world: World, kinds: list[str]) -> None:
        self.wire = wire
        self.world = world
        self.kinds = kinds
        self.data = b"".join(KINDS[kind](number) for number, kind in enumerate(kinds))
        self.waiting = [number for number, kind in enumerate(kinds) if kind.endswith(("parked", "later"))]

    def feed(self, count: int) -> None:
        """The next bytes, if they are read."""
        if self.wire.reading and self.data:
            piece, self.data = self.data[:count], self.data[count:]
            self.wire.feed(piece)

    def tell(self, number: int) -> None:
        """What a request waits for comes about, perhaps before it is asked."""
        kind = self.kinds[number]
        if kind.endswith("parked"):
            self.waiting.remove(number)
            self.world.put(f"p{number}", f"text {number}")
        elif (outcome := self.world.outcomes.get(str(number))) is not None:
            self.waiting.remove(number)
            outcome.tell(Answer(200, b"outcome %d" % number, TEXT))

    async def do(self, step: str) -> None:
        """One thing happens."""
        match step.split():
            case ["feed", count]:
                self.feed(int(count))
            case ["tell", place] if self.waiting:
                self.tell(self.waiting[int(place)])
            case ["fill"]:
                self.wire.fill()
            case ["drain"]:
                self.wire.drain()
            case ["turn", seconds]:
                await asyncio.sleep(float(seconds))
            case ["second"]:
                self.world.tick()

    async def finish(self) -> None:
        """The client reads on, sends the rest, and everything comes about."""
        for _ in range(4 * len(self.kinds) + 4):
            self.wire.drain()
            self.feed(len(self.data))
            for number in list(self.waiting):
                self.tell(number)
            await asyncio.sleep(0.05)
        await settled()

    def verify(self, *, whole: bool = True) -> None:
        """All answers are there, or (not `whole`) the first ones, and each is the right one."""
        methods = ["HEAD" if kind == "head" else "GET" for kind in self.kinds]
        bodies = [response.body.decode() for response in responses(self.wire.written, methods, whole=whole)]
        expected = [TELLS[kind].format(number) for number, kind in enumerate(self.kinds)]
        if whole:
            assert len(bodies) == len(expected)
        else:  # a server that stops answers blocked queries with what there is
            bodies = [
                begin if body == "nothing" and kind.endswith("parked") else body
                for body, begin, kind in zip(bodies, expected, self.kinds, strict=False)
            ]
        assert [body[: len(begin)] for body, begin in zip(bodies, expected, strict=False)] == expected[: len(bodies)]


WAITING = ["parked", "later", "slow parked", "slow later"]
STEPS = [
    "feed 1000", "feed 1000", "feed 1", "feed 40", "feed 70", "tell 0", "tell 0", "tell -1", "fill", "fill", "drain", "turn 0",
    "turn 0.01",
    "turn 0.01", "second",
]  # fmt: skip


SOME_KINDS = st.lists(st.sampled_from(sorted(KINDS) + 2 * WAITING), min_size=2, max_size=6)
SOME_STEPS = st.lists(st.sampled_from(STEPS), min_size=5, max_size=25)


def opened(kinds: list[str]) -> tuple[Ours, Scene]:
    """A server that knows blocks and lines, with small limits, and a connection to it."""
    ours = Ours(World(), turn_max_bytes=150, stash_max_bytes=200)
    warm = ours.connect()
    for _ in range(3):
        warm.feed(request("GET /read/a"))
    return ours, Scene(ours.connect(), ours.world, kinds)


@given(kinds=SOME_KINDS, steps=SOME_STEPS)
def test_each_request_gets_its_answer_in_its_turn(kinds: list[str], steps: list[str]) -> None:
    async def scenario() -> None:
        ours, scene = opened(kinds)
        for step in steps:
            await scene.do(step)
        await scene.finish()
        scene.verify()
        await ours.close()
        assert ours.world.stats.connections_now == ours.world.stats.parked_now == 0

    run(scenario())


@pytest.mark.parametrize("end", ["the client sends nothing more", "the client is gone", "the server stops"])
@given(kinds=SOME_KINDS, before=SOME_STEPS, later=SOME_STEPS)
def test_what_ends_in_the_middle_gets_no_wrong_answer_and_leaves_nothing(
    end: str, kinds: list[str], before: list[str], later: list[str]
) -> None:
    async def scenario() -> None:
        ours, scene = opened(kinds)
        for step in before:
            await scene.do(step)
        closing = None
        if end == "the server stops":
            closing = spawn(ours.close(), name="closing")
            await asyncio.sleep(0)
        else:
            scene.data = b""
            (scene.wire.end if end == "the client sends nothing more" else scene.wire.lose)()
        for step in later:
            await scene.do(step)
        await scene.finish()
        scene.verify(whole=False)
        await (closing or ours.close())
        assert ours.world.stats.connections_now == ours.world.stats.parked_now == 0
        assert ours.world.stats.failures == 0

    run(scenario())


def test_hot_requests_keep_a_connection_that_went_the_long_way_once() -> None:
    """Longer than uvicorn keeps one open on which nothing goes its way."""

    async def scenario() -> None:
        ours, scene = opened([])
        for _ in range(3):
            scene.wire.feed(request("GET /slow/echo/1"))
            for _ in range(20):
                await asyncio.sleep(0.5)
                scene.wire.feed(request("GET /read/a"))
        assert [response.status for response in responses(scene.wire.written, [])] == [200] * 63
        assert not scene.wire.closing
        await ours.close()

    run(scenario())


@pytest.mark.parametrize("door", ["", "slow "])
@pytest.mark.parametrize("waits", ["parked", "later"])
def test_a_client_that_stops_reading_while_it_waits_keeps_what_it_asked_for_behind(door: str, waits: str) -> None:
    """The answer is written although the client does not read; what stood behind must not be forgotten when it reads on."""

    async def scenario() -> None:
        ours = Ours(World())
        scene = Scene(ours.connect(), ours.world, [door + waits, "echo", "echo"])
        for step in ("feed 150", "turn 0.01", "fill", "tell 0", "turn 0.01", "drain", "turn 0.01"):
            await scene.do(step)
        await scene.finish()
        scene.verify()
        await ours.close()

    run(scenario())
