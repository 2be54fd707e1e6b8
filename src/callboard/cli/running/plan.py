"""What `callboard run` was told, as a registration and as the environment of the process. Lives for one run."""

import socket
from collections.abc import Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from callboard.cli.running.accepting import LOOPBACK
from callboard.client.looking import check_ready
from callboard.client.options import RegisterOptions
from callboard.model import names
from callboard.model.errors import InvalidError
from callboard.model.instance import InstanceSpec, Weights
from callboard.wire.native import CheckRequest

VERSION: Final = "version"
ZONE: Final = "zone"
TTL_MIN_MS: Final = 250
"""A third of it passes between two heartbeats: with less, a busy host is late, and its instance is gone and back all the time."""


class Plan(Struct, frozen=True, kw_only=True):
    """The options of `run`. `port` is the real one, `instance_id` never empty."""

    service: str
    port: int
    instance_id: str
    address: str = ""
    version: str = ""
    zone: str = ""
    tags: tuple[str, ...] = ()
    meta: Mapping[str, str] = {}
    weight: int = 1
    http: str = ""
    """A path on its own port, or a URL."""
    tcp: bool = False
    udp: bool = False
    grpc: bool = False
    h2ping: bool = False
    ttl_ms: int
    interval_ms: int
    drain_ms: int
    stop_timeout_ms: int

    def check(self, namespace: str) -> None:
        """Raise `InvalidError` for what no registry would take: better before the process is started than after."""
        if self.ttl_ms < TTL_MIN_MS:
            raise InvalidError("--ttl", f"must be at least {TTL_MIN_MS}ms, is {self.ttl_ms}ms")
        try:
            check_ready(self.http, self.port)
        except InvalidError as error:
            raise InvalidError("--http", error.problem) from None
        meta = {**self.meta, **{key: value for key, value in ((VERSION, self.version), (ZONE, self.zone)) if value}}
        InstanceSpec(
            service=self.service, id=self.instance_id, namespace=names.namespace(namespace), address=self.address, port=self.port,
            tags=self.tags, meta=dict(meta), weights=Weights(self.weight),
        )  # fmt: skip

    @property
    def hosts(self) -> tuple[str, ...]:
        """Where the process may listen, as seen from this host."""
        return (self.address, *LOOPBACK) if self.address else LOOPBACK

    @property
    def variables(self) -> dict[str, str]:
        """What the process is told."""
        return {"PORT": str(self.port), "CALLBOARD_SERVICE": self.service, "CALLBOARD_INSTANCE_ID": self.instance_id}

    def options(self) -> RegisterOptions:
        """The same for `Board.register`."""
        return RegisterOptions(
            port=self.port, address=self.address, id=self.instance_id, version=self.version, zone=self.zone, tags=self.tags, meta=self.meta,
            weight=self.weight, ready=self.http, checks=self._checks(), lease_ms=self.ttl_ms,
        )  # fmt: skip

    def _checks(self) -> tuple[CheckRequest, ...]:
        """What the registry asks by itself. They begin passing, for the port accepts and the path passes when it is signed in."""
        host = self.address or LOOPBACK[0]  # a registry elsewhere takes loopback for the caller's address
        place = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        url = f"http://{place}{self.http}" if self.http.startswith("/") else self.http
        begin = CheckRequest(interval_ms=self.interval_ms, status="passing")
        kinds = {"tcp": self.tcp, "udp": self.udp, "grpc": self.grpc, "h2ping": self.h2ping}
        asked = {"http": url, **{kind: place for kind, wanted in kinds.items() if wanted}}
        return tuple(replace(begin, **{kind: target}) for kind, target in asked.items() if target)


def default_id(service: str, port: int) -> str:
    """The same at every start of the same service on the same host."""
    return f"{service}-{socket.gethostname()}-{port}"
