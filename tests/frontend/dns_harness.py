"""The harness of DNS: over real UDP, read by dnspython, which shares no code with ours."""

import asyncio
from collections.abc import Mapping

import dns.message
import dns.rdatatype
from msgspec import Struct

from callboard.frontend.dns.plugin import PLUGIN
from callboard.frontend.dns.settings import DnsSettings
from callboard.testing.frontend_suite_kit import Ability, Door, Endpoint, Harness

READ_ONLY = "DNS only asks"


class DnsHarness(Harness):
    plugin = PLUGIN
    cannot: Mapping[Ability, str] = {
        Ability.HTTP: "it has a listener of its own",
        **dict.fromkeys((Ability.REGISTER, Ability.DEREGISTER, Ability.HEARTBEAT), READ_ONLY),
    }

    @property
    def settings(self) -> Struct:
        return DnsSettings(port=0)

    def find(self, door: Door, service: str) -> set[Endpoint]:
        query = dns.message.make_query(f"{service}.service.consul", "SRV", use_edns=True)
        answer = dns.message.from_wire(door.world.run(ask(door.addresses[0], query.to_wire())))
        addresses = {rrset.name: rrset[0].address for rrset in answer.additional if rrset.rdtype == dns.rdatatype.A}
        records = [record for rrset in answer.answer for record in rrset]
        return {Endpoint(addresses[record.target], record.port) for record in records}


class Asker(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.answer.set_result(data)


async def ask(address: str, query: bytes) -> bytes:
    host, _, port = address.rpartition(":")
    transport, asker = await asyncio.get_running_loop().create_datagram_endpoint(Asker, remote_addr=(host, int(port)))
    try:
        transport.sendto(query)
        async with asyncio.timeout(10):
            return await asker.answer
    finally:
        transport.close()
