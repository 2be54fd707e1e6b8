"""From the named arguments of `Board.register` to what a keeper signs in. A plan lives as long as its registration.

What can be judged at once is judged at once; the address, which may take the way to the registry, in the keeper's thread.
"""

import logging
import os
import socket
from typing import Final

from msgspec.structs import replace

from callboard.client.advertise import advertised, check_address
from callboard.client.backend import Backend
from callboard.client.board_settings import BoardSettings
from callboard.client.looking import Gate, check_ready
from callboard.client.options import RegisterOptions, check_known, checks, text_map, texts
from callboard.client.seat import Seat
from callboard.model import names
from callboard.model.errors import InvalidError
from callboard.model.instance import WEIGHT_MAX, Phase
from callboard.wire.native import Beat, CheckRequest, Registration, Weights
from callboard.wire.native_words import MILLISECONDS_MAX

_log: Final = logging.getLogger("callboard.client")
LEASE_CHECK: Final = "lease"
LEASE_MIN_MS: Final = 250
"""A third of it is the time for a heartbeat and its answer."""
GONE_AFTER_LEASES: Final = 10
GONE_AFTER_MIN_MS: Final = 60_000
"""An instance whose process never came back is removed after so many leases, and not before a minute: a host may only be rebooting."""


class ServicePlan:
    """One instance of a service, as its process wants it."""

    def __init__(self, service: str, options: RegisterOptions, settings: BoardSettings, backend: Backend) -> None:
        """Raises `InvalidError`."""
        check_known("register()", options, RegisterOptions)
        self.service = names.name("service", service)
        self.lease_ms = options.get("lease_ms", 0) or settings.lease_ms
        self.port = names.port("port", options.get("port", 0))
        self._options = options
        self._settings = settings
        self._backend = backend
        self._ready = check_ready(options.get("ready", ""), self.port)
        self._check()

    def registration(self) -> Registration:
        """Asks the way to the registry for the address if nobody said one. Raises `InvalidError`, `UnreachableError`."""
        said = self._options.get("address", "") or self._settings.advertise
        address = advertised(said, os.environ, remote=self._backend.remote, local_address=self._backend.local_address)
        return self._made(address)

    def gate(self, registration: Registration) -> Gate | None:
        """What must be passed before it is signed in; None: nothing."""
        waits = self.port > 0 and self._options.get("wait_for_port", True)
        if not waits and not self._ready:
            return None
        return Gate(registration.address, self.port, self._ready, wait_for_port=waits)

    def seat(self, registration: Registration) -> Seat | None:
        """The place at the instance, when processes share it."""
        if not self._options.get("shared", self.port > 0):
            return None
        one = registration
        place = (one.namespace, one.service, one.node, one.id, one.address, str(one.port))
        return Seat((*sorted(self._settings.client.urls), *place), os.environ)

    def _check(self) -> None:
        """What the registry would refuse is refused where it was asked for."""
        if not LEASE_MIN_MS <= self.lease_ms <= MILLISECONDS_MAX:
            raise InvalidError("lease_ms", f"must be between {LEASE_MIN_MS} and {MILLISECONDS_MAX}, is {self.lease_ms}")
        weight = self._options.get("weight", 1)
        if not 0 <= weight <= WEIGHT_MAX:
            raise InvalidError("weight", f"must be between 0 and {WEIGHT_MAX}, is {weight}")
        said = self._options.get("address", "")
        if said:
            check_address("address", said, remote=self._backend.remote)
        made = self._made(said or "127.0.0.1")
        names.name("id", made.id)
        names.tags("tags", made.tags)
        names.meta("meta", made.meta)
        if (version := made.meta.get("version", "")) and not _is_version(version):
            _log.warning("%s: version %r is none that a range can match; write it like 2.3.1", made.id, version)

    def _made(self, address: str) -> Registration:
        options = self._options
        instance = options.get("id", "") or self._id(address)
        return Registration(
            service=self.service,
            id=instance,
            namespace=options.get("namespace", "") or self._settings.namespace,
            node=options.get("node", ""),
            address=address,
            port=self.port,
            tags=texts("tags", options.get("tags", ())),
            meta=_meta(options, self._settings.zone),
            weights=Weights(options.get("weight", 1), options.get("weight", 1)),
            phase=Phase.SERVING,
            checks=(*checks(options.get("checks", ())), _lease_check(instance, self.lease_ms)),
            replace_checks=True,
        )

    def _id(self, address: str) -> str:
        place = f"{address}-{self.port}" if self.port else f"{socket.gethostname()}-{os.getpid()}"
        return f"{self.service}-{place}".replace(":", "-").replace("/", "-")


def _is_version(text: str) -> bool:
    from callboard.balance.versions import order_of  # noqa: PLC0415  # the library behind it is slow to load

    return order_of(text) is not None


def told(registration: Registration, beat: Beat, phase: Phase | None) -> Registration:
    """The same as it is now: its TTL checks begin with what `beat` says."""
    now = tuple(replace(one, status=beat.status, output=beat.output or "") if one.ttl_ms else one for one in registration.checks)
    return replace(registration, checks=now, phase=phase)


def _lease_check(instance: str, lease_ms: int) -> CheckRequest:
    gone_ms = min(max(GONE_AFTER_LEASES * lease_ms, GONE_AFTER_MIN_MS), MILLISECONDS_MAX)
    return CheckRequest(id=f"{LEASE_CHECK}:{instance}", name="Lease", status="passing", ttl_ms=lease_ms, deregister_after_ms=gone_ms)


def _meta(options: RegisterOptions, zone: str) -> dict[str, str]:
    said = {"version": options.get("version", ""), "zone": options.get("zone", "") or zone}
    return {**text_map("meta", options.get("meta", {})), **{key: value for key, value in said.items() if value}}
