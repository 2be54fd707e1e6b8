"""Messages between members over HTTP: only of members, answered by who was asked, and never waited for longer than was said."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from callboard.core.catalog.commands import Register
from callboard.frontend.base import Frontend
from callboard.frontend.peer.courier import MEMBER, NONCE, PATH, SIGNATURE, HttpCourier
from callboard.frontend.peer.plugin import PLUGIN, Exchange
from callboard.frontend.peer.settings import PeerSettings, PeerStats
from callboard.frontend.peer.signing import sign_answer, sign_question
from callboard.model.instance import InstanceSpec, NodeSpec
from callboard.model.members import Card
from callboard.net.http.message import Route, Site
from callboard.net.http.server import HttpServer
from callboard.net.http.settings import HttpSettings
from callboard.registry import messages as msg
from callboard.registry.peers import UnreachableError
from callboard.registry.pending import Promise
from tests.frontend.peer.cluster import HERE, Cluster, cluster
from tests.net.http.fake import run, until
from tests.support import PATIENCE_S, Stopwatch, repeated_if_stopped

SENDER = Card(name="sender mit Ümlaut", nonce="s1")


@dataclass
class Place:
    """A member of which only the peer frontend is real; what it answers is the test's to say."""

    card: Card
    members: tuple[Card, ...] = ()

    def __post_init__(self) -> None:
        self.heard: list[bytes] = []
        self.waiting: list[Promise[bytes]] = []
        self.holds = False
        self.stats = PeerStats()

    def hear(self, message: bytes) -> Promise[bytes]:
        self.heard.append(message)
        promise: Promise[bytes] = Promise()
        if self.holds:
            self.waiting.append(promise)
        else:
            promise.tell(b"echo " + message)
        return promise

    def site(self, settings: PeerSettings) -> Site:
        route = Route("POST", PATH, Exchange(self, self.stats).take, body_max_bytes=settings.message_max_bytes)  # type: ignore[arg-type]
        errors = PLUGIN.build(self, settings).sites[0].errors  # type: ignore[arg-type]  # what it needs of a registry
        return Site("/peer", (route,), errors)


@dataclass
class Pair:
    place: Place
    http: HttpServer
    courier: HttpCourier
    around: Place
    stats: PeerStats

    async def ask(self, message: bytes, timeout_s: float = PATIENCE_S, to: Card | None = None) -> bytes:
        return await self.courier.exchange(to or self.place.card, message, timeout_s)

    async def unreachable(self, message: bytes = b"hi", timeout_s: float = PATIENCE_S, to: Card | None = None) -> str:
        with pytest.raises(UnreachableError) as raised:
            await self.ask(message, timeout_s, to)
        return str(raised.value)


@asynccontextmanager
async def pair(settings: PeerSettings | None = None) -> AsyncIterator[Pair]:
    """A sender, and a member behind HTTP."""
    settings = settings or PeerSettings()
    place = Place(Card(name="asked", nonce="a1", secret="what stands on the card"))
    http = HttpServer((place.site(settings),), HttpSettings(), lambda: 0)
    ((host, port), *_) = await http.start(HERE, 0)
    place.card = replace(place.card, url=f"http://{host}:{port}")
    stats = PeerStats()
    around = Place(SENDER, (SENDER, place.card))
    courier = HttpCourier(around, settings, stats)
    try:
        yield Pair(place, http, courier, around, stats)
    finally:
        await courier.close()
        await http.stop(0.5)


def test_messages_and_answers_go_over_kept_connections() -> None:
    async def scenario() -> None:
        async with pair() as two:
            for size in (0, 1, 1_000, 60_000, 70_000, 2_000_000):
                message = b"x" * size
                assert await two.ask(message) == b"echo " + message
            assert two.http.stats.connections_made == 1
            assert (two.stats.sent, two.stats.unreachable, two.place.stats.heard, two.stats.connections_now) == (6, 0, 6, 1)

    run(scenario())


def test_a_message_of_seven_megabytes_arrives_and_a_larger_one_is_not_sent() -> None:
    async def scenario() -> None:
        async with pair() as two:
            message = bytes(range(256)) * 4_096 * 7
            assert len(await two.ask(message)) == len(message) + 5
            assert "message_max_bytes" in await two.unreachable(b"x" * 8_388_609)
            assert len(two.place.heard) == 1

    run(scenario())


def test_a_larger_message_than_the_receiver_takes_is_refused_by_it() -> None:
    async def scenario() -> None:
        async with pair() as two:
            small = PeerSettings(message_max_bytes=1_500_000)
            place = Place(replace(two.place.card))
            http = HttpServer((place.site(small),), HttpSettings(), lambda: 0)
            ((host, port), *_) = await http.start(HERE, 0)
            card = replace(place.card, url=f"http://{host}:{port}", nonce="a2")
            two.around.members = (SENDER, card)
            assert await two.ask(b"x" * 1_500_000, to=card) == b"echo " + b"x" * 1_500_000
            assert await two.unreachable(b"x" * 1_500_001, to=card)
            await http.stop(0.5)

    run(scenario())


# -- signatures


@pytest.mark.parametrize("how", ["no fields", "secret", "message", "member", "nonce", "answer as question"])
def test_who_does_not_sign_as_a_member_is_denied_without_a_hint(how: str) -> None:
    async def scenario() -> None:
        async with pair() as two:
            card, message = two.place.card, b"hi"
            signature = sign_question(card.secret, "m", "n", message)
            fields = {MEMBER: "m", NONCE: "n", SIGNATURE: signature}
            if how == "no fields":
                fields = {}
            elif how == "secret":
                fields[SIGNATURE] = sign_question("another", "m", "n", message)
            elif how == "message":
                message = b"ho"
            elif how == "answer as question":
                fields[SIGNATURE] = sign_answer(card.secret, signature, message)
            else:
                fields[MEMBER if how == "member" else NONCE] = "x"
            async with httpx.AsyncClient(verify=False) as client:
                response = await client.post(card.url + PATH, content=message, headers=fields)
            assert (response.status_code, response.text) == (401, "denied\n")
            assert (two.place.heard, two.place.stats.refused) == ([], 1)

    run(scenario())


def test_a_server_without_a_secret_takes_nothing() -> None:
    async def scenario() -> None:
        async with pair() as two:
            card = two.place.card
            two.place.card = replace(card, secret="")
            async with httpx.AsyncClient(verify=False) as client:
                response = await client.post(card.url + PATH, headers={SIGNATURE: sign_question("", "", "", b"")})
            assert response.status_code == 401
            assert "no secret" in await two.unreachable(to=two.place.card)

    run(scenario())


def test_a_member_that_was_started_again_has_another_secret() -> None:
    async def scenario() -> None:
        async with pair() as two:
            before = two.place.card
            two.place.card = replace(before, secret="a new one", nonce="a2")
            assert "401" in await two.unreachable(to=before)
            assert await two.ask(b"hi") == b"echo hi"
            assert (two.stats.sent, two.stats.unreachable) == (1, 1)

    run(scenario())


def test_an_answer_that_was_signed_for_another_question_or_by_nobody_is_none() -> None:
    async def scenario(answer: str) -> None:
        replayed: list[tuple[bytes, bytes]] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with_body = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(2)
            question = with_body.decode().partition(f"{SIGNATURE}: ")[2].partition("\r\n")[0]
            good = sign_answer("s", question, b"ok").encode()
            replayed.append((b"ok", good))
            field = {"good": good, "replayed": replayed[0][1], "none": b"", "other": sign_answer("t", question, b"ok").encode()}[answer]
            writer.write(
                b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n" + SIGNATURE.encode() + b": " + field + b"\r\n\r\nok"
            )
            writer.close()

        server = await asyncio.start_server(serve, HERE, 0)
        port = server.sockets[0].getsockname()[1]
        card = Card(name="asked", nonce="a", url=f"http://{HERE}:{port}", secret="s")
        courier = HttpCourier(Place(SENDER, (card,)), PeerSettings(), PeerStats())
        for message in (b"q1", b"q2"):
            if answer == "good" or (answer == "replayed" and message == b"q1"):
                assert await courier.exchange(card, message, PATIENCE_S) == b"ok"
            else:
                with pytest.raises(UnreachableError, match="signed by somebody else"):
                    await courier.exchange(card, message, PATIENCE_S)
        await courier.close()
        server.close()

    for answer in ("good", "replayed", "none", "other"):
        run(scenario(answer))


# -- links


def test_a_slow_member_is_given_up_in_time_and_asked_again_over_a_new_connection() -> None:
    async def scenario() -> None:
        async with pair() as two:
            await two.ask(b"hi")
            two.place.holds = True
            with Stopwatch() as watch:
                assert "no answer" in await two.unreachable(timeout_s=0.1)
            assert watch.seconds < 1
            two.place.holds = False
            assert await two.ask(b"again") == b"echo again"
            assert two.http.stats.connections_made == 2

    run(scenario())


def test_a_member_that_dies_in_the_middle_of_an_answer_was_not_reached() -> None:
    async def scenario() -> None:
        async with pair() as two:
            two.place.holds = True
            asked = asyncio.ensure_future(two.unreachable())
            await until(lambda: two.place.waiting)
            await two.http.stop(0.0)
            assert "closed" in await asked
            assert "refused" in await two.unreachable()

    run(scenario())


@pytest.mark.parametrize("url", ["", "https://127.0.0.1:1", "http://127.0.0.1", "http://[", "http://127.0.0.1:99999999"])
def test_a_card_without_a_place_cannot_be_reached(url: str) -> None:
    async def scenario() -> None:
        async with pair() as two:
            assert "asked" in await two.unreachable(to=replace(two.place.card, url=url, nonce="a2"))

    run(scenario())


def test_connections_to_members_that_left_are_closed() -> None:
    async def scenario() -> None:
        async with pair() as two:
            await two.ask(b"hi")
            again = replace(two.place.card, nonce="a2")
            two.around.members = (SENDER, again)
            await two.ask(b"hi", to=again)
            await until(lambda: two.http.stats.connections_now == 1)
            await two.courier.close()
            await until(lambda: two.http.stats.connections_now == 0)

    run(scenario())


# -- over the registry


def recorded(world: Cluster) -> tuple[dict[str, str], bytes]:
    """A registration as it goes from a member to the leader: fields and body."""
    term, card = world.leader.registry.view.term.number, world.leader.registry.card
    register = Register(nonce="n", node=NodeSpec(name="n1", address="10.0.0.1"), instance=InstanceSpec(service="web", id="web1"))
    message = msg.encode(msg.Commands("door", term, 1, (msg.Numbered(1, register),)))
    return {MEMBER: "m", NONCE: "n", SIGNATURE: sign_question(card.secret, "m", "n", message)}, message


def test_a_recorded_message_that_is_sent_again_does_nothing_again() -> None:
    async def scenario() -> None:
        async with cluster(("m1", "m2")) as world:
            fields, message = recorded(world)
            answers = []
            for _ in range(3):
                response = await world.leader.client.post(PATH, content=message, headers=fields)
                answers.append((response.status_code, response.content))
            assert len(set(answers)) == 1
            assert answers[0][0] == 200
            revision = world.leader.registry.revision
            assert len(await world.leader.json("/v1/health/service/web")) == 1
            await world.leader.client.post(PATH, content=message, headers=fields)
            assert world.leader.registry.revision == revision

    repeated_if_stopped(lambda: run(scenario()))


def test_bytes_that_are_no_message_are_refused_also_from_members() -> None:
    async def scenario() -> None:
        async with cluster(("m1", "m2")) as world:
            card = world.leader.registry.card
            fields = {MEMBER: "m", NONCE: "n", SIGNATURE: sign_question(card.secret, "m", "n", b"garbage")}
            response = await world.leader.client.post(PATH, content=b"garbage", headers=fields)
            assert response.status_code == 400

    run(scenario())


def test_the_frontend_tells_the_registry_where_and_with_what_secret_it_is_reached() -> None:
    class Connected:
        def __init__(self) -> None:
            self.told: list[tuple[str, str]] = []

        def connect(self, _courier: object, url: str, secret: str) -> None:
            self.told.append((url, secret))

        class Entropy:
            count = 0

            def nonce(self) -> str:
                self.count += 1
                return f"{self.count}-nonce"

        entropy = Entropy()

    for said, url in (("", "http://10.0.0.1:8500"), ("http://proxy:1", "http://proxy:1")):
        registry: Any = Connected()
        frontend: Frontend = PLUGIN.build(registry, PeerSettings(url=said))
        assert frontend.listening is not None
        frontend.listening("http://10.0.0.1:8500")
        ((told, secret),) = registry.told
        assert told == url
        assert len(set(secret.split("-nonce"))) == 4, "made of three nonces"
