"""Says a lease's commands to a registry, and tells the lease how it went. It lives as long as the registration, in its keeper's thread."""

import logging
import random
import time
from typing import Final, Protocol

from callboard.client.backend import ForgottenError
from callboard.client.errors import ClientError, NotFoundError, ProblemError, UnavailableError, UnreachableError
from callboard.client.machine.lease import Command, Lease
from callboard.client.registering import told
from callboard.model.errors import InvalidError
from callboard.model.instance import Phase
from callboard.wire.native import Beat, Registration, Written

_log: Final = logging.getLogger("callboard.client")
GOODBYE_MAX_MS: Final = 2_000
BEAT_TIMEOUT_MIN_MS: Final = 1_000
BEATS_PER_LEASE: Final = 3
_SURELY_NOT: Final = frozenset({429, 503})
"""Answers of a server that did nothing."""


class Desk(Protocol):
    """Where one signs in: the part of a `Backend` that keeping an instance takes."""

    def register(self, registration: Registration) -> Written:
        """As `Backend.register`."""
        ...

    def heartbeat(self, held: Written, beat: Beat, timeout_ms: int) -> None:
        """As `Backend.heartbeat`."""
        ...

    def drain(self, held: Written, *, on: bool) -> None:
        """As `Backend.drain`."""
        ...

    def deregister(self, held: Written, timeout_ms: int) -> None:
        """As `Backend.deregister`."""
        ...


class Speaker:
    """One registration's voice."""

    def __init__(self, desk: Desk, lease: Lease, registration: Registration, timeout_ms: int) -> None:
        """`timeout_ms`: at most so long for a heartbeat."""
        self.written: Written | None = None
        """What the last registration was answered with."""
        self._desk = desk
        self._lease = lease
        self._registration = registration
        self._phase = registration.phase
        self._timeout_ms = timeout_ms

    def taken_over(self, *, hidden_by_leaving: bool) -> None:
        """Another process kept it before: what people hid stays hidden, what that process hid because it left is shown again."""
        if self._phase is Phase.SERVING and not hidden_by_leaving:
            self._phase = None

    def say(self, command: Command) -> None:
        """Say it. Raises nothing: the lease knows how it went."""
        sent = time.monotonic_ns()
        try:
            self._speak(command)
        except ForgottenError as error:
            self._lease.forgotten(time.monotonic_ns(), random.random(), error)
        except NotFoundError as error:
            if command is Command.REGISTER:
                self._lease.refused(time.monotonic_ns(), error)
            else:
                self._lease.forgotten(time.monotonic_ns(), random.random(), error)
        except UnavailableError as error:
            perhaps = error.status not in _SURELY_NOT
            self._lease.failed(time.monotonic_ns(), random.random(), error, error.retry_after_s * 1000, perhaps=perhaps)
        except (ProblemError, InvalidError) as error:
            self._lease.refused(time.monotonic_ns(), error)
        except ClientError as error:
            perhaps = not isinstance(error, UnreachableError) or error.sent
            self._lease.failed(time.monotonic_ns(), random.random(), error, perhaps=perhaps)
        except Exception as error:  # noqa: BLE001  # it is logged; the next try may do better, and the lease runs
            _log.exception("a %s failed in a way that is not known", command.value)
            self._lease.failed(time.monotonic_ns(), random.random(), error, perhaps=True)
        else:
            self._lease.answered(command, sent, random.random())
            if command is Command.REGISTER and self._phase is Phase.SERVING:
                self._phase = None  # said once: what people hide later stays hidden

    def show_again(self) -> None:
        """Take back that it leaves: it goes on elsewhere. Whoever takes it over says so too."""
        if self.written is None:
            return
        try:
            self._desk.drain(self.written, on=False)
        except ClientError as error:
            _log.warning("%s could not be shown again: %s", self.written.id, error)

    def goodbye(self, held: Written) -> None:
        """Sign out an instance that another process kept, which left it to this one."""
        try:
            self._desk.deregister(held, GOODBYE_MAX_MS)
        except ClientError as error:
            _log.warning("%s could not be signed out: %s", held.id, error)

    def _speak(self, command: Command) -> None:
        lease = self._lease
        if command is Command.REGISTER:
            phase = Phase.DRAINING if lease.draining else self._phase
            self.written = self._desk.register(told(self._registration, lease.beat, phase))
            return
        assert self.written is not None, "a lease registers first"
        if command is Command.BEAT:
            self._desk.heartbeat(self.written, lease.beat, self._beat_timeout_ms())
        elif command is Command.DRAIN:
            self._desk.drain(self.written, on=True)
        else:
            self._desk.deregister(self.written, GOODBYE_MAX_MS)

    def _beat_timeout_ms(self) -> int:
        return min(self._timeout_ms, max(self._lease.lease_ms // BEATS_PER_LEASE, BEAT_TIMEOUT_MIN_MS))
