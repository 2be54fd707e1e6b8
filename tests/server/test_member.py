"""The member's name: told, kept, or made; and what is said when the data directory gives none."""

from pathlib import Path

import pytest

from callboard.model.errors import CallboardError, InvalidError
from callboard.server.member import FILE, keep_member, member_name
from callboard.server.settings import ServerSettings
from tests.server.test_serve import serve


def test_a_name_that_was_made_is_the_same_after_a_restart(tmp_path: Path) -> None:
    settings = ServerSettings(data=str(tmp_path))
    first = member_name(settings)
    keep_member(settings, first)
    assert member_name(settings) == first
    assert member_name(ServerSettings(data=str(tmp_path), member="told")) == "told"


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidError, match="member: must have at most 255 characters"):
        member_name(ServerSettings(member="m" * 256))


@pytest.mark.parametrize("content", [b"\xff\xfe", b"two\nlines", b"m" * 256])
def test_a_kept_name_that_is_none_is_refused_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(CallboardError, match=r"member holds no name of a member .* remove it, and a new name is made"):
        member_name(ServerSettings(data=str(tmp_path)))


def test_a_data_directory_that_is_none_is_an_error_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = serve("--data", str(tmp_path / "file"), "--http", "127.0.0.1:0", "--dns", "")
    assert ended.returncode == 1
    assert "cannot start: data directory" in ended.stderr
    assert "Traceback" not in ended.stderr
