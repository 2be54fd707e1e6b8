"""Places at one instance, first as values of one process (each has files of its own, so the kernel tells them apart), then two at once."""

import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callboard.client import seat as seats
from callboard.client.seat import Note, Seat
from callboard.wire.native import Written
from tests.support import poll_until

KEY = ("http://127.0.0.1:8500", "orders", "10.0.0.7", "8000")
WRITTEN = Written(id="orders-1", node="n", namespace="public", revision=1, changed=True)
ACTIONS = st.lists(st.tuples(st.sampled_from(["look", "look", "leave", "kill", "drain"]), st.integers(0, 4)), max_size=60)


def environment(folder: Path) -> dict[str, str]:
    return {"XDG_RUNTIME_DIR": str(folder)}


def seat(folder: Path) -> Seat:
    return Seat(KEY, environment(folder))


def killed(place: Seat) -> None:
    """As the kernel does it."""
    place._forked()  # noqa: SLF001  # closes the files and says nothing


class Host:
    """Processes of one host that come and go, as a model: who is there, and whether the instance is signed in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.places: dict[int, Seat] = {}
        self.signed_in = False

    def act(self, action: str, number: int) -> None:
        if action == "look":
            place = self.places.setdefault(number, seat(self.folder))
            if place.take():
                self.signed_in = True
        elif number in self.places:
            place = self.places[number]
            if action == "kill":
                killed(place)
                del self.places[number]
            elif action == "leave":
                del self.places[number]
                assert place.leave(self.sign_out) == (not self.places)
            elif not place.alone():
                del self.places[number]
                assert self.places, "only who is not alone gives its place up"
        owners = [place for place in self.places.values() if place.owned]
        assert len(owners) <= 1

    def sign_out(self) -> None:
        assert not self.places, "nobody signs out while another goes on"
        self.signed_in = False


@given(ACTIONS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_owner_at_most_and_exactly_the_last_that_leaves_signs_out(tmp_path: Path, actions: list[tuple[str, int]]) -> None:
    host = Host(tmp_path)
    for action, number in actions:
        host.act(action, number)
    host.act("look", -1)
    for number in list(host.places):
        host.act("leave", number)
    assert not host.signed_in


def test_who_comes_first_owns_it_and_who_waits_comes_next(tmp_path: Path) -> None:
    first, second = seat(tmp_path), seat(tmp_path)
    assert first.take()
    assert first.fresh
    assert not second.take()
    first.note(Note(WRITTEN, draining=True))
    killed(first)
    assert second.take()
    assert not second.fresh
    assert second.left == Note(WRITTEN, draining=True)
    assert second.leave(lambda: None)


def test_the_note_goes_with_the_goodbye(tmp_path: Path) -> None:
    first = seat(tmp_path)
    first.take()
    first.note(Note(WRITTEN))
    first.leave(lambda: None)
    second = seat(tmp_path)
    assert second.take()
    assert second.left is None
    second.leave(lambda: None)


def test_who_leaves_while_others_wait_hands_over(tmp_path: Path) -> None:
    first, second = seat(tmp_path), seat(tmp_path)
    first.take()
    second.take()
    said: list[str] = []
    assert not first.leave(lambda: said.append("goodbye"), lambda: said.append("handed over"))
    assert second.leave(lambda: said.append("goodbye of the last")), "handed over, though it had not looked yet"
    assert said == ["handed over", "goodbye of the last"]


def test_who_comes_during_a_goodbye_comes_after_it(tmp_path: Path) -> None:
    first, second = seat(tmp_path), seat(tmp_path)
    first.take()
    said: list[str] = []

    def goodbye() -> None:
        thread.start()
        thread.join(0.1)
        said.append("goodbye")

    thread = threading.Thread(target=lambda: said.append(f"owned: {second.take()}"))
    first.leave(goodbye)
    thread.join(60)
    assert said == ["goodbye", "owned: True"]
    second.leave(lambda: None)


def test_a_process_that_was_stopped_in_the_mutex_does_not_hold_up_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seats, "MUTEX_MAX_S", 0.05)
    stopped, other = seat(tmp_path), seat(tmp_path)
    stopped.take()
    with stopped._mutex():  # noqa: SLF001  # as if it were stopped there
        assert not other.take()
    assert not other.take()
    killed(stopped)
    assert other.take()
    other.leave(lambda: None)


def test_other_instances_have_other_places(tmp_path: Path) -> None:
    one, other = seat(tmp_path), Seat((*KEY, "other"), environment(tmp_path))
    assert one.take()
    assert other.take()
    one.leave(lambda: None)
    other.leave(lambda: None)


def test_the_folder_is_private_and_the_files_too(tmp_path: Path) -> None:
    place = seat(tmp_path)
    place.take()
    place.touch()
    folder = tmp_path / "callboard"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    place.leave(lambda: None)


def test_a_folder_that_others_can_write_to_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "callboard").mkdir()
    (tmp_path / "callboard").chmod(0o777)
    own = tmp_path / "own"
    own.mkdir()
    place = Seat(KEY, {**environment(tmp_path), "TMPDIR": str(own)})
    assert place.take()
    assert list(own.iterdir()) == [own / f"callboard-{os.geteuid()}"]
    assert not caplog.records
    place.leave(lambda: None)


def test_without_a_folder_everybody_keeps_it_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(seats, "TEMPORARY_FOLDER", str(tmp_path / "not" / "there"))
    nowhere = {**environment(tmp_path / "neither"), "TMPDIR": str(tmp_path / "nor")}
    places = [Seat(KEY, nowhere), Seat(KEY, nowhere)]
    assert [place.take() for place in places] == [True, True]
    assert all(place.take() for place in places)
    assert len(caplog.records) == 2
    assert "XDG_RUNTIME_DIR" in caplog.text
    assert [place.leave(lambda: None) for place in places] == [True, True]


def test_windows_has_no_such_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seats, "sys", SimpleNamespace(platform="win32"))
    places = [seat(tmp_path), seat(tmp_path)]
    assert [place.take() for place in places] == [True, True]
    assert [place.alone() for place in places] == [True, True]
    assert [place.leave(lambda: None) for place in places] == [True, True]
    assert not list(tmp_path.iterdir())


def test_a_forked_child_holds_no_lock(tmp_path: Path) -> None:
    first, second = seat(tmp_path), seat(tmp_path)
    first.take()
    second.take()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(writing)
        os.read(reading, 1)  # until the parent is done
        os._exit(0 if not first.owned and not first._files else 1)  # noqa: SLF001  # nothing of the parent's is left
    os.close(reading)
    assert first.owned
    killed(first)
    poll_until(second.take, 5)
    os.close(writing)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    second.leave(lambda: None)
