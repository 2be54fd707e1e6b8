"""pytest plug-in: the fixture `callboard_server`, a real server for one test. docs/guides/testing.md shows what can be done with it.

pytest loads this module in every run of every project that has Callboard installed. So it imports nothing but pytest, until the fixture is
used.
"""

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from callboard.testing.server import Server


@pytest.fixture
def callboard_server(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> "Iterator[Server]":
    """A fresh Callboard server that can be killed, paused, cut off and restarted. For the test, `CALLBOARD_URL` names it."""
    from callboard.testing.server import Server  # noqa: PLC0415  # see above

    for name in [name for name in os.environ if name.startswith(("CALLBOARD_", "CONSUL_"))]:
        monkeypatch.delenv(name)
    with Server.running(tmp_path_factory.mktemp("callboard")) as server:
        monkeypatch.setenv("CALLBOARD_URL", server.url)
        monkeypatch.setenv("CALLBOARD_SNAPSHOTS", str(server.snapshots))
        yield server
