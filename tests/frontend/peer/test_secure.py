"""Messages between members over TLS: whoever is asked proves who it is, and may want the same of who asks."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from callboard.frontend.peer.courier import HttpCourier
from callboard.frontend.peer.settings import PeerSettings, PeerStats
from callboard.model.members import Card
from callboard.net.http.server import HttpServer
from callboard.net.http.settings import HttpSettings
from callboard.net.tls import ServerTls, TlsFiles
from callboard.registry.peers import UnreachableError
from tests.certificates import Authority
from tests.frontend.peer.cluster import HERE
from tests.frontend.peer.test_exchange import SENDER, Place
from tests.net.http.fake import run


@asynccontextmanager
async def secured(authority: Authority, *, client_ca: bool = False) -> AsyncIterator[tuple[Place, HttpServer]]:
    """A member behind HTTPS."""
    place = Place(Card(name="asked", nonce="a1", secret="what stands on the card"))
    tls = ServerTls(TlsFiles(*authority.issue("server"), authority.ca if client_ca else ""))
    http = HttpServer((place.site(PeerSettings()),), HttpSettings(), lambda: 0)
    ((host, port), *_) = await http.start(HERE, 0, tls=tls)
    place.card = replace(place.card, url=f"https://{host}:{port}")
    try:
        yield place, http
    finally:
        await http.stop(0.5)


async def ask(place: Place, settings: PeerSettings, *messages: bytes) -> list[bytes]:
    courier = HttpCourier(Place(SENDER, (SENDER, place.card)), settings, PeerStats())
    try:
        return [await courier.exchange(place.card, message, 60.0) for message in messages]
    finally:
        await courier.close()


def test_messages_go_over_kept_connections(tmp_path: Path) -> None:
    async def scenario() -> None:
        authority = Authority(tmp_path)
        async with secured(authority) as (place, http):
            messages = [b"x" * size for size in (0, 1, 70_000, 2_000_000)]
            assert await ask(place, PeerSettings(ca_file=authority.ca), *messages) == [b"echo " + message for message in messages]
            assert http.stats.connections_made == 1

    run(scenario())


def test_who_is_not_trusted_gets_no_message(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with secured(Authority(tmp_path)) as (place, _):
            other = Authority(tmp_path, "other")
            for settings in (PeerSettings(ca_file=other.ca), PeerSettings()):
                with pytest.raises(UnreachableError, match="certificate") as caught:
                    await ask(place, settings, b"hi")
                assert caught.value.sent is False
            with pytest.raises(UnreachableError, match=r"tune\.peer\.ca_file: /nowhere cannot be read"):
                await ask(place, PeerSettings(ca_file="/nowhere"), b"hi")
            assert place.heard == []

    run(scenario())


def test_why_a_member_is_not_reached_is_said_once_and_that_it_is_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        authority, other = Authority(tmp_path), Authority(tmp_path, "other")
        async with secured(authority) as (place, _):
            courier = HttpCourier(Place(SENDER, (SENDER, place.card)), PeerSettings(ca_file=other.ca), PeerStats())
            for _ in range(3):
                with pytest.raises(UnreachableError):
                    await courier.exchange(place.card, b"hi", 5.0)
            shutil.copyfile(authority.ca, other.ca)
            for _ in range(2):
                await courier.exchange(place.card, b"hi", 5.0)
            await courier.close()
            said = [record.getMessage() for record in caplog.records if record.name.endswith("courier")]
            assert len(said) == 2, said
            assert said[0].startswith(f"member asked is not reached at {place.card.url}: ")
            assert "certificate" in said[0]
            assert said[1] == f"member asked is reached at {place.card.url} again"

    run(scenario())


def test_a_member_that_wants_certificates_is_shown_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        authority = Authority(tmp_path)
        async with secured(authority, client_ca=True) as (place, _):
            with pytest.raises(UnreachableError):
                await ask(place, PeerSettings(ca_file=authority.ca), b"hi")
            cert, key = authority.issue("member", "member")
            settings = PeerSettings(ca_file=authority.ca, cert_file=cert, key_file=key)
            assert await ask(place, settings, b"hi") == [b"echo hi"]

    run(scenario())
