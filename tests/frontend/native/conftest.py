"""The native API on a catalog of its own, in virtual time."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from callboard.net.http.message import Answer
from callboard.testing.frontend_suite_harnesses import NativeHarness
from callboard.testing.frontend_suite_kit import LOOPBACK, Exchange, Sample, World


class Api:
    """Asks, and reads the answers as JSON."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.door = world.door(NativeHarness())

    def ask(self, method: str, path: str, body: object = None, *, peer: str = LOOPBACK, headers: Mapping[str, str] | None = None) -> Answer:
        """A request below /api/v1."""
        return self.exchange(method, path, body, peer=peer, headers=headers).answer

    def exchange(
        self, method: str, path: str, body: object = None, *, peer: str = LOOPBACK, headers: Mapping[str, str] | None = None
    ) -> Exchange:
        """The same, with the reply behind the answer."""
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body) if body is not None else b""
        return self.door.exchange(Sample(method, "/api/v1" + path, raw, headers or {}, peer))

    def ok(self, method: str, path: str, body: object = None, *, peer: str = LOOPBACK, headers: Mapping[str, str] | None = None) -> Any:
        """The body of an answer that must be no refusal."""
        answer = self.ask(method, path, body, peer=peer, headers=headers)
        assert answer.status == 200, answer
        return msgspec.json.decode(answer.body)

    def problem(
        self, method: str, path: str, body: object = None, *, peer: str = LOOPBACK, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str, str]:
        """Status, code and field of an answer that must be a refusal."""
        answer = self.ask(method, path, body, peer=peer, headers=headers)
        assert answer.content_type == b"application/problem+json", answer
        problem = msgspec.json.decode(answer.body)
        assert problem["status"] == answer.status
        return answer.status, problem["code"], problem.get("field", "")

    def register(self, service: str, peer: str = LOOPBACK, **fields: object) -> Any:
        """Sign an instance in."""
        return self.ok("PUT", "/instances", {"service": service, **fields}, peer=peer)

    def status(self, service: str) -> dict[str, str]:
        """Ids and statuses of the instances of a service."""
        return {instance["id"]: instance["status"] for instance in self.ok("GET", f"/services/{service}")["instances"]}

    def endpoints(self, target: str) -> list[str]:
        """Ids of the endpoints of a service."""
        return [endpoint["id"] for endpoint in self.ok("GET", f"/resolve/{target}")["endpoints"]]

    def pass_time(self, seconds: float) -> None:
        """Let time go by."""
        self.world.run(asyncio.sleep(seconds))


@pytest.fixture
def api() -> Iterator[Api]:
    with World((NativeHarness(),), virtual=True) as world:
        yield Api(world)
