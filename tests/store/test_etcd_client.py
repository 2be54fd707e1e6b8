"""The client of etcd when it is closed while somebody asks: whoever asked is told in the client's own words, never in gRPC's."""

import asyncio

import msgspec
import pytest

from callboard.net.tasks import spawn
from callboard.store.etcd.client import Client
from callboard.store.etcd.failures import Cause, EtcdError
from callboard.store.etcd.messages import MESSAGES
from callboard.store.etcd.requests import range_request, watch_request
from callboard.store.etcd.settings import EtcdSettings
from callboard.store.etcd.stats import EtcdStats
from tests.servers import free_port
from tests.support import PATIENCE_S, run

WAIT_MS = 600_000


def client_of_nobody() -> Client:
    """Nobody listens there; it would be waited for much longer than any test lasts."""
    settings = EtcdSettings(endpoints=(f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"))
    client = Client(msgspec.structs.replace(settings, connect_timeout_ms=WAIT_MS, read_timeout_ms=WAIT_MS), EtcdStats())
    client.open()
    return client


def told(error: BaseException | None) -> Cause:
    assert isinstance(error, EtcdError), error
    return error.cause


async def watched(client: Client) -> None:
    async with client.stream(watch_request(b"k", b"l", 1)):
        raise AssertionError("nobody is there to be watched")


ASKING = {
    "connected": lambda client: client.connected(),
    "read": lambda client: client.read("Range", range_request(b"k")),
    "write": lambda client: client.write("LeaseGrant", MESSAGES["LeaseGrantRequest"](TTL=9), WAIT_MS),
    "stream": watched,
}


@pytest.mark.parametrize("how", ASKING)
def test_who_waits_for_a_connection_while_the_client_is_closed_is_told(how: str) -> None:
    async def work() -> None:
        client = client_of_nobody()
        asking = spawn(ASKING[how](client), name="asking")
        await asyncio.sleep(0.05)
        await client.close()
        await asyncio.wait({asking}, timeout=PATIENCE_S)
        assert told(asking.exception()) is Cause.UNSENT

    run(work())


@pytest.mark.parametrize("how", ASKING)
def test_who_asks_a_closed_client_is_told(how: str) -> None:
    async def work() -> None:
        client = client_of_nobody()
        await client.close()
        with pytest.raises(EtcdError) as refused:
            await ASKING[how](client)
        assert refused.value.cause is Cause.UNSENT

    run(work())


@pytest.mark.parametrize("how", ["write", "stream"])
def test_a_client_that_is_closed_between_finding_an_endpoint_and_asking_it_says_so(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        client = client_of_nobody()
        endpoint = client.endpoint
        await client.close()

        async def found() -> object:
            return endpoint

        monkeypatch.setattr(client, "connected", found)
        with pytest.raises(EtcdError) as refused:
            await ASKING[how](client)
        assert refused.value.cause is Cause.UNSENT

    run(work())
