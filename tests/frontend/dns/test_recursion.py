"""Names of others, asked of real name servers of the test: through the frontend as it is built, over its real sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise

import dns.asyncquery
import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest
import uvloop

from callboard.frontend.dns.plugin import PLUGIN
from callboard.frontend.dns.settings import DnsSettings, DnsStats
from callboard.model.errors import InvalidError
from tests.frontend.dns.world import LoopFactory, World, a_world, data, outline, section
from tests.net.upstreams import NameServer, name_server, reply, says, silence
from tests.servers import split_address

WWW = "www.example.com"
ANSWER = f"{WWW}. 300 A 192.0.2.1"


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    factory: LoopFactory = request.param
    with a_world(loop_factory=factory) as world:
        yield world


class Served:
    def __init__(self, address: str, stats: DnsStats) -> None:
        self.host, self.port = split_address(address)
        self.stats = stats

    async def ask(
        self, name: str, kind: str = "A", *, tcp: bool = False, payload: int = 0, flags: dns.flags.Flag = dns.flags.RD, dnssec: bool = False
    ) -> dns.message.Message:
        query = dns.message.make_query(name, kind, use_edns=0 if payload else -1, payload=payload, want_dnssec=dnssec, flags=flags)
        if tcp:
            return await dns.asyncquery.tcp(query, self.host, 20, self.port)
        return await dns.asyncquery.udp(query, self.host, 20, self.port)


@contextlib.asynccontextmanager
async def served(world: World, *recursors: NameServer, **settings: object) -> AsyncIterator[Served]:
    made = DnsSettings(port=0, recursors=tuple(one.address for one in recursors), **settings)  # type: ignore[arg-type]
    frontend = PLUGIN.build(world.registry, made)
    assert frontend.listener is not None
    assert isinstance(frontend.stats, DnsStats)
    (address,) = await frontend.listener.start()
    try:
        yield Served(address, frontend.stats)
    finally:
        await frontend.listener.stop()


@pytest.mark.parametrize("tcp", [False, True])
def test_names_of_others_are_asked_upstream_and_told_as_they_are(world: World, tcp: bool) -> None:
    async def work() -> None:
        async with name_server(says(ANSWER)) as upstream, served(world, upstream) as there:
            response = await there.ask("wWw.example.COM", tcp=tcp)
            assert section(response.answer) == ["wWw.example.COM. 300 A 192.0.2.1"]
            assert response.flags & (dns.flags.AA | dns.flags.RA | dns.flags.RD) == dns.flags.RA | dns.flags.RD
            assert there.stats.recursed == 1

    world.run(work())


def test_our_own_names_never_go_there_and_say_that_recursion_is_available(world: World) -> None:
    async def work() -> None:
        async with name_server(says(ANSWER)) as upstream, served(world, upstream) as there:
            for _ in range(3):
                response = await there.ask("web.service.consul")
                assert data(response) == ["10.0.0.1"]
                assert response.flags & (dns.flags.RA | dns.flags.AA) == dns.flags.RA | dns.flags.AA
            assert outline(await there.ask("none.service.consul"))[0] == "NXDOMAIN"
            assert not upstream.queries

    world.register("web")
    world.run(work())


def test_whoever_wants_no_recursion_and_other_classes_are_refused(world: World) -> None:
    async def work() -> None:
        async with name_server(says(ANSWER)) as upstream, served(world, upstream) as there:
            response = await there.ask(WWW, flags=dns.flags.Flag(0))
            assert outline(response) == ("REFUSED", 0, [])
            query = dns.message.make_query(WWW, "A", "CH")
            assert outline(await dns.asyncquery.udp(query, there.host, 20, there.port))[0] == "REFUSED"
            assert not upstream.queries
            assert there.stats.refused == 2

    world.run(work())


def test_wishes_of_the_client_go_along_and_its_cookie_does_not(world: World) -> None:
    async def work() -> None:
        cookie = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678")
        async with name_server(says(ANSWER)) as upstream, served(world, upstream) as there:
            query = dns.message.make_query(WWW, "A", want_dnssec=True, payload=4096, options=[cookie])
            query.flags |= dns.flags.CD
            response = await dns.asyncquery.udp(query, there.host, 20, there.port)
            (asked,) = upstream.queries
            assert (asked.edns, bool(asked.ednsflags & 0x8000), asked.options) == (0, True, ())
            assert asked.flags & dns.flags.CD
            assert (response.edns, response.payload) == (0, 1232)

    world.run(work())


def test_answers_are_cut_to_the_size_of_the_client(world: World) -> None:
    def answering(query: dns.message.Message, tcp: bool) -> bytes:
        response = reply(query, *(f"{WWW}. 300 A 192.0.2.{number}" for number in range(100 if tcp else 1)))
        if not tcp:
            response.flags |= dns.flags.TC
        return response.to_wire(max_size=65_535)

    async def work() -> None:
        async with name_server(answering) as upstream, served(world, upstream) as there:
            short = await there.ask(WWW)
            assert short.flags & dns.flags.TC
            assert 20 < len(data(short)) < 100
            assert len(data(await there.ask(WWW, payload=4096))) == 100
            assert len(data(await there.ask(WWW, tcp=True))) == 100

    world.run(work())


@pytest.mark.parametrize("rcode", ["NXDOMAIN", "REFUSED"])
def test_what_they_refuse_is_refused(world: World, rcode: str) -> None:
    async def work() -> None:
        async with name_server(says(rcode=rcode)) as upstream, served(world, upstream) as there:
            assert outline(await there.ask(WWW))[0] == rcode

    world.run(work())


@pytest.mark.parametrize("payload", [0, 1232])
def test_when_all_are_silent_it_fails(world: World, payload: int) -> None:
    async def work() -> None:
        async with name_server(silence) as upstream, served(world, upstream, recursor_timeout_max_ms=100) as there:
            response = await there.ask(WWW, payload=payload)
            assert (outline(response), response.edns) == (("SERVFAIL", 0, []), 0 if payload else -1)
            assert there.stats.recursion_failures == 1

    world.run(work())


def test_our_own_names_never_wait_for_others(world: World) -> None:
    async def work() -> None:
        async with name_server(silence) as upstream, served(world, upstream, recursor_timeout_max_ms=20_000) as there:
            waiting = asyncio.ensure_future(there.ask(WWW))
            await upstream.asked.wait()
            for _ in range(3):
                assert data(await there.ask("web.service.consul")) == ["10.0.0.1"]
            assert not waiting.done()
            upstream.send(reply(upstream.queries[0], ANSWER).to_wire())
            assert data(await waiting) == ["192.0.2.1"]

    world.register("web")
    world.run(work())


def test_an_answer_that_cannot_be_read_is_a_failure(world: World) -> None:
    def answering(query: dns.message.Message, _tcp: bool) -> bytes:
        return reply(query, ANSWER).to_wire()[:-3]

    async def work() -> None:
        async with name_server(answering) as upstream, served(world, upstream) as there:
            assert outline(await there.ask(WWW))[0] == "SERVFAIL"

    world.run(work())


def test_too_many_that_wait_get_servfail(world: World) -> None:
    async def work() -> None:
        limits = {"recursor_timeout_max_ms": 20_000, "recursor_parallel_max_count": 1}
        async with name_server(silence) as upstream, served(world, upstream, **limits) as there:
            waiting = asyncio.ensure_future(there.ask(WWW))
            await upstream.asked.wait()
            assert outline(await there.ask("other.example.com"))[0] == "SERVFAIL"
            assert data(await there.ask("db.service.consul")) == ["db.example.com."]
            upstream.send(reply(upstream.queries[0], ANSWER).to_wire())
            assert data(await waiting) == ["192.0.2.1"]
            assert len(upstream.queries) == 1

    world.register("db", address="db.example.com")
    world.run(work())


def test_others_can_be_asked_before_the_catalog_is_there(world: World) -> None:
    async def work() -> None:
        async with name_server(says(ANSWER)) as upstream, served(world, upstream) as there:
            world.registry.ready = False
            assert data(await there.ask(WWW)) == ["192.0.2.1"]
            assert outline(await there.ask("web.service.consul"))[0] == "SERVFAIL"
            world.registry.ready = True

    world.run(work())


def test_late_answers_of_a_connection_overtake_nothing_and_reach_who_asks_no_more(world: World) -> None:
    async def work() -> None:
        async with name_server(says(ANSWER)) as upstream, served(world, upstream) as there:
            queries = [dns.message.make_query(name, "A", id=number) for number, name in enumerate([WWW, "web.service.consul"] * 3, 1)]
            reader, writer = await asyncio.open_connection(there.host, there.port)
            writer.write(b"".join(len(wire).to_bytes(2, "big") + wire for wire in (query.to_wire() for query in queries)))
            writer.write_eof()
            stream = await reader.read()
            writer.close()
            answers = {}
            while stream:
                end = 2 + int.from_bytes(stream[:2], "big")
                response = dns.message.from_wire(stream[2:end])
                answers[response.id] = data(response)
                stream = stream[end:]
            assert answers == {number: ["192.0.2.1"] if number % 2 else ["10.0.0.1"] for number in range(1, 7)}

    world.register("web")
    world.run(work())


def test_everybody_gets_the_answer_to_the_own_question_in_whatever_order_they_come(world: World) -> None:
    names = [f"{'wWw' if number % 3 else 'www'}{number % 20}.example.com" for number in range(60)]

    async def work() -> None:
        loop, gates = asyncio.get_running_loop(), {f"www{number}": asyncio.Event() for number in range(20)}

        async def late(server: NameServer, query: dns.message.Message, peer: tuple[str, int]) -> None:
            host = query.question[0].name.to_text().split(".")[0].lower()
            await gates[host].wait()
            server.send_to(reply(query, f"{host}.example.com. 60 A 192.0.2.{host.removeprefix('www')}").to_wire(), peer)

        async with name_server(silence) as upstream, served(world, upstream, recursor_timeout_max_ms=20_000) as there:
            tasks = upstream.later(late)
            asking = [loop.create_task(there.ask(name, payload=0 if name[1] == "w" else 1232)) for name in names]
            while len(upstream.queries) < 40:  # 20 names, each with and without EDNS: equal questions are one
                upstream.asked.clear()
                await upstream.asked.wait()
            for number in range(19, -1, -1):
                gates[f"www{number}"].set()
                await asyncio.sleep(0)
            for name, response in zip(names, await asyncio.gather(*asking), strict=True):
                last = name.removesuffix(".example.com")[3:]
                assert response.question[0].name.to_text() == f"{name}."
                assert data(response) == [f"192.0.2.{last}"]
            await asyncio.gather(*tasks)
            assert len(upstream.ports) == 40

    world.run(work())


# -- CNAME records of ours that lead to others


def test_a_host_name_comes_with_what_it_leads_to(world: World) -> None:
    def answering(query: dns.message.Message, _tcp: bool) -> bytes:
        records = {"db.example.com.": ["db.example.com. 60 CNAME a.example.com.", *(f"a.example.com. 61 A 192.0.2.{n}" for n in range(9))]}
        return reply(query, *records[query.question[0].name.to_text()]).to_wire()

    async def work() -> None:
        async with name_server(answering) as upstream, served(world, upstream) as there:
            alone = ["db.service.consul. 2 CNAME db.example.com."]
            for _ in range(3):
                answer = section((await there.ask("db.service.consul")).answer)
                assert answer[:2] == [*alone, "db.example.com. 60 CNAME a.example.com."]
                assert sorted(answer[2:]) == [f"a.example.com. 61 A 192.0.2.{n}" for n in range(4)]  # five records of others at most
            assert section((await there.ask("db.service.consul", flags=dns.flags.Flag(0))).answer) == alone
            assert section((await there.ask("db.service.consul", "CNAME")).answer) == alone
            assert section((await there.ask("alias.service.consul")).answer)[:2] == [
                "alias.service.consul. 2 CNAME db.service.consul.", "db.service.consul. 2 CNAME db.example.com.",
            ]  # fmt: skip
            world.registry.ready = False
            assert outline(await there.ask("db.service.consul"))[0] == "SERVFAIL"
            world.registry.ready = True

    world.register("db", address="db.example.com")
    world.register("alias", address="db.service.consul")
    world.run(work())


def test_what_they_say_of_a_host_name_is_cut_to_the_size_of_the_client(world: World) -> None:
    steps = [f"{letter * 60}.{letter * 60}.{letter * 60}.example.com." for letter in "abcd"]
    chain = [f"{one} 60 CNAME {other}" for one, other in pairwise(["db.example.com.", *steps])]

    async def work() -> None:
        async with name_server(says(*chain, f"{steps[-1]} 60 A 192.0.2.1")) as upstream, served(world, upstream) as there:
            short = await there.ask("db.service.consul")
            assert (len(short.to_wire()) <= 512, bool(short.flags & dns.flags.TC)) == (True, True)
            for response in (await there.ask("db.service.consul", payload=4096), await there.ask("db.service.consul", tcp=True)):
                assert (len(data(response)), bool(response.flags & dns.flags.TC)) == (6, False)

    world.register("db", address="db.example.com")
    world.run(work())


def test_a_host_name_stands_alone_when_nobody_knows_more(world: World) -> None:
    async def work() -> None:
        async with name_server(silence) as upstream, served(world, upstream, recursor_timeout_max_ms=100) as there:
            assert section((await there.ask("db.service.consul")).answer) == ["db.service.consul. 2 CNAME db.example.com."]

    world.register("db", address="db.example.com")
    world.run(work())


# -- reverse


def test_addresses_of_nobody_here_are_asked_upstream(world: World) -> None:
    async def work() -> None:
        async with name_server(says("1.2.0.192.in-addr.arpa. 60 PTR www.example.com.")) as upstream, served(world, upstream) as there:
            for _ in range(2):
                assert data(await there.ask("1.2.0.192.in-addr.arpa", "PTR")) == ["www.example.com."]
            assert len(upstream.queries) == 2
            assert data(await there.ask("1.0.0.10.in-addr.arpa", "PTR")) == ["n1.node.dc1.consul."]
            assert len(upstream.queries) == 2

    world.register("web")
    world.run(work())


@pytest.mark.parametrize("recursor", ["dns.example.com", "127.0.0.1:0", "127.0.0.1:8600"])
def test_a_recursor_that_is_none_or_we_ourselves_stops_the_start(world: World, recursor: str) -> None:
    with pytest.raises(InvalidError, match="recursor"):
        PLUGIN.build(world.registry, DnsSettings(recursors=(recursor,)))
