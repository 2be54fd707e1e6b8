import asyncio
import contextlib
import random
import socket
import ssl
import tomllib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import dns.asyncbackend
import dns.asyncquery
import dns.flags
import dns.message
import msgspec
import pytest
import trustme
import uvloop

from callboard.frontend.dns.plugin import PLUGIN
from callboard.frontend.dns.settings import DnsSettings, DnsStats
from callboard.model.check import Status
from callboard.model.errors import InvalidError
from callboard.net.tls import ServerTls, TlsFiles
from callboard.testing.digest import digest
from tests.frontend.dns.world import LoopFactory, World, a_world, data, outline, registration
from tests.servers import free_port, split_address

WEB = "web.service.consul"


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    factory: LoopFactory = request.param
    with a_world(loop_factory=factory) as world:
        yield world


class Served:
    def __init__(self, address: str, stats: DnsStats) -> None:
        self.host, self.port = split_address(address)
        self.stats = stats
        self._backend = dns.asyncbackend.get_backend("asyncio")

    async def udp(self, name: str, kind: str = "A") -> dns.message.Message:
        query = dns.message.make_query(name, kind)
        return await dns.asyncquery.udp(query, self.host, 10, self.port, backend=self._backend)

    async def tcp(self, name: str, kind: str = "A") -> dns.message.Message:
        query = dns.message.make_query(name, kind)
        return await dns.asyncquery.tcp(query, self.host, 10, self.port, backend=self._backend)


@contextlib.asynccontextmanager
async def served(world: World) -> AsyncIterator[Served]:
    frontend = PLUGIN.build(world.registry, DnsSettings(port=0))
    assert frontend.listener is not None
    assert isinstance(frontend.stats, DnsStats)
    (address,) = await frontend.listener.start()
    try:
        yield Served(address, frontend.stats)
    finally:
        await frontend.listener.stop()


def test_a_registration_is_found_over_udp_and_tcp_and_gone_when_it_fails(world: World) -> None:
    async def found() -> tuple[list[str], list[str]]:
        async with served(world) as there:
            return data(await there.udp(WEB)), data(await there.tcp(WEB, "SRV"))

    world.register("web", address="10.0.0.7")
    assert world.run(found()) == (["10.0.0.7"], ["1 1 80 0a000007.addr.dc1.consul."])
    world.report("web", Status.CRITICAL)
    assert world.run(found()) == ([], [])


def test_a_running_listener_hears_of_changes(world: World) -> None:
    async def work() -> None:
        async with served(world) as there:
            for _ in range(3):
                assert outline(await there.udp(WEB))[0] == "NXDOMAIN"
            future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            world.registry.submit(registration("web", address="10.0.0.7")).then(future.set_result)
            await future
            assert data(await there.udp(WEB)) == data(await there.tcp(WEB)) == ["10.0.0.7"]

    world.run(work())


def test_a_truncated_answer_can_be_had_whole_over_tcp(world: World) -> None:
    async def work() -> None:
        async with served(world) as there:
            short, whole = await there.udp(WEB), await there.tcp(WEB)
            assert short.flags & dns.flags.TC
            assert not whole.flags & dns.flags.TC
            assert 0 < len(data(short)) < len(data(whole)) == 200

    world.do(*(registration("web", f"w{i}", address=f"10.1.0.{i}") for i in range(200)))
    world.run(work())


@pytest.mark.parametrize("size", [1, 5, 4096])
def test_many_queries_on_one_connection_are_answered_in_order_however_they_are_cut(world: World, size: int) -> None:
    async def work() -> None:
        async with served(world) as there:
            queries = [dns.message.make_query(name, "SRV", id=number) for number, name in enumerate([WEB, "x.service.consul", "a.b"] * 20)]
            stream = b"".join(len(wire).to_bytes(2, "big") + wire for wire in (query.to_wire() for query in queries))
            reader, writer = await asyncio.open_connection(there.host, there.port)
            for start in range(0, len(stream), size):
                writer.write(stream[start : start + size])
                await asyncio.sleep(0)
            for query in queries:
                wire = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
                assert query.is_response(dns.message.from_wire(wire))
            writer.close()

    world.register("web")
    world.run(work())


def test_garbage_changes_nothing(world: World) -> None:
    async def work() -> None:
        chance = random.Random(11)
        async with served(world) as there:
            before = digest(world.registry.view)
            for _ in range(4):
                _, writer = await asyncio.open_connection(there.host, there.port)
                with contextlib.suppress(ConnectionError):
                    writer.write(chance.randbytes(65_536))
                    await writer.drain()
                    writer.write_eof()
                writer.close()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                for size in (0, 1, 11, 12, 500, 4096, 65_507):
                    sock.sendto(chance.randbytes(size), (there.host, there.port))
            assert data(await there.udp(WEB)) == data(await there.tcp(WEB)) == ["10.0.0.1"]
            assert digest(world.registry.view) == before

    world.register("web")
    world.run(work())


def test_without_a_host_there_is_no_dns(world: World) -> None:
    frontend = PLUGIN.build(world.registry, DnsSettings(host=""))
    assert (frontend.listener, frontend.stats, frontend.sites) == (None, None, ())


@pytest.mark.parametrize("which", ["domain", "alternative_domain"])
def test_a_domain_that_is_no_name_stops_the_start(world: World, which: str) -> None:
    with pytest.raises(InvalidError, match="domain name: each part between dots must have 1 to 63 bytes"):
        PLUGIN.build(world.registry, msgspec.convert({which: "a..b"}, DnsSettings))


@pytest.mark.parametrize("secured", [True, False])
def test_tls_has_a_port_of_its_own_when_there_is_a_certificate(world: World, tmp_path: Path, secured: bool) -> None:
    async def work() -> None:
        frontend = PLUGIN.build(world.registry, DnsSettings(port=0, tls_port=free_port()))
        assert frontend.listener is not None
        assert frontend.secured is not None
        authority = trustme.CA()
        if secured:
            frontend.secured(certificate(authority, tmp_path))
        try:
            addresses = await frontend.listener.start()
            assert len(addresses) == (2 if secured else 1)
            if secured:
                context = ssl.create_default_context()
                authority.configure_trust(context)
                host, port = split_address(addresses[1])
                for kind in ("A", "SRV"):
                    query = dns.message.make_query(WEB, kind)
                    response = await dns.asyncquery.tls(query, host, 20, port, ssl_context=context, server_hostname="dns.test")
                    assert len(data(response)) == 1
        finally:
            await frontend.listener.stop()

    world.register("web")
    world.run(work())


def certificate(authority: trustme.CA, folder: Path) -> ServerTls:
    """A server's certificate for dns.test, and its key."""
    made = authority.issue_cert("dns.test")
    made.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    made.private_key_pem.write_to_path(folder / "key.pem")
    return ServerTls(TlsFiles(str(folder / "cert.pem"), str(folder / "key.pem")))


@pytest.mark.parametrize(("name", "value"), [("service_ttl_s", -1), ("edns_max_bytes", 511), ("answers_max_count", 0), ("port", 70_000)])
def test_settings_out_of_their_range_are_refused(name: str, value: int) -> None:
    with pytest.raises(msgspec.ValidationError, match=name):
        msgspec.convert({name: value}, DnsSettings)


def test_the_readme_shows_every_setting_with_its_default() -> None:
    text = (Path(__file__).resolve().parents[3] / "src/callboard/frontend/dns/README.md").read_text("utf-8")
    shown = tomllib.loads(text.partition("```toml\n")[2].partition("```")[0])["tune"]["dns"]
    fields = msgspec.to_builtins(DnsSettings())
    assert shown == {name: value for name, value in fields.items() if name not in {"host", "port", "domain", "recursors"}}
