"""The whole SDK over Consul's protocol: sign in, be found by everybody, be called through whatever happens to the registry."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import dns.message
import dns.query
import dns.rdatatype
import pytest

import callboard
import callboard.aio
from callboard.client import Client
from callboard.client.board_settings import BoardSettings
from callboard.client.errors import NoInstanceError
from callboard.client.settings import ClientSettings
from callboard.model.check import Status
from callboard.model.instance import Phase
from tests.servers import ServerProcess, free_port, running_server, start_server
from tests.support import poll_until

QUICK: Final = BoardSettings(lease_ms=1_500, takeover_ms=50, drain_notice_ms=200, drain_finish_ms=60_000, first_wait_ms=60_000)


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("CALLBOARD_SNAPSHOTS", "off")


@contextlib.contextmanager
def accepting() -> Iterator[int]:
    """A port that takes calls: each connection is answered with its number."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.sendall(str(port).encode())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield port
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(60)


def call(board: callboard.Board, service: str) -> int:
    """One call to whoever is picked: the port that answered."""
    with board.service(service).pick() as endpoint, socket.create_connection((endpoint.address, endpoint.port), timeout=60) as sock:
        return int(sock.recv(16))


def connect(server: ServerProcess) -> callboard.Board:
    return callboard.connect(server.url.replace("http://", "consul://"), settings=QUICK)


def found_by_dns(server: ServerProcess, service: str) -> set[int]:
    host, port = server.dns
    answer = dns.query.udp(dns.message.make_query(f"{service}.service.consul", "SRV"), host, port=port, timeout=60)
    return {record.port for rrset in answer.answer if rrset.rdtype == dns.rdatatype.SRV for record in rrset}


def test_who_signs_in_is_found_through_every_door(server: ServerProcess) -> None:
    with accepting() as port, connect(server) as board, Client(ClientSettings(urls=(server.url,))) as native:
        with board.register("everywhere", port=port, version="2.1.0", tags=("blue",)) as me:
            me.wait(60)
            assert (me.state, me.node) == ("registered", native.status().node)
            (seen,) = native.instances("everywhere").instances
            assert (seen.id, seen.port, seen.status, seen.meta["version"], seen.tags) == (me.id, port, Status.PASSING, "2.1.0", ("blue",))
            assert found_by_dns(server, "everywhere") == {port}
            assert call(board, "everywhere") == port
            me.set_status("warning", "slow")
            poll_until(lambda: native.instances("everywhere").instances[0].status is Status.WARNING)
            assert [summary.instances for summary in board.services().services if summary.name == "everywhere"] == [1]
        assert native.instances("everywhere").instances == ()
        poll_until(lambda: board.service("everywhere").snapshot.instances == ())
        with pytest.raises(NoInstanceError):
            call(board, "everywhere")


def test_calls_go_on_while_the_registry_dies_and_comes_back_with_nothing() -> None:
    address = ("--dev", "--http", f"127.0.0.1:{free_port()}")
    server = start_server(*address)
    with contextlib.ExitStack() as stack:
        ports = {stack.enter_context(accepting()) for _ in range(2)}
        board = stack.enter_context(connect(server))
        registered = [stack.enter_context(board.register("steady", port=port)) for port in ports]
        for one in registered:
            one.wait(60)
        poll_until(lambda: len(board.service("steady").endpoints) == 2)
        assert {call(board, "steady") for _ in range(50)} == ports
        server.kill()
        poll_until(lambda: all(one.state == "lost" for one in registered) and bool([call(board, "steady")]))
        again = stack.enter_context(running_server(*address))
        native = stack.enter_context(Client(ClientSettings(urls=(again.url,))))
        poll_until(lambda: call(board, "steady") in ports and len(native.instances("steady").instances) == 2)
        poll_until(lambda: board.service("steady").snapshot.held == 0 and board.service("steady").age_s == 0)
        assert {call(board, "steady") for _ in range(50)} == ports


def test_who_drains_is_not_called_any_more_and_leaves_when_his_work_has_ended(server: ServerProcess) -> None:
    with contextlib.ExitStack() as stack:
        port, other = stack.enter_context(accepting()), stack.enter_context(accepting())
        board, callers = stack.enter_context(connect(server)), stack.enter_context(connect(server))
        me, stays = (stack.enter_context(board.register("leaving", port=each)) for each in (port, other))
        me.wait(60)
        stays.wait(60)
        poll_until(lambda: len(callers.service("leaving").endpoints) == 2)
        with me.working():
            assert me.drain(wait=False) is False
            poll_until(lambda: {call(callers, "leaving") for _ in range(20)} == {other})
            phases = {found.port: found.phase for found in callers.instances("leaving").instances}
            assert phases == {port: Phase.DRAINING, other: Phase.SERVING}
        poll_until(lambda: me.state == "ended")
        assert {found.port for found in callers.instances("leaving").instances} == {other}


def test_versions_are_chosen_by_the_caller(server: ServerProcess) -> None:
    with accepting() as old, accepting() as new, connect(server) as board:
        for port, version in ((old, "1.9.0"), (new, "2.3.1")):
            board.register("versioned", port=port, version=version)
        poll_until(lambda: len(board.service("versioned").endpoints) == 2)
        assert [found.port for found in board.service("versioned", version="^2.1").endpoints] == [new]
        assert [found.port for found in board.service("versioned", prefer="oldest").endpoints] == [old]


def test_an_asyncio_program_does_the_same(server: ServerProcess) -> None:
    async def program(port: int) -> int:
        url = server.url.replace("http://", "consul://")
        async with callboard.aio.connect(url, settings=QUICK) as board, board.register("awaited", port=port) as me:
            await me.wait(60)
            users = board.service("awaited")
            async for snapshot in users.watch():
                if snapshot.instances:
                    break
            async with users.pick() as endpoint:
                return endpoint.port

    with accepting() as port:
        assert asyncio.run(program(port)) == port
