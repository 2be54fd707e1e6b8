"""The prober: asks instances how they are, over the network, a bounded number at a time. A probe lives from its start to its result."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from callboard.core.health import ProbeResult
from callboard.core.liveness import CheckKey
from callboard.model.check import (
    Check,
    GrpcCheck,
    H2pingCheck,
    HttpCheck,
    OsServiceCheck,
    ProbeDefinition,
    ScriptCheck,
    Status,
    TcpCheck,
    UdpCheck,
)
from callboard.model.time import SECOND, Duration, Instant
from callboard.net.lookup import Lookups
from callboard.net.probe import probe_grpc, probe_h2ping, probe_http, probe_tcp
from callboard.net.probe_tls import ProbeTls
from callboard.net.probe_udp import probe_udp
from callboard.net.programs import probe_os_service, probe_script
from callboard.net.tasks import Tasks
from callboard.registry.settings import RegistrySettings

_log = logging.getLogger(__name__)
_NO_SCRIPTS: Final = "Scripts are disabled on member {}, which is to run this check: start every member with --enable-script-checks"
_COMPLAINT_EVERY: Final = Duration(10 * SECOND)


class Probe(NamedTuple):
    """One asking of one incarnation of a check."""

    definition: ProbeDefinition
    nonce: str
    started: Instant


Report = Callable[[CheckKey, Probe, ProbeResult | None], None]
Ask = Callable[[ProbeDefinition], Awaitable[ProbeResult]]
"""Asks once, within the timeout of the definition. Raises `OSError` when this machine lacks what a question takes."""


class Asking:
    """Asks: over the network, or by programs of this machine. Names it looks up and authorities it knows are those of one prober."""

    def __init__(self, settings: RegistrySettings) -> None:
        self._member = settings.member
        self._script_checks = settings.script_checks
        self._lookups = Lookups(settings.lookups_parallel_max_count)
        self._tls = ProbeTls(settings.probe_ca_file)

    async def __call__(self, definition: ProbeDefinition) -> ProbeResult:
        """Ask once."""
        timeout_s, lookups = definition.timeout / SECOND, self._lookups
        match definition:
            case HttpCheck():
                return await probe_http(definition, timeout_s, lookups, self._tls)
            case TcpCheck():
                return await probe_tcp(definition, timeout_s, lookups, self._tls)
            case UdpCheck():
                return await probe_udp(definition, timeout_s, lookups)
            case GrpcCheck():
                return await probe_grpc(definition, timeout_s, lookups, self._tls)
            case H2pingCheck():
                return await probe_h2ping(definition, timeout_s, lookups, self._tls)
            case OsServiceCheck():
                return await probe_os_service(definition, timeout_s)
            case ScriptCheck() if self._script_checks:
                return await probe_script(definition, timeout_s)
            case ScriptCheck():
                return ProbeResult(Status.CRITICAL, _NO_SCRIPTS.format(self._member))


class Prober:
    """Runs probes as tasks and reports the end of each, so that the next one comes whatever happened to this one."""

    def __init__(self, parallel_max_count: int, tasks: Tasks, ask: Ask, report: Report) -> None:
        self._parallel_max_count = parallel_max_count
        self._tasks = tasks
        self._ask = ask
        self._report = report
        self._running = 0
        self._unmade = 0
        self._complained: Instant | None = None

    @property
    def room(self) -> int:
        """How many more probes may be started."""
        return self._parallel_max_count - self._running

    def start(self, check: Check, now: Instant) -> None:
        """Ask once, if the check is one that is asked."""
        if isinstance(check.definition, ProbeDefinition):
            self._running += 1
            key = (check.namespace, check.node, check.id)
            self._tasks.spawn(self._run(key, Probe(check.definition, check.nonce, now)), name=f"probe {check.id}")

    async def once(self, check: Check) -> ProbeResult | None:
        """Ask now, besides all that is scheduled. None when the check is not one that is asked, or this server cannot ask."""
        if not isinstance(check.definition, ProbeDefinition):
            return None
        try:
            return await self._ask(check.definition)
        except OSError:
            return None

    async def _run(self, key: CheckKey, probe: Probe) -> None:
        result: ProbeResult | None = None
        try:
            result = await self._ask(probe.definition)
        except OSError as error:
            # Out of files, ports or memory: that is no evidence about whoever was to be asked.
            self._complain(key, probe.started, error)
        except Exception as error:  # noqa: BLE001  # a bug of ours must be seen on the check, and must not end its probes
            result = ProbeResult(Status.CRITICAL, f"the probe failed within this server: {error!r}")
            _log.exception("probe of check %s on node %s failed", key[2], key[1])
        finally:
            self._running -= 1
        self._report(key, probe, result)

    def _complain(self, key: CheckKey, now: Instant, error: OSError) -> None:
        """Say it, but not for each of the hundreds of probes that fail alike in the same second."""
        self._unmade += 1
        if self._complained is None or now >= self._complained + _COMPLAINT_EVERY:
            _log.error(
                "probe of check %s on node %s could not be made: %s (%d such since this was last said)", key[2], key[1], error, self._unmade
            )  # fmt: skip
            self._complained, self._unmade = now, 0
