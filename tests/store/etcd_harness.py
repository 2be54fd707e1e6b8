"""Members on a real etcd, each with its own way to it, for the suite and for the tests of the etcd store."""

import asyncio
import contextlib
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec

from callboard.model.errors import UnavailableError
from callboard.model.rows import Position
from callboard.model.time import Instant
from callboard.store.contract import Store
from callboard.store.etcd.settings import EtcdSettings
from callboard.store.etcd.store import EtcdStore
from callboard.testing.etcd import Etcd
from callboard.testing.proxy import Mode, Proxy

HISTORY = 52
_prefixes = itertools.count()


def now() -> Instant:
    return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME))


PATIENT = {"leader_ttl_s": 15, "member_ttl_s": 15, "commit_timeout_ms": 15_000, "read_timeout_ms": 15_000, "keepalive_timeout_ms": 10_000}
"""A machine that stands still for seconds expires no lease and leaves no call without an answer: tests that want that say so."""
PROMPT = {"commit_timeout_ms": 2_000, "read_timeout_ms": 2_000, "keepalive_timeout_ms": 2_000}
"""As the program has it, for tests in which etcd or the way to it fails."""


def settings_of(etcd: Etcd, prefix: str, **changes: object) -> EtcdSettings:
    """Small, and patient."""
    settings = EtcdSettings(endpoints=etcd.endpoints, prefix=prefix, check_interval_ms=500)
    if etcd.security is not None:
        safe = etcd.security
        paths = {
            "tls_ca_path": safe.certificate,
            "tls_cert_path": safe.certificate,
            "tls_key_path": safe.key,
            "password_path": safe.password,
        }
        settings = msgspec.structs.replace(settings, user=safe.user, **{name: str(path) for name, path in paths.items()})
    return msgspec.structs.replace(settings, **{**PATIENT, **changes})


def fresh_prefix() -> str:
    """Below callboard/, where the user of a secure etcd may write."""
    return f"callboard/{next(_prefixes)}"


def make_store(settings: EtcdSettings) -> EtcdStore:
    return EtcdStore(settings, now, lambda: secrets.token_urlsafe(9))


async def head_of(store: Store) -> Position:
    """The head, as soon as somebody says it."""
    while True:
        with contextlib.suppress(UnavailableError):
            return await store.head()


class EtcdHarness:
    """Several members on one prefix of an etcd that other cases use too. Each member's way to every node can be cut."""

    deviations: Mapping[str, str] = {}
    patience_s = 60.0

    def __init__(self, etcd: Etcd, **changes: object) -> None:
        self.etcd = etcd
        self.prefix = fresh_prefix()
        self._changes = changes
        self._opened: dict[EtcdStore, list[Proxy]] = {}
        self._backups = itertools.count()

    def settings(self) -> EtcdSettings:
        limits = {"value_max_bytes": 4000, "group_max_rows": 100, "parts_max_rows": 600, "request_max_bytes": 100_000}
        limits |= {"history_max_count": HISTORY, "load_page_max_rows": 30, "database_max_bytes": 7 * 1024 * 1024}
        return settings_of(self.etcd, self.prefix, **{**limits, **self._changes})

    async def open(self) -> EtcdStore:
        proxies = []
        for node in self.etcd.nodes:
            proxy = Proxy()
            proxy.lead_to("127.0.0.1", int(node.endpoint.rpartition(":")[2]))
            proxy.set_mode("open")
            proxies.append(proxy)
        endpoints = tuple(f"127.0.0.1:{proxy.port}" for proxy in proxies)
        store = make_store(msgspec.structs.replace(self.settings(), endpoints=endpoints))
        self._opened[store] = proxies
        await store.open()
        return store

    def links(self, store: EtcdStore) -> list[Proxy]:
        """The ways of one member to the nodes."""
        return self._opened[store]

    async def kill(self, store: Store) -> EtcdStore:
        """Its links end first, so that nothing it does at its end reaches etcd; the time that its lead lasts there is not waited for."""
        assert isinstance(store, EtcdStore)
        for proxy in self._opened[store]:
            proxy.set_mode("refuse")
        await store.close()
        await self.depose()
        return await self.open()

    async def backup(self) -> object:
        return await asyncio.to_thread(self.etcd.backup, f"backup{next(self._backups)}-{self.prefix.replace('/', '-')}")

    async def rewind(self, backup: object) -> None:
        assert isinstance(backup, Path)
        await asyncio.to_thread(self.etcd.restore, backup)

    async def depose(self) -> None:
        await asyncio.to_thread(self.etcd.remove, f"{self.prefix}/leader")

    async def expel(self, name: str) -> None:
        await asyncio.to_thread(self.etcd.remove, f"{self.prefix}/members/{name}")

    async def close(self) -> None:
        for store, proxies in self._opened.items():
            await store.close()
            for proxy in proxies:
                proxy.close()
        self._opened.clear()
        await asyncio.to_thread(self.etcd.remove, f"{self.prefix}/", f"{self.prefix}0")
        await asyncio.to_thread(self.etcd.compact)


@contextlib.asynccontextmanager
async def harness_of(etcd: Etcd, **changes: object) -> AsyncIterator[EtcdHarness]:
    """A harness that is closed at the end."""
    harness = EtcdHarness(etcd, **changes)
    try:
        yield harness
    finally:
        await harness.close()


def link(harness: EtcdHarness, store: EtcdStore, mode: Mode) -> None:
    """All ways of one member."""
    for proxy in harness.links(store):
        proxy.set_mode(mode)


def restart(etcd: Etcd) -> None:
    """Crash and start, and wait until it serves."""
    for node in etcd.nodes:
        node.restart()
    etcd.wait()
