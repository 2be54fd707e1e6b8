import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any, NamedTuple

import msgspec
import pytest

from callboard.client.machine.sse import SseEvent, SseParser
from callboard.core.catalog.commands import DeregisterNode, Register, SetMaintenance, Target
from callboard.frontend.native.plugin import PLUGIN
from callboard.frontend.native.settings import NativeSettings, NativeStats
from callboard.model.instance import NodeSpec
from callboard.net.http.message import Answer, Stream
from callboard.net.tasks import spawn
from callboard.registry.settings import RegistrySettings
from callboard.testing.frontend_suite_harnesses import NativeHarness
from callboard.testing.frontend_suite_kit import MadeRequest, Sample, World
from tests.frontend.native.conftest import Api

TTL = {"ttl_ms": 600_000}
ALIVE = {"status": "passing", **TTL}
HOME = NodeSpec(name="callboard", address="127.0.0.1")


class Told(NamedTuple):
    """An event as a test looks at it: kind, instance id, id of the event if it has one of its own."""

    kind: str
    instance: str = ""
    id: str = ""


class Reader:
    """One open watch. It takes a chunk when it comes, and the next one only when a test looks: a slow reader, as it were."""

    def __init__(self, api: Api, query: str = "", last_id: str = "") -> None:
        self.api = api
        reply = open_watch(api, query, last_id)
        assert isinstance(reply, Stream)
        assert reply.content_type == b"text/event-stream"
        self.parser = SseParser()
        self.raw = b""
        self.last_id = ""
        self.task = api.world.run(self._start(reply.chunks))
        api.pass_time(0.001)

    async def _start(self, chunks: AsyncIterator[bytes]) -> "asyncio.Task[None]":
        self.unread: list[bytes] = []
        self.looked = asyncio.Event()
        return spawn(self._pump(chunks), name="reader")

    async def _pump(self, chunks: AsyncIterator[bytes]) -> None:
        assert isinstance(chunks, AsyncGenerator)
        try:
            async for chunk in chunks:
                self.unread.append(chunk)
                await self.looked.wait()
        finally:
            await chunks.aclose()

    def events(self) -> list[SseEvent]:
        """What has come since the last look."""
        self.looked.set()
        self.api.pass_time(0.001)
        self.looked.clear()
        chunks, self.unread = b"".join(self.unread), []
        self.raw += chunks
        return self.parser.feed(chunks)

    def take_one(self) -> None:
        """Take one more chunk, to be looked at later."""
        self.looked.set()
        self.looked.clear()
        self.api.pass_time(0.001)

    def close(self) -> None:
        """The client goes."""
        self.task.cancel()
        self.api.pass_time(0.001)

    def told(self) -> list[Told]:
        """The same, in short."""
        out = []
        for event in self.events():
            own_id = event.id if event.id != self.last_id else ""
            self.last_id = event.id
            data = msgspec.json.decode(event.data)
            out.append(Told(event.event, data.get("instance", {}).get("id", ""), own_id.partition(".")[0]))
        return out

    def kinds(self) -> list[tuple[str, str]]:
        """Kinds and instance ids only."""
        return [(told.kind, told.instance) for told in self.told()]

    def instances(self) -> list[dict[str, Any]]:
        """The instances that events carry."""
        return [msgspec.json.decode(event.data)["instance"] for event in self.events() if event.event not in {"ready", "resync"}]


def place(api: Api, revision: int | None = None) -> str:
    """The id of an event: a revision, that of now by default, and the history it belongs to."""
    registry = api.world.registry
    return f"{registry.revision if revision is None else revision}.{registry.view.epoch.store}"


def open_watch(api: Api, query: str = "", last_id: str = "") -> Stream | Answer:
    (route,) = [route for site in api.door.frontend.sites for route in site.routes if route.path == "/api/v1/watch"]
    assert not route.quick
    headers = {"Last-Event-ID": last_id} if last_id else {}
    reply = route.handler(MadeRequest(Sample("GET", f"/api/v1/watch{query}", headers=headers), "/api/v1/watch"))
    assert isinstance(reply, Stream | Answer)
    return reply


def stats(api: Api) -> NativeStats:
    assert isinstance(api.door.frontend.stats, NativeStats)
    return api.door.frontend.stats


class Small(NativeHarness):
    """Limits that a test can reach."""

    settings = NativeSettings(watchers_max_count=2, watcher_events_max_count=5, watcher_slice_count=3, alive_ms=15_000)


@pytest.fixture
def small() -> Iterator[Api]:
    with World((Small(),), virtual=True) as world:
        yield Api(world)


def test_a_watch_begins_with_everything_there_is(api: Api) -> None:
    for instance in ("b", "a"):
        api.register("web", id=instance)
    revision = str(api.world.registry.revision)
    reader = Reader(api)
    assert reader.told() == [Told("added", "a"), Told("added", "b"), Told("ready", "", revision)]
    assert reader.raw.startswith(b"retry: 1000\n\n")
    assert reader.parser.retry_ms == 1000


def test_each_change_is_one_event_with_the_state_after_it(api: Api) -> None:
    reader = Reader(api)
    reader.events()
    api.register("web", checks=[TTL])
    api.ok("PUT", "/heartbeat/web")
    api.ok("PUT", "/drain/web")
    api.ok("DELETE", "/instances/web")
    events = reader.events()
    shown = [(event.event, msgspec.json.decode(event.data)["instance"]) for event in events]
    assert [(kind, instance["status"], instance["phase"]) for kind, instance in shown] == [
        ("added", "critical", "serving"), ("changed", "passing", "serving"), ("changed", "passing", "draining"),
        ("removed", "passing", "draining"),
    ]  # fmt: skip
    assert [check["status"] for check in shown[-1][1]["checks"] if check["kind"] == "ttl"] == ["passing"]
    assert shown[1][1] | {"phase": "draining", "modified": 0} == shown[2][1] | {"modified": 0}
    assert [event.id for event in events] == [place(api, msgspec.json.decode(event.data)["revision"]) for event in events]
    assert events[-1].id == place(api)


def test_a_heartbeat_that_changes_nothing_is_no_event(api: Api) -> None:
    api.register("web", checks=[ALIVE])
    reader = Reader(api)
    reader.events()
    api.ok("PUT", "/heartbeat/web")
    assert reader.events() == []


def test_what_a_node_does_is_told_of_each_instance_on_it_once_and_the_id_stands_on_the_last(api: Api) -> None:
    for service, instance in (("web", "a"), ("db", "b"), ("web", "c")):
        api.register(service, id=instance)
    reader = Reader(api)
    reader.told()
    api.world.submit(SetMaintenance(nonce="m", node=HOME, enable=True))
    revision = str(api.world.registry.revision)
    assert reader.told() == [Told("changed", "a"), Told("changed", "b"), Told("changed", "c", revision)]
    api.world.submit(Register(nonce="n", node=NodeSpec(name="callboard", address="192.0.2.1")))
    assert reader.kinds() == [("changed", "a"), ("changed", "b"), ("changed", "c")]


def test_a_node_that_goes_takes_its_instances_with_it(api: Api) -> None:
    api.register("web", "10.0.0.9", id="a", checks=[ALIVE])
    api.register("web", "10.0.0.9", id="b")
    reader = Reader(api)
    reader.events()
    api.world.submit(DeregisterNode("10-0-0-9"))
    shown = reader.instances()
    assert [(instance["id"], instance["address"], len(instance["checks"])) for instance in shown] == [
        ("a", "10.0.0.9", 1),
        ("b", "10.0.0.9", 0),
    ]


def test_services_and_namespaces_are_watched_apart(api: Api) -> None:
    web, several, blue = Reader(api, "?service=Web"), Reader(api, "?service=web&service=db"), Reader(api, "?namespace=blue")
    for reader in (web, several, blue):
        reader.events()
    for service in ("web", "db", "cache"):
        api.register(service)
    api.register("web", id="other", namespace="blue")
    assert web.kinds() == [("added", "web")]
    assert several.kinds() == [("added", "web"), ("added", "db")]
    assert blue.kinds() == [("added", "other")]


def test_one_that_moves_to_another_service_leaves_one_watch_and_enters_the_other(api: Api) -> None:
    api.register("web", id="x")
    everything, web, db = Reader(api), Reader(api, "?service=web"), Reader(api, "?service=db")
    for reader in (everything, web, db):
        reader.events()
    api.register("db", id="x")
    assert [(event.event, msgspec.json.decode(event.data)["instance"]["service"]) for event in everything.events()] == [
        ("removed", "web"), ("added", "db"),
    ]  # fmt: skip
    assert web.kinds() == [("removed", "x")]
    assert db.kinds() == [("added", "x")]


def test_the_servers_own_entry_is_told_of_only_when_it_is_asked_for(api: Api) -> None:
    everything, own = Reader(api), Reader(api, "?service=consul")
    assert everything.kinds() == [("ready", "")]
    assert own.kinds() == [("added", "consul"), ("ready", "")]
    api.world.submit(SetMaintenance(nonce="m", node=HOME, enable=True))
    assert everything.kinds() == []
    assert own.kinds() == [("changed", "consul")]


# -- resuming


def test_resuming_tells_what_has_changed_and_nothing_else(api: Api) -> None:
    for instance in ("changed", "removed", "same", "back"):
        api.register("web", id=instance, checks=[{"id": instance, **ALIVE}])
    reader = Reader(api)
    reader.told()
    reader.close()
    api.ok("PUT", "/heartbeat/changed", {"status": "warning"})
    api.ok("DELETE", "/instances/removed")
    api.ok("DELETE", "/instances/back")
    api.register("web", id="back")
    api.register("web", id="added")
    api.register("web", id="passing-through")
    api.ok("DELETE", "/instances/passing-through")
    resumed = Reader(api, last_id=reader.last_id)
    assert resumed.kinds() == [("added", "added"), ("changed", "back"), ("changed", "changed"), ("removed", "removed"), ("ready", "")]
    assert resumed.parser.last_id == place(api)
    api.register("web", id="later")
    assert resumed.kinds() == [("added", "later")]


def test_resuming_where_nothing_has_happened_says_so(api: Api) -> None:
    api.register("web")
    assert Reader(api, last_id=place(api)).told() == [Told("ready", "", str(api.world.registry.revision))]


def test_resuming_tells_the_last_state_of_what_is_gone(api: Api) -> None:
    api.register("web", "10.0.0.9", id="x", port=1, checks=[ALIVE])
    api.register("web", "10.0.0.9", id="y")
    before = place(api)
    api.register("web", "10.0.0.9", id="x", port=2, checks=[ALIVE])
    api.ok("DELETE", "/instances/x", peer="10.0.0.9")
    api.ok("DELETE", "/instances/y", peer="10.0.0.9")
    shown = Reader(api, last_id=before).instances()
    assert [(instance["id"], instance["node"], instance["address"]) for instance in shown] == [
        ("x", "10-0-0-9", "10.0.0.9"), ("y", "10-0-0-9", "10.0.0.9"),
    ]  # fmt: skip
    assert (shown[0]["port"], len(shown[0]["checks"])) == (2, 1)


def test_resuming_over_a_move_tells_the_old_watchers_by_the_old_service(api: Api) -> None:
    api.register("web", id="x")
    before = place(api)
    api.register("db", id="x")
    api.ok("DELETE", "/instances/x")
    assert Reader(api, "?service=web", before).kinds() == [("removed", "x"), ("ready", "")]
    assert Reader(api, "?service=db", before).kinds() == [("ready", "")]


@pytest.mark.parametrize("last_id", ["0x1.{}", "-1.{}", "9" * 17 + ".{}", "99999.{}", "ü", "1", "1.another"])
def test_an_id_that_is_none_of_ours_leads_to_a_resync(api: Api, last_id: str) -> None:
    api.register("web")
    reader = Reader(api, last_id=last_id.format(api.world.registry.view.epoch.store))
    assert reader.kinds() == [("resync", ""), ("added", "web"), ("ready", "")]
    assert stats(api).watch_resyncs == 1


def test_an_id_that_is_too_old_leads_to_a_resync_that_says_why() -> None:
    with World((NativeHarness(),), virtual=True, settings=RegistrySettings(member="member-1", history_max_count=5)) as world:
        api = Api(world)
        for number in range(7):
            api.register("web", id=f"i{number}")
        revision = world.registry.revision
        assert Reader(api, last_id=place(api, revision - 1)).kinds() == [("added", "i6"), ("ready", "")]
        resync, *_ = Reader(api, last_id=place(api, 1)).events()
        assert resync.event == "resync"
        assert "no longer kept" in msgspec.json.decode(resync.data)["reason"]


# -- falling behind, and limits


def test_a_watcher_that_falls_behind_begins_anew(small: Api) -> None:
    reader = Reader(small)
    reader.events()
    for number in range(7):
        small.register("web", id=f"i{number}")
    everything = [("added", f"i{number}") for number in range(7)]
    assert reader.kinds() == [("added", "i0"), ("resync", ""), *everything, ("ready", "")]
    small.register("web", id="later")
    assert reader.kinds() == [("added", "later")]


def test_a_watcher_that_is_just_not_behind_misses_nothing(small: Api) -> None:
    reader = Reader(small)
    reader.events()
    for number in range(6):
        small.register("web", id=f"i{number}")
    assert reader.kinds() == [("added", f"i{number}") for number in range(6)]


def test_a_group_larger_than_what_a_watcher_may_owe_is_a_resync(small: Api) -> None:
    for number in range(6):
        small.register("web", id=f"i{number}")
    reader = Reader(small)
    reader.events()
    small.world.submit(SetMaintenance(nonce="m", node=HOME, enable=True))
    told = reader.told()
    assert [one.kind for one in told] == ["resync", *["added"] * 6, "ready"]


def test_the_first_picture_leaves_turns_to_others(small: Api) -> None:
    for number in range(12):
        small.register("web", id=f"w{number}")
    reply = open_watch(small)
    assert isinstance(reply, Stream)

    async def read_at_once() -> tuple[int, int]:
        turns = [0]

        async def others() -> None:
            while True:
                turns[0] += 1
                await asyncio.sleep(0)

        stream = reply.chunks
        assert isinstance(stream, AsyncGenerator)
        ticking, chunks = spawn(others(), name="others"), 0
        async for chunk in stream:
            chunks += 1
            if b"event: ready" in chunk:
                break
        ticking.cancel()
        await stream.aclose()
        return turns[0], chunks

    turns, chunks = small.world.run(read_at_once())
    assert chunks > 3
    assert turns >= chunks - 2, "one turn for each slice, but for the words before it"


def test_changes_during_the_first_picture_come_after_it(small: Api) -> None:
    for number in range(7):
        small.register("web", id=f"i{number}")
    reader = Reader(small)
    reader.take_one()  # some of the picture
    small.register("web", id="later")
    small.ok("DELETE", "/instances/i6")
    picture = [("added", f"i{number}") for number in range(7)]
    assert reader.kinds() == [*picture, ("ready", ""), ("added", "later"), ("removed", "i6")]


def test_watchers_have_a_limit(small: Api) -> None:
    readers = [Reader(small), Reader(small)]
    for reader in readers:
        reader.events()
    refused = open_watch(small)
    assert isinstance(refused, Answer)
    assert (refused.status, msgspec.json.decode(refused.body)["code"]) == (429, "too_many")
    assert (b"retry-after", b"1") in refused.headers
    readers[0].close()
    assert Reader(small).kinds() == [("ready", "")]


def test_a_crowd_that_comes_at_once_is_not_let_in_either(small: Api) -> None:
    streams = [open_watch(small) for _ in range(4)]
    assert all(isinstance(stream, Stream) for stream in streams)
    readers = [Reader(small) for _ in range(2)]
    assert [reader.kinds() for reader in readers] == [[("ready", "")]] * 2
    late = streams[0]
    assert isinstance(late, Stream)
    assert small.world.run(all_of(late)) == []


async def all_of(stream: Stream) -> list[bytes]:
    return [chunk async for chunk in stream.chunks]


def test_a_watcher_that_goes_leaves_nothing_behind(api: Api) -> None:
    reader = Reader(api)
    reader.events()
    assert stats(api).watchers_now == 1
    reader.close()
    assert stats(api).watchers_now == 0
    api.register("web")
    assert stats(api).watch_events == 1


def test_silence_is_broken_by_a_comment(api: Api) -> None:
    reader = Reader(api)
    reader.events()
    api.pass_time(14.9)
    before = reader.raw
    reader.events()
    assert reader.raw == before
    api.pass_time(0.2)
    assert reader.events() == []
    assert reader.raw == before + b": alive\n\n"


def test_a_crowd_of_watchers_is_asked_to_come_back_one_after_the_other() -> None:
    class Crowded(NativeHarness):
        settings = NativeSettings(retry_ms=12, retry_per_watcher_ms=5)

    with World((Crowded(),), virtual=True) as world:
        crowded = Api(world)
        readers = [Reader(crowded) for _ in range(4)]
        for reader in readers:
            reader.events()
        assert [reader.parser.retry_ms for reader in readers] == [12, 12, 15, 20]
        crowded.pass_time(15.1)
        for reader in readers:
            reader.events()
        assert [reader.parser.retry_ms for reader in readers] == [20, 20, 20, 20]
        assert readers[3].raw.endswith(b"\n\n: alive\n\n")
        assert readers[3].raw.count(b"retry:") == 1


def test_events_are_encoded_once_for_all_watchers(api: Api) -> None:
    readers = [Reader(api) for _ in range(3)]
    for reader in readers:
        reader.events()
    api.register("web")
    told = [reader.events() for reader in readers]
    assert told[0] == told[1] == told[2]
    assert stats(api).watch_events == 3 + 3


@pytest.mark.parametrize("query", ["?services=a", "?node=a", "?service="])
def test_a_wrong_parameter_is_refused_by_name(api: Api, query: str) -> None:
    assert api.problem("GET", f"/watch{query}")[:2] == (400, "invalid")


def test_targets_of_other_nodes_do_not_mix(api: Api) -> None:
    api.register("web", id="x")
    api.register("web", "10.0.0.9", id="x")
    reader = Reader(api)
    reader.events()
    api.world.submit(SetMaintenance(nonce="m", node=HOME, enable=True, instance=Target("callboard", "x")))
    assert [(instance["node"], instance["status"]) for instance in reader.instances()] == [("callboard", "maintenance")]


def test_the_plug_in_has_the_defaults_of_the_api() -> None:
    defaults = PLUGIN.settings()
    assert (defaults.alive_ms, defaults.retry_ms) == (15_000, 1_000)
