"""What becomes of a service's picture, whatever the feed tells: a backend that the test plays, real threads and a real disk."""

import json
import logging
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from callboard.client.board_settings import BoardSettings
from callboard.client.engine import Engine
from callboard.client.errors import DeniedError, NoPictureError
from callboard.client.events import Event, FeedLost, SnapshotChanged
from callboard.client.followed import Followed
from callboard.client.following import Follower
from callboard.client.settings import ClientSettings
from callboard.client.snapshot import Snapshot
from callboard.model.time import HOUR
from callboard.wire.native import Digest
from callboard.wire.native_digest import digest_of
from tests.client.states import DOWN, FakeBackend, fake_engine, state
from tests.support import poll_until

A, B, C = state("a"), state("b"), state("c")


@pytest.fixture
def playing() -> Iterator[tuple[Engine, FakeBackend]]:
    engine, backend = fake_engine()
    yield engine, backend
    engine.close()


def ids(followed: Followed) -> str:
    snapshot = followed.snapshot
    return "-" if snapshot is None else "".join(found.id for found in snapshot.instances)


def until(followed: Followed, names: str) -> Snapshot:
    poll_until(lambda: ids(followed) == names)
    snapshot = followed.snapshot
    assert snapshot is not None
    return snapshot


# -- snapshots


def test_the_first_snapshot_is_a_whole_picture_and_each_later_one_says_what_changed(playing: tuple[Engine, FakeBackend]) -> None:
    engine, backend = playing
    web = engine.follow("web", "public")
    shown: list[Snapshot] = []
    web.subscribe(shown.append)
    backend.feed.tell(A, B, ready=False)
    assert web.snapshot is None, "half of a picture is none"
    backend.feed.tell(C)
    first = until(web, "abc")
    assert (first.stale, first.held, {found.id for found in first.added}) == (False, 0, {"a", "b", "c"})
    backend.feed.tell(state("b", 81), kind="changed", ready=False)
    backend.feed.remove(A)
    until(web, "bc")
    assert [[found.id for found in each] for one in shown[1:] for each in (one.added, one.removed, one.changed)] == [
        [], [], ["b"], [], ["a"], [],
    ]  # fmt: skip


def test_what_happened_at_once_is_one_snapshot(playing: tuple[Engine, FakeBackend]) -> None:
    engine, backend = playing
    web = engine.follow("web", "public")
    backend.feed.tell(A)
    until(web, "a")
    shown: list[Snapshot] = []
    web.subscribe(shown.append)
    backend.feed.tell(B, C)
    until(web, "abc")
    assert [[found.id for found in snapshot.added] for snapshot in shown] == [["b", "c"]]


def test_changes_that_are_much_work_to_show_are_gathered_and_the_last_is_shown(playing: tuple[Engine, FakeBackend]) -> None:
    """As with a service of ten thousand: each change is work in the size of the service, and must not take the program's time away."""
    engine, backend = playing
    web = engine.follow("web", "public")
    backend.feed.tell(A)
    until(web, "a")
    shown: list[Snapshot] = []

    def work(snapshot: Snapshot) -> None:
        shown.append(snapshot)
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass

    web.subscribe(work)
    for number in range(200):
        backend.feed.tell(state("b", 1_000 + number), kind="changed" if number else "added", ready=False)
    poll_until(lambda: (newest := web.snapshot) is not None and [found.port for found in newest.instances][1:] == [1_199])
    poll_until(lambda: shown and shown[-1].instances[1].port == 1_199)
    assert len(shown) < 200, "at least some were shown together"


def test_a_service_that_nobody_registered_is_known_to_be_empty(playing: tuple[Engine, FakeBackend]) -> None:
    engine, backend = playing
    web = engine.follow("web", "public")
    backend.feed.tell()
    assert web.wait(60_000).instances == ()


def test_a_service_that_joins_is_not_complete_with_the_picture_of_the_others(playing: tuple[Engine, FakeBackend]) -> None:
    engine, backend = playing
    web = engine.follow("web", "public")
    feed = backend.feed
    feed.tell(A)
    until(web, "a")
    api = engine.follow("api", "public")
    assert feed.services == ["web", "api"]
    feed.services.remove("api")
    feed.tell(B)  # ready, asked for before api was
    until(web, "ab")
    assert api.snapshot is None
    feed.services.append("api")
    feed.tell(state("x", service="api"))
    until(api, "x")
    assert len(backend.feeds) == 1


def test_many_handles_follow_one_service_once_whatever_the_case_of_its_name(playing: tuple[Engine, FakeBackend]) -> None:
    engine, backend = playing
    assert engine.follow("web", "public") is engine.follow("Web", "public")
    assert backend.feed.services == ["web"]


def test_listeners_may_come_and_go_while_they_are_told(playing: tuple[Engine, FakeBackend]) -> None:
    engine, backend = playing
    web = engine.follow("web", "public")
    told: list[str] = []

    def once(snapshot: Snapshot) -> None:
        told.append("once")
        remove()
        web.subscribe(lambda snapshot: told.append("later"))

    remove = web.subscribe(once)
    backend.feed.tell(A)
    until(web, "a")
    backend.feed.tell(B)
    until(web, "ab")
    poll_until(lambda: told == ["once", "later"])


def test_subscribing_from_many_threads_during_changes_loses_nobody(playing: tuple[Engine, FakeBackend]) -> None:
    engine, backend = playing
    web = engine.follow("web", "public")
    seen: list[int] = []

    def come(number: int) -> None:
        for _ in range(50):
            web.subscribe(lambda snapshot: None)()
        web.subscribe(lambda snapshot: seen.append(number) if len(snapshot.instances) == 21 else None)

    threads = [threading.Thread(target=come, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for number in range(20):
        backend.feed.tell(state(f"i{number}"))
    for thread in threads:
        thread.join(60)
    backend.feed.tell(state("last"))
    poll_until(lambda: sorted(seen) == [0, 1, 2, 3])


def test_an_observer_that_fails_stops_nobody(playing: tuple[Engine, FakeBackend]) -> None:
    engine, backend = playing
    events: list[Event] = []

    def fail(event: Event) -> None:
        raise ValueError(event)

    engine.observers.add(fail)
    engine.observers.add(events.append)
    web = engine.follow("web", "public")
    backend.feed.tell(A)
    until(web, "a")
    poll_until(lambda: SnapshotChanged("public", "web", 1, 1, 0, False) in events)


def test_a_listener_that_fails_keeps_nobody_from_hearing(playing: tuple[Engine, FakeBackend], caplog: pytest.LogCaptureFixture) -> None:
    engine, backend = playing
    web = engine.follow("web", "public")
    seen: list[Snapshot] = []

    def fail(snapshot: Snapshot) -> None:
        raise ValueError(snapshot.service)

    web.subscribe(fail)
    web.subscribe(seen.append)
    backend.feed.tell(A)
    backend.feed.tell(B)
    poll_until(lambda: len(seen) == 2)
    assert "ValueError: web" in caplog.text


# -- failures


def test_a_registry_that_is_not_there_is_named_by_wait_and_found_when_it_comes(playing: tuple[Engine, FakeBackend]) -> None:
    engine, backend = playing
    web = engine.follow("web", "public")
    backend.feed.fail()
    poll_until(lambda: web.reason == str(DOWN))
    with pytest.raises(NoPictureError, match=r"'web'.*connection refused.*CALLBOARD_URL"):
        web.wait(1)
    backend.feed.tell(A)
    assert web.wait(60_000).instances == (A,)


def test_what_is_known_is_kept_while_the_registry_is_away_and_its_age_is_visible(caplog: pytest.LogCaptureFixture) -> None:
    engine, backend = fake_engine(BoardSettings(snapshots="off", client=ClientSettings(silence_max_ms=50)))
    events: list[Event] = []
    engine.observers.add(events.append)
    web = engine.follow("web", "public")
    backend.feed.tell(A)
    assert (until(web, "a").stale, web.age_s) == (False, 0.0)
    with caplog.at_level(logging.WARNING, "callboard.client"):
        for _ in range(3):
            backend.feed.fail()
        poll_until(lambda: web.age_s > 0)
        stale = poll_until(lambda: web.snapshot if web.snapshot and web.snapshot.stale else None)
        assert (stale.instances, web.age_s >= 0.1) == ((A,), True)
        backend.feed.tell()
        poll_until(lambda: web.snapshot is not None and not web.snapshot.stale)
        assert web.age_s == 0.0
    said = [record.message for record in caplog.records if "registry" in record.message]
    assert len(said) == 2, "once when it went, once when it came back"
    assert sum(isinstance(event, FeedLost) for event in events) == 3
    engine.close()


def test_a_refusal_or_a_mistake_of_ours_does_not_end_the_thread(
    playing: tuple[Engine, FakeBackend], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("callboard.client.following._REFUSED_WAIT_S", 0.01)
    engine, backend = playing
    web = engine.follow("web", "public")
    backend.feed.fail(DeniedError(403, "denied", "not with this token"))
    poll_until(lambda: web.reason == "not with this token")
    backend.feed.events.put(KeyError("a mistake"))
    backend.feed.tell(A)
    until(web, "a")
    assert "a mistake" in caplog.text


# -- doubt


def test_a_registry_that_lost_its_memory_empties_nothing_until_the_hold_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, backend = fake_engine(BoardSettings(snapshots="off", shrink_hold_ms=3_600_000))
    web = engine.follow("web", "public")
    backend.feed.tell(A, B, C)
    until(web, "abc")
    backend.feed.tell(A, B, C, kind="removed", inferred=True)
    held = poll_until(lambda: web.snapshot if web.snapshot and web.snapshot.held else None)
    assert (held.held, len(held.instances)) == (3, 3)
    backend.feed.tell(B)
    poll_until(lambda: web.snapshot is not None and web.snapshot.held == 2)
    now = engine.now() + HOUR
    monkeypatch.setattr("callboard.client.following.time.monotonic_ns", lambda: now)
    engine.follow("api", "public")  # the thread that would wait for an hour looks again
    assert (until(web, "b").held, [found.id for found in held.removed]) == (0, [])
    engine.close()


def test_the_last_instance_that_signs_out_is_gone_at_once(playing: tuple[Engine, FakeBackend]) -> None:
    engine, backend = playing
    web = engine.follow("web", "public")
    backend.feed.tell(A)
    until(web, "a")
    backend.feed.remove(A)
    until(web, "")


# -- the digest


def digest(revision: int, *states: object) -> Digest:
    return Digest(revision, len(states), digest_of(states))  # type: ignore[arg-type]


def test_a_picture_that_differs_from_the_registrys_is_asked_for_anew() -> None:
    engine, backend = fake_engine(BoardSettings(snapshots="off", digest_ms=20))
    backend.digests = digest(1, A)
    events: list[Event] = []
    engine.observers.add(events.append)
    web = engine.follow("web", "public")
    backend.feed.tell(A)
    until(web, "a")
    poll_until(lambda: backend.digests is not None)
    assert backend.feed.restarts == 0
    backend.digests = digest(2, A, B)  # the stream is dead: B was never told
    poll_until(lambda: backend.feed.restarts == 1)
    assert any(isinstance(event, FeedLost) and "differs" in event.reason for event in events)
    backend.feed.tell(B)
    until(web, "ab")
    engine.close()


def test_held_instances_are_no_difference_to_the_registry() -> None:
    engine, backend = fake_engine(BoardSettings(snapshots="off", digest_ms=10))
    asked: list[tuple[str, ...]] = []

    def say(namespace: str, services: tuple[str, ...]) -> Digest:
        asked.append(services)
        return digest(2) if web.snapshot is not None and web.snapshot.held else digest(1, A)

    backend.digest = say  # type: ignore[method-assign]
    web = engine.follow("web", "public")
    backend.feed.tell(A)
    until(web, "a")
    backend.feed.tell(A, kind="removed", inferred=True)
    poll_until(lambda: web.snapshot is not None and web.snapshot.held == 1)
    asked.clear()
    poll_until(lambda: len(asked) >= 3)
    assert (backend.feed.restarts, asked[0]) == (0, ("web",))
    engine.close()


# -- the disk


def disk(folder: Path) -> BoardSettings:
    return BoardSettings(snapshots=str(folder))


def saved(folder: Path, name: str = "web.json") -> Path | None:
    return next(folder.glob(f"*/{name}"), None)


def test_what_is_known_is_written_at_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    engine, backend = fake_engine(disk(tmp_path / "cache"))
    web = engine.follow("web", "public")
    backend.feed.tell(A, B)
    file = poll_until(lambda: saved(tmp_path / "cache"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [found["id"] for found in json.loads(file.read_text())["picture"]["instances"]] == ["a", "b"]
    backend.feed.remove(B)
    until(web, "a")
    engine.close()
    assert [found["id"] for found in json.loads(file.read_text())["picture"]["instances"]] == ["a"], "the last change is written at close"
    assert [path.name for path in file.parent.iterdir()] == ["web.json"], "no temporary file is left"


def test_writing_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callboard.client.machine.saving.GAP", HOUR)
    written: list[str] = []
    monkeypatch.setattr("callboard.client.snapshots.Snapshots.save", lambda self, snapshot: written.append(snapshot.service))
    engine, backend = fake_engine(disk(tmp_path))
    web = engine.follow("web", "public")
    for number in range(50):
        backend.feed.tell(state(f"i{number}"))
    poll_until(lambda: web.snapshot is not None and len(web.snapshot.instances) == 50)
    poll_until(lambda: written)
    assert len(written) == 1
    engine.close()
    assert len(written) == 2


def remember(folder: Path, settings: BoardSettings) -> None:
    engine, backend = fake_engine(settings)
    web = engine.follow("web", "public")
    backend.feed.tell(A, B)
    until(web, "ab")
    engine.close()
    assert saved(folder) is not None


def test_a_program_that_starts_while_the_registry_is_down_goes_by_the_disk(tmp_path: Path) -> None:
    remember(tmp_path, disk(tmp_path))
    engine, backend = fake_engine(disk(tmp_path))
    web = engine.follow("web", "public")
    backend.feed.fail()
    snapshot = web.wait(60_000)
    assert (ids(web), snapshot.stale, web.heard) == ("ab", True, False)
    assert 0 < web.age_s < 60
    with pytest.raises(NoPictureError):
        web.wait(1, fresh=True)
    api = engine.follow("api", "public")
    assert api.snapshot is None
    backend.feed.tell(A, state("c"))
    fresh = until(web, "ac")
    assert (fresh.stale, [found.id for found in fresh.removed]) == (False, ["b"])
    engine.close()


def test_a_registry_that_is_slow_is_waited_for_a_second_and_then_the_disk_is_asked(tmp_path: Path) -> None:
    remember(tmp_path, disk(tmp_path))
    engine, _ = fake_engine(disk(tmp_path))
    web = engine.follow("web", "public")
    assert web.wait(60_000).stale
    engine.close()


def test_the_disk_is_not_asked_when_the_registry_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callboard.client.following._LATE", HOUR)
    remember(tmp_path, disk(tmp_path))
    engine, backend = fake_engine(disk(tmp_path))
    web = engine.follow("web", "public")
    shown: list[Snapshot] = []
    web.subscribe(shown.append)
    backend.feed.tell(C)
    until(web, "c")
    assert [snapshot.stale for snapshot in shown] == [False]
    engine.close()


def test_an_empty_registry_does_not_empty_what_the_disk_says_at_once(tmp_path: Path) -> None:
    remember(tmp_path, disk(tmp_path))
    engine, backend = fake_engine(disk(tmp_path))
    web = engine.follow("web", "public")
    backend.feed.fail()
    web.wait(60_000)
    backend.feed.tell()
    snapshot = poll_until(lambda: web.snapshot if web.snapshot and web.snapshot.held else None)
    assert (ids(web), snapshot.held, snapshot.stale) == ("ab", 2, False)
    engine.close()


@pytest.mark.parametrize("damage", [b"", b"{", b'{"schema":1,"checksum":"","picture":{}}'])
def test_a_damaged_file_is_ignored_and_said_once(tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    remember(tmp_path, disk(tmp_path))
    file = saved(tmp_path)
    assert file is not None
    file.write_bytes(damage)
    engine, backend = fake_engine(disk(tmp_path))
    web = engine.follow("web", "public")
    backend.feed.fail()
    backend.feed.fail()
    poll_until(lambda: "is not used" in caplog.text)
    assert (web.snapshot, caplog.text.count("is not used")) == (None, 1)
    backend.feed.tell(A)
    until(web, "a")
    engine.close()
    assert msgspec.json.decode(file.read_bytes())["schema"] == 1


def test_a_folder_that_cannot_be_written_is_said_once_and_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("no folder")
    engine, backend = fake_engine(disk(tmp_path / "file"))
    web = engine.follow("web", "public")
    backend.feed.tell(A)
    poll_until(lambda: "CALLBOARD_SNAPSHOTS" in caplog.text)
    backend.feed.tell(B)
    until(web, "ab")
    engine.close()
    assert caplog.text.count("CALLBOARD_SNAPSHOTS") == 1


def test_what_was_left_by_a_program_that_was_killed_is_removed(tmp_path: Path) -> None:
    remember(tmp_path, disk(tmp_path))
    file = saved(tmp_path)
    assert file is not None
    old, new = file.with_suffix(".1.tmp"), file.with_suffix(".2.tmp")
    for left in (old, new):
        left.touch()
    os.utime(old, (1, 1))
    remember(tmp_path, disk(tmp_path))
    assert sorted(path.name for path in file.parent.iterdir()) == [new.name, "web.json"]


def test_off_keeps_nothing_and_the_default_is_below_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for snapshots in ("off", ""):
        engine, backend = fake_engine(BoardSettings(snapshots=snapshots))
        web = engine.follow("we/b é", "public")
        backend.feed.tell(state("a", service="we/b é"))
        until(web, "a")
        engine.close()
        assert len(list(tmp_path.glob("callboard/*/we%2Fb%20%C3%A9.json"))) == (snapshots == "")


def test_registries_and_name_spaces_have_folders_of_their_own(tmp_path: Path) -> None:
    for namespace, url in (("public", "http://a:1"), ("other", "http://a:1"), ("public", "http://b:1")):
        engine, backend = fake_engine(BoardSettings(snapshots=str(tmp_path), client=ClientSettings(urls=(url,))))
        web = engine.follow("web", namespace)
        backend.feed.tell(A)
        until(web, "a")
        engine.close()
    assert len(list(tmp_path.glob("*/web.json"))) == 3


# -- the end


def no_threads() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name.startswith(("callboard-feed", "callboard-upkeep"))]


def test_close_ends_the_threads_and_those_who_wait() -> None:
    engine, backend = fake_engine()
    web = engine.follow("web", "public")
    failures: list[str] = []

    def wait() -> None:
        try:
            web.wait(60_000)
        except NoPictureError as error:
            failures.append(error.reason)

    waiting = threading.Thread(target=wait)
    waiting.start()
    engine.close()
    waiting.join(60)
    assert failures == ["the board was closed"]
    poll_until(no_threads)
    backend.feed.tell(A)
    assert web.snapshot is None


def test_closing_while_others_begin_to_follow_leaves_no_thread() -> None:
    for _ in range(20):
        engine, _ = fake_engine()
        follower = Follower("public", engine.backend, engine.settings, engine.observers)
        web = follower.follow("web")
        starting = [threading.Thread(target=follower.follow, args=(f"s{number}",)) for number in range(3)]
        for thread in starting:
            thread.start()
        follower.close()
        for thread in starting:
            thread.join(60)
        assert web.closed
        engine.close()
    poll_until(no_threads)
