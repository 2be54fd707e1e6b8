"""Checks: one health question each, how it is asked, and its last answer.

A definition (`callboard.model.check_kinds`) is shared by all checks that are asked alike; a `Check` is replaced at each turn of its status
and lives as long as its row. What has to do with checks is imported from here.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from callboard.model import names
from callboard.model.check_kinds import (
    OUTPUT_MAX_BYTES,
    SCRIPT_TIMEOUT_DEFAULT,
    TIMEOUT_DEFAULT,
    AliasCheck,
    Definition,
    GrpcCheck,
    H2pingCheck,
    HttpCheck,
    LocalDefinition,
    MaintenanceCheck,
    ManualCheck,
    NetworkDefinition,
    OsServiceCheck,
    ProbeDefinition,
    ScriptCheck,
    TcpCheck,
    Thresholds,
    TlsOptions,
    TtlCheck,
    UdpCheck,
)
from callboard.model.check_rules import DEREGISTER_AFTER_MIN, INTERVAL_MIN, URL_MAX_CHARS, validate
from callboard.model.rows import ZERO, Revision
from callboard.model.time import Timestamp

__all__ = [
    "DEREGISTER_AFTER_MIN", "INTERVAL_MIN", "OUTPUT_MAX_BYTES", "SCRIPT_TIMEOUT_DEFAULT", "SEVERITY", "TIMEOUT_DEFAULT", "URL_MAX_CHARS",
    "AliasCheck", "Check", "CheckSpec", "Definition", "GrpcCheck", "H2pingCheck", "HttpCheck", "LocalDefinition", "MaintenanceCheck",
    "ManualCheck", "NetworkDefinition", "OsServiceCheck", "ProbeDefinition", "ScriptCheck", "Status", "TcpCheck", "Thresholds",
    "TlsOptions", "TtlCheck", "UdpCheck", "clip_output", "validate", "worst",
]  # fmt: skip


class Status(StrEnum):
    """The answer to a health question, and by `worst` the health of an instance."""

    PASSING = "passing"
    WARNING = "warning"
    CRITICAL = "critical"
    MAINTENANCE = "maintenance"


SEVERITY: Final = {Status.PASSING: 0, Status.WARNING: 1, Status.CRITICAL: 2, Status.MAINTENANCE: 3}


class Check(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """One check as its row tells it. `instance` is empty for a check of the node; `node` is in lower case."""

    namespace: str
    node: str
    id: str
    definition: Definition
    status: Status
    nonce: str
    name: str = ""
    instance: str = ""
    parent: str = ""
    """Nonce of the instance or node it belongs to."""
    output: str = ""
    notes: str = ""
    turned: Timestamp = Timestamp(0)
    """When `status` last turned, by the leader's wall clock."""
    created: Revision = ZERO
    modified: Revision = ZERO


class CheckSpec(Struct, frozen=True, gc=False, kw_only=True):
    """What a caller says about a check. `status` is the initial one and does not touch a check that is there already."""

    id: str
    definition: Definition
    name: str = ""
    notes: str = ""
    status: Status = Status.CRITICAL
    output: str = ""

    def __post_init__(self) -> None:
        names.name("check id", self.id, names.CHECK_ID_MAX_CHARS)
        names.text("check name", self.name)
        names.text("check notes", self.notes)
        validate(self.definition)


def worst(statuses: "list[Status]") -> Status:
    """The health that several checks make together; passing when there is none."""
    return max(statuses, key=SEVERITY.__getitem__, default=Status.PASSING)


def clip_output(output: str, limit_bytes: int = OUTPUT_MAX_BYTES) -> str:
    """At most `limit_bytes` of UTF-8; what was cut off is said at the end, in Consul's words."""
    data = output.encode()
    if len(data) <= limit_bytes:
        return output
    kept = data[:limit_bytes].decode(errors="ignore")
    return f"{kept} ... (captured {limit_bytes} of {len(data)} bytes)"
