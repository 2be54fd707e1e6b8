"""The certificate is replaced again and again while clients ask: no request fails, and no connection is dropped."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.certificates import Authority
from tests.servers import ServerProcess, running_server, split_address
from tests.support import poll_until

pytestmark = pytest.mark.interop

SWAPS: Final = 5
KEEPERS: Final = 3
"""Clients that keep their connection."""
COMERS: Final = 3
"""Clients that open one for each request."""


class Load:
    """Clients in threads, and what became of their requests."""

    def __init__(self, server: ServerProcess, authority: Authority) -> None:
        self._place = split_address(str(server.ready["https"][0]).removeprefix("https://"))
        self._context = authority.client()
        self._ended = threading.Event()
        self.outcomes: Counter[str] = Counter()
        self.serials: set[str] = set()
        self.reconnects = 0
        work = [*[self._keep] * KEEPERS, *[self._come] * COMERS, self._wait]
        self._threads = [threading.Thread(target=one, daemon=True) for one in work]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(90)
            assert not thread.is_alive()

    def has_seen(self, count: int) -> bool:
        """Whether so many different certificates were shown."""
        return len(self.serials) >= count

    def _connection(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(*self._place, timeout=60, context=self._context)

    def _ask(self, connection: http.client.HTTPSConnection, target: str = "/v1/health/service/web") -> None:
        try:
            connection.request("GET", target)
            answer = connection.getresponse()
            json.loads(answer.read())
            self.outcomes[str(answer.status)] += 1
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.outcomes[repr(error)] += 1

    def _keep(self) -> None:
        connection = self._connection()
        connection.connect()
        line = connection.sock
        while not self._ended.is_set():
            self._ask(connection)
            self.reconnects += connection.sock is not line
        connection.close()

    def _come(self) -> None:
        while not self._ended.is_set():
            connection = self._connection()
            try:
                connection.connect()
                self.serials.add(str((connection.sock.getpeercert() or {}).get("serialNumber")))
            except OSError as error:
                self.outcomes[f"no connection: {error!r}"] += 1
            else:
                self._ask(connection)
            connection.close()

    def _wait(self) -> None:
        """Blocked queries over one connection."""
        connection = self._connection()
        while not self._ended.is_set():
            self._ask(connection, "/v1/health/service/web?index=1000000&wait=1s")
        connection.close()


def test_no_request_fails_while_certificates_are_replaced(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("server")
    with running_server("--dev", "--https", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key) as server:
        began = time.monotonic()
        load = Load(server, authority)
        for number in range(1, SWAPS + 1):
            authority.issue("server")
            poll_until(partial(load.has_seen, number + 1), 60.0)
        load.end()
        took_s = time.monotonic() - began
    figures = {"requests": load.outcomes.total(), "handshakes with new certificates": SWAPS, "seconds": round(took_s, 1)}
    print(figures)  # noqa: T201  # figures of the run
    record_property("swap under load", json.dumps(figures))
    assert set(load.outcomes) == {"200"}, load.outcomes
    assert load.reconnects == 0, "connections were kept"
    assert len(load.serials) == SWAPS + 1
