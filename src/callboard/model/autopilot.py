"""What operators of Consul set about the care of its servers. It is kept and shown; here the store decides who is a member and who leads.

One value for the whole cluster; it lives until it is set again.
"""

from typing import Final

from msgspec import Struct

from callboard.model.errors import InvalidError
from callboard.model.rows import ZERO, Revision
from callboard.model.time import MILLISECOND, SECOND, Duration

TAG_MAX_CHARS: Final = 128
"""Of the names of tags."""


class Autopilot(Struct, frozen=True, gc=False, kw_only=True):
    """Consul's settings, with its defaults."""

    cleanup_dead_servers: bool = True
    last_contact_threshold: Duration = Duration(200 * MILLISECOND)
    max_trailing_logs: int = 250
    min_quorum: int = 0
    server_stabilization_time: Duration = Duration(10 * SECOND)
    redundancy_zone_tag: str = ""
    disable_upgrade_migration: bool = False
    upgrade_version_tag: str = ""
    created: Revision = ZERO
    modified: Revision = ZERO

    def __post_init__(self) -> None:
        for field in ("last_contact_threshold", "server_stabilization_time", "max_trailing_logs", "min_quorum"):
            if not 0 <= getattr(self, field) < 2**63:
                raise InvalidError(field, "must not be negative, and fit into 64 bits")
        for field in ("redundancy_zone_tag", "upgrade_version_tag"):
            if len(getattr(self, field)) > TAG_MAX_CHARS:
                raise InvalidError(field, f"must have at most {TAG_MAX_CHARS} characters")
