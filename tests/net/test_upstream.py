import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import dns.flags
import dns.message
import pytest
import uvloop

from callboard.model.errors import InvalidError
from callboard.net.upstream import Server, Strategy, Upstream, UpstreamLimits, parse_server
from callboard.testing.clock import SeededEntropy
from callboard.wire.dns_names import encode_name
from callboard.wire.dns_responses import Asked
from tests.net.upstreams import Answering, NameServer, name_server, reply, says, silence
from tests.support import repeated_if_stopped

Work = Callable[[], Coroutine[Any, Any, None]]
QUESTION = Asked(encode_name("www.example.com") + b"\0\1\0\1")
ANSWER = "www.example.com. 300 A 192.0.2.1"


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Work], None]:
    def running(work: Work) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            repeated_if_stopped(lambda: runner.run(asyncio.wait_for(work(), 60)))

    return running


class Asking:
    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream

    def start(self, asked: Asked = QUESTION) -> "asyncio.Future[bytes | None]":
        future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        assert self.upstream.ask(asked, lambda answer: None if future.done() else future.set_result(answer))
        return future

    async def ask(self, asked: Asked = QUESTION) -> dns.message.Message | None:
        answer = await self.start(asked)
        return dns.message.from_wire(answer) if answer is not None else None


@contextlib.asynccontextmanager
async def asking(
    *servers: NameServer, strategy: Strategy = "sequential", timeout_max_ms: int = 10_000, parallel_max_count: int = 100
) -> AsyncIterator[Asking]:
    entropy = SeededEntropy(5)
    limits = UpstreamLimits(strategy, timeout_max_ms, parallel_max_count)
    upstream = Upstream([Server("127.0.0.1", server.port) for server in servers], limits, entropy.nonce, entropy.chance)
    try:
        yield Asking(upstream)
    finally:
        await upstream.close()
        assert upstream.stats.waiting_now == 0


def first(response: dns.message.Message | None) -> str:
    assert response is not None
    return str(response.answer[0][0])


def test_the_first_server_is_asked_from_ports_and_with_ids_of_chance(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        async with name_server(says(ANSWER)) as one, name_server(says(ANSWER)) as two, asking(one, two) as there:
            for _ in range(20):
                assert first(await there.ask()) == "192.0.2.1"
            assert (len(one.queries), len(two.queries)) == (20, 0)
            assert len({query.id for query in one.queries}) > 15
            assert len(one.ports) > 10
            assert all(query.flags == dns.flags.RD for query in one.queries)

    run(work)


def test_random_order_asks_everyone(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        async with name_server(says(ANSWER)) as one, name_server(says(ANSWER)) as two, asking(one, two, strategy="random") as there:
            for _ in range(30):
                await there.ask()
            assert len(one.queries) + len(two.queries) == 30
            assert one.queries
            assert two.queries

    run(work)


@pytest.mark.parametrize("bad", [silence, says(rcode="SERVFAIL"), says(rcode="REFUSED")])
def test_the_next_server_is_asked_when_one_fails(run: Callable[[Work], None], bad: Answering) -> None:
    async def work() -> None:
        async with name_server(bad) as one, name_server(says(ANSWER)) as two, asking(one, two, timeout_max_ms=2000) as there:
            assert first(await there.ask()) == "192.0.2.1"
            assert len(one.queries) == 1

    run(work)


def test_a_server_that_is_not_there_is_passed_over_at_once(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        async with name_server(says(ANSWER)) as gone:
            pass
        async with name_server(says(ANSWER)) as two, asking(gone, two) as there:
            assert first(await there.ask()) == "192.0.2.1"

    run(work)


def test_no_name_is_an_answer_and_a_refusal_is_the_last_word_when_all_refuse(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        refusing, denying = says(rcode="REFUSED"), says(rcode="NXDOMAIN")
        async with name_server(denying) as one, name_server(refusing) as two, name_server(silence) as three:
            async with asking(one, two) as there:
                assert (await there.start() or b"....")[3] & 15 == 3
                assert not two.queries
            async with asking(two, three, timeout_max_ms=1500) as there:
                assert (await there.start() or b"....")[3] & 15 == 5
            async with asking(three, timeout_max_ms=200) as there:
                assert await there.start() is None

    run(work)


def test_what_is_cut_off_is_had_over_tcp(run: Callable[[Work], None]) -> None:
    def answering(query: dns.message.Message, tcp: bool) -> bytes:
        response = reply(query, *(f"www.example.com. 300 A 192.0.2.{number}" for number in range(200 if tcp else 1)))
        if not tcp:
            response.flags |= dns.flags.TC
        return response.to_wire(max_size=65_535)

    async def work() -> None:
        async with name_server(answering) as server, asking(server) as there:
            response = await there.ask()
            assert response is not None
            assert len(response.answer[0]) == 200

    run(work)


def test_forged_and_foreign_answers_are_passed_over(run: Callable[[Work], None]) -> None:
    def answering(query: dns.message.Message, _tcp: bool) -> bytes:
        good = reply(query, ANSWER).to_wire()
        for forged in (b"", good[:5], bytes((good[0] ^ 1,)) + good[1:], good[:2] + b"\1" + good[3:], good.replace(b"\3www", b"\3ftp")):
            servers[0].send(forged)
        return good

    async def work() -> None:
        async with name_server(answering) as server, asking(server) as there:
            servers[:] = [server]
            assert first(await there.ask()) == "192.0.2.1"
            assert len(server.queries) == 1

    servers: list[NameServer] = []
    run(work)


def test_equal_questions_that_wait_are_one_whatever_their_case(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        upper = QUESTION._replace(question=QUESTION.question.replace(b"www", b"WwW"))
        async with name_server(says(ANSWER)) as server, asking(server) as there:
            answers = await asyncio.gather(*(there.ask(asked) for asked in (QUESTION, upper, QUESTION)))
            assert [first(answer) for answer in answers] == ["192.0.2.1"] * 3
            assert len(server.queries) == 1
            await there.ask()
            assert len(server.queries) == 2

    run(work)


def test_a_question_that_comes_back_to_us_ends(run: Callable[[Work], None]) -> None:
    """A server that asks us what we ask it: our own question waits for itself, so nothing goes round."""

    async def work() -> None:
        returned: list[asyncio.Future[bytes | None]] = []

        def answering(_query: dns.message.Message, _tcp: bool) -> None:
            returned.append(there.start())

        async with name_server(answering) as server, asking(server, timeout_max_ms=1000) as there:
            assert await there.ask() is None
            assert [await one for one in returned] == [None]
            assert len(server.queries) == 1

    run(work)


def test_only_so_many_questions_wait(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        async with name_server(silence) as server, asking(server, timeout_max_ms=300, parallel_max_count=3) as there:
            waiting = [there.start(), there.start(), there.start(Asked(encode_name("b.example.com") + b"\0\1\0\1"))]
            assert not there.upstream.ask(QUESTION, waiting[0].set_result)
            assert there.upstream.stats.waiting_now == 3
            assert await asyncio.gather(*waiting) == [None] * 3
            assert await there.start() is None

    run(work)


def test_closing_gives_up_what_waits(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        async with name_server(silence) as server:
            async with asking(server) as there:
                waiting = there.start()
                await server.asked.wait()
            assert await waiting is None

    run(work)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("192.0.2.1", Server("192.0.2.1", 53)), ("192.0.2.1:5353", Server("192.0.2.1", 5353)), ("2001:db8::1", Server("2001:db8::1", 53)),
        ("[2001:db8::1]:5353", Server("2001:db8::1", 5353)),
    ],
)  # fmt: skip
def test_servers_are_named_by_address_and_perhaps_port(text: str, server: Server) -> None:
    assert parse_server(text) == server


@pytest.mark.parametrize(
    "text", ["", "dns.example.com", "dns.example.com:53", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:x"]
)
def test_what_is_no_server_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="recursor"):
        parse_server(text)
