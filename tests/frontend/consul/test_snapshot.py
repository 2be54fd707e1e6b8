"""Snapshots: what is in one, and a catalog that is made what one says while it is served."""

import gzip
import hashlib
import io
import json
import tarfile

import msgspec
import pytest

from callboard.frontend.consul.settings import ConsulSettings
from callboard.model.rows import Key, Revision, Row
from callboard.model.time import Timestamp
from callboard.wire import backup
from callboard.wire import consul_archive as archive
from tests.frontend.consul.harness import Served, consul, served
from tests.support import run

PATH = "/v1/snapshot"
WEB = {"Name": "web", "ID": "w1", "Port": 80, "Check": {"TTL": "30s", "Status": "passing"}}


async def saved(door: Served) -> bytes:
    response = await door.get(PATH)
    assert response.status_code == 200
    return response.content


async def restore(door: Served, snapshot: bytes) -> tuple[int, str]:
    response = await door.client.put(PATH, content=snapshot)
    return response.status_code, response.text


def members(snapshot: bytes) -> dict[str, bytes]:
    """As anybody's tar reads it."""
    with tarfile.open(fileobj=io.BytesIO(snapshot), mode="r:gz") as tar:
        return {info.name: tar.extractfile(info).read() for info in tar.getmembers()}  # type: ignore[union-attr]  # files only


def packed(state: bytes, *, meta: bytes = b"{}", sums: bytes | None = None) -> bytes:
    """A snapshot by hand."""
    told = sums if sums is not None else archive.sums(meta, hashlib.sha256(state).hexdigest())
    files = {archive.META: meta, archive.STATE: state, archive.SUMS: told}
    return gzip.compress(b"".join(archive.whole(name, data, 0) for name, data in files.items()) + archive.END)


def state_of(*rows: Row, level: int = 1) -> bytes:
    writer = backup.Writer()
    header = backup.Header(program="x", store="s", datacenter="dc1", revision=Revision(9), level=level, time=Timestamp(0))
    return writer.header(header) + writer.rows(rows) + writer.trailer()


NODE = Row(Key("n/n1"), b'{"v":1,"name":"n1","address":"10.0.0.1","nonce":"r"}', Revision(1))


def proxied(proxy: str) -> Row:
    """An instance with a proxy as nobody registers it."""
    instance = {"v": 1, "namespace": "public", "service": "web", "node": "n1", "id": "a", "nonce": "r", "proxy": proxy}
    return Row(Key("i/public/n1/a"), msgspec.json.encode(instance), Revision(1))


def test_a_snapshot_is_a_gzip_tar_with_sums_that_anybody_can_check() -> None:
    async def scenario() -> None:
        async with served() as door:
            await door.put("/v1/agent/service/register", WEB)
            response = await door.get(PATH)
            assert response.headers["content-type"] == "application/x-gzip"
            assert int(response.headers["x-consul-index"]) == door.consul.registry.revision
            assert response.headers["x-consul-lastcontact"] == "0"
            assert response.content[:2] == b"\x1f\x8b"
            files = members(response.content)
            assert list(files) == ["meta.json", "state.bin", "SHA256SUMS"]
            for line in files["SHA256SUMS"].decode().splitlines():
                digest, name = line.split()
                assert hashlib.sha256(files[name]).hexdigest() == digest
            meta = json.loads(files["meta.json"])
            assert {"Version", "ID", "Index", "Term", "Peers", "Configuration", "ConfigurationIndex", "Size"} < set(meta)
            assert meta["Version"] == 2, "a Consul that is given it by mistake must refuse it, and not load it"
            assert (meta["Index"], meta["Size"]) == (door.consul.registry.revision, len(files["state.bin"]))

    run(scenario())


def test_a_restore_brings_back_what_was_there_and_wakes_who_waits_for_it() -> None:
    async def scenario() -> None:
        async with served() as door:
            await door.put("/v1/agent/service/register", WEB)
            await door.put("/v1/event/fire/deploy")
            snapshot = await saved(door)
            await door.put("/v1/agent/service/deregister/w1")
            await door.put("/v1/agent/service/register", {"Name": "db", "ID": "d1"})
            before = {path: await door.get(path) for path in ("/v1/health/service/web", "/v1/health/service/db", "/v1/catalog/services")}
            waiting = [door.blocked(path, int(answer.headers["x-consul-index"])) for path, answer in before.items()]
            await door.parked(3)
            revision = door.consul.registry.revision
            assert await restore(door, snapshot) == (200, "")
            web, db, services = [await answer for answer in waiting]
            assert [entry["Service"]["ID"] for entry in web.json()] == ["w1"]
            assert [check["Status"] for check in web.json()[0]["Checks"]] == ["passing", "passing"]
            assert db.json() == []
            assert services.json() == {"consul": [], "web": []}
            assert door.consul.registry.revision > revision
            for path, answer in before.items():
                assert int((await door.get(path)).headers["x-consul-index"]) > int(answer.headers["x-consul-index"])

    run(scenario())


def test_the_same_snapshot_twice_and_of_another_server() -> None:
    async def scenario() -> None:
        async with served() as one:
            await one.put("/v1/agent/service/register", WEB)
            snapshot = await saved(one)
        async with served() as other:
            for _ in range(2):
                assert await restore(other, snapshot) == (200, "")
                assert (await other.get("/v1/catalog/services")).json() == {"consul": [], "web": []}
                assert (await other.get("/v1/status/leader")).json() == "127.0.0.1:8300"
            await other.put("/v1/agent/check/pass/service:w1")
            again = await saved(other)
            assert await restore(other, again) == (200, "")

    run(scenario())


def test_many_rows_survive_the_round() -> None:
    async def scenario() -> None:
        async with served() as door:
            for number in range(300):
                await door.put("/v1/agent/service/register", WEB | {"ID": f"w{number}", "Meta": {"n": "x" * 500}})
            snapshot = await saved(door)
            answer = (await door.get("/v1/catalog/service/web")).json()
            for number in range(0, 300, 2):
                await door.put(f"/v1/agent/service/deregister/w{number}")
            assert await restore(door, snapshot) == (200, "")
            after = (await door.get("/v1/catalog/service/web")).json()
            assert [entry | {"ModifyIndex": 0} for entry in after] == [entry | {"ModifyIndex": 0} for entry in answer]

    run(scenario())


@pytest.mark.parametrize(
    ("snapshot", "words"),
    [
        (b"", "the body is empty"),
        (b"rubbish", "not compressed with gzip"),
        (gzip.compress(b"rubbish"), "no tar file"),
        (gzip.compress(archive.END), "there is no meta.json in it"),
        (packed(state_of())[:-30], "it was cut off"),
        (packed(state_of(), sums=b"00  state.bin\n00  meta.json\n"), "meta.json was damaged"),
        (packed(state_of(), meta=b"no json"), "meta.json cannot be read"),
        (packed(b"no backup\n"), "this is no backup"),
        (packed(b"\x00\x81\xa9LastIndex\x0c\x07"), "this is a snapshot of Consul, which cannot be restored here"),
        (packed(state_of()[:-1]), "line 2"),
        (packed(state_of(level=99)), "level 99"),
        (packed(state_of(Row(Key("n/x"), b'{"v":9}', Revision(1)))), "unknown schema"),
        (packed(state_of(), meta=b"[" * 100_000 + b"]" * 100_000), "meta.json cannot be read"),
        (gzip.compress(archive.head("x", 0, 0) * 17 + archive.END), "more than 16 files"),
        (packed(state_of(NODE, proxied("no json"))), "malformed"),
        (packed(state_of(NODE, proxied('{"Mode":"","MeshGateway":{},"Expose":{}},"more":{}'))), "malformed"),
        (packed(state_of(NODE, proxied("[]"))), "Expected"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",  # gzip says when: an id made of its bytes is another one a second later
)
def test_what_is_no_snapshot_changes_nothing(snapshot: bytes, words: str) -> None:
    async def scenario() -> None:
        async with served() as door:
            await door.put("/v1/agent/service/register", WEB)
            revision = door.consul.registry.revision
            status, text = await restore(door, snapshot)
            assert status == 400
            assert words in text
            assert door.consul.registry.revision == revision

    run(scenario())


def test_a_snapshot_that_unpacks_to_too_much_is_refused() -> None:
    async def scenario() -> None:
        async with served(ConsulSettings(snapshot_unpacked_max_bytes=10_000)) as door:
            status, text = await restore(door, gzip.compress(bytes(20_000)))
            assert (status, "more than 10000 bytes" in text) == (400, True)

    run(scenario())


def test_a_snapshot_may_be_larger_than_other_bodies_and_has_its_own_limit() -> None:
    async def scenario() -> None:
        async with served(ConsulSettings(snapshot_max_bytes=2_000_000)) as door:
            assert (await restore(door, bytes(1_500_000)))[0] == 400
            assert (await restore(door, bytes(2_500_000)))[0] == 413

    run(scenario())


def nodes(count: int) -> list[Row]:
    """That many rows."""
    return [
        Row(Key(f"n/n{n}"), msgspec.json.encode({"v": 1, "name": f"n{n}", "address": "a", "nonce": "r"}), Revision(1)) for n in range(count)
    ]


def test_what_is_too_large_for_one_group_says_what_to_do() -> None:
    async def scenario() -> None:
        async with consul(ConsulSettings(snapshot_rows_max_count=100_000)) as door:
            got = await door.ask("PUT", PATH, packed(state_of(*nodes(60_000))))
            assert got.status == 413
            assert "callboard restore" in got.text

    run(scenario())


def test_a_snapshot_that_would_keep_everybody_waiting_too_long_is_refused_before_anybody_waits() -> None:
    async def scenario() -> None:
        async with consul(ConsulSettings(snapshot_rows_max_count=10)) as door:
            assert (await door.ask("PUT", PATH, packed(state_of(*nodes(10))))).status == 200
            revision = door.registry.revision
            got = await door.ask("PUT", PATH, packed(state_of(*nodes(11))))
            assert got.status == 413
            assert "more than 10 rows" in got.text
            assert "callboard restore" in got.text
            assert door.registry.revision == revision

    run(scenario())


def test_a_snapshot_of_other_servers_leaves_this_ones_own_entry_in_place() -> None:
    async def scenario() -> None:
        async with served() as door:
            assert await restore(door, packed(state_of(*nodes(1)))) == (200, "")
            assert (await door.get("/v1/catalog/services")).json() == {"consul": []}
            (entry,) = (await door.get("/v1/health/service/consul")).json()
            assert [(check["CheckID"], check["Status"]) for check in entry["Checks"]] == [("serfHealth", "passing")]

    run(scenario())


def test_there_are_only_so_many_at_once() -> None:
    async def scenario() -> None:
        async with consul(ConsulSettings(snapshots_max_count=0)) as door:
            for method in ("GET", "PUT"):
                got = await door.ask(method, PATH, b"x")
                assert got.status == 429
                assert "snapshots_max_count" in got.text

    run(scenario())
