"""Large catalogs, written into the engine as the leader would write them: what takes minutes through a door takes seconds so."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from callboard.core.catalog.codec import encode
from callboard.model.check import Check, Status, TtlCheck
from callboard.model.instance import Instance, Node
from callboard.model.rows import Group, Key, Revision, Row, check_key, instance_key, node_key
from callboard.model.time import HOUR, Duration, Timestamp
from callboard.registry.clock import SystemClock, SystemEntropy
from callboard.store.sqlite.settings import SqliteSettings
from callboard.store.sqlite.store import SqliteStore

PER_NODE = 50
SERVICES = 1_000
GROUP_INSTANCES = 10_000


def rows_of(numbers: Sequence[int], revision: int = 1, services: int = SERVICES) -> list[Row]:
    """Instances and their checks, as the leader writes them."""
    rows: dict[Key, Row] = {}
    at = Revision(revision)
    for number in numbers:
        host, service = f"host-{number // PER_NODE}", f"s{number % services}"
        node = Node(name=host, address=f"10.{number >> 16 & 255}.{number >> 8 & 255}.1", nonce=f"n{number // PER_NODE}", implicit=True)
        instance = Instance(
            namespace="public", service=service, node=host, id=f"{service}-{number}", nonce=f"i{number}", address="10.0.0.1", port=8080,
            tags=("v1", "primary"), meta={"version": "1.4.2", "region": "eu-1"},
        )  # fmt: skip
        check = Check(
            namespace="public", node=host, id=f"service:{instance.id}", definition=TtlCheck(Duration(HOUR)), status=Status.PASSING,
            nonce=f"c{number}", name="Service check", instance=instance.id, parent=instance.nonce, turned=Timestamp(1),
        )  # fmt: skip
        for key, value in (
            (node_key(host), node),
            (instance_key("public", host, instance.id), instance),
            (check_key("public", host, check.id), check),
        ):
            rows.setdefault(key, Row(key, encode(value), at))
    return list(rows.values())


def host_of(number: int) -> str:
    """The node of an instance of `rows_of`."""
    return f"host-{number // PER_NODE}"


def fill_directory(directory: str | Path, count: int, services: int = SERVICES) -> None:
    """Make a data directory with so many instances, one TTL check each."""
    asyncio.run(_fill_directory(str(directory), count, services))


async def _fill_directory(directory: str, count: int, services: int) -> None:
    clock, entropy = SystemClock(), SystemEntropy()
    store = SqliteStore(SqliteSettings(path=directory), clock.wall)
    await store.open()
    leadership = await store.campaign("bench")
    position = await store.head()
    for first in range(0, count, GROUP_INSTANCES):
        last = Revision(position.revision + 1)
        rows = {row.key: row for row in rows_of(range(first, min(count, first + GROUP_INSTANCES)), last, services)}
        position = await store.commit(Group(position, last, last, entropy.nonce().encode(), rows), leadership)
    await leadership.resign()
    await store.close()
