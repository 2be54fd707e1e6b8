"""The named arguments of `Board.register` and `Board.service`, the same for both boards."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from callboard.wire.native import CheckRequest


class RegisterOptions(TypedDict, total=False):
    """How an instance signs in. Everything may be left out."""

    port: int
    """Where it is called. It is waited for until it accepts; 0: it is not called over a port, and signs in at once."""
    address: str
    """Else CALLBOARD_ADVERTISE, POD_IP, or the address of this host on the way to the registry."""
    id: str
    """Else made of service, address and port (`orders-10.0.0.7-8000`): the same for all processes behind one port."""
    node: str
    namespace: str
    version: str
    """Put into the meta entry `version`, which callers select by."""
    zone: str
    """Put into the meta entry `zone`; else the board's."""
    tags: Sequence[str]
    meta: Mapping[str, str]
    weight: int
    """Share of calls, relative to the other instances (1)."""
    ready: str
    """A path on its own port (`/ready`) or a URL that must answer 2xx before it signs in. For the time after that there are `checks`."""
    checks: Sequence[CheckRequest]
    """Checks beside the lease: what the registry asks by itself."""
    lease_ms: int
    """Else the board's `lease_ms`."""
    shared: bool
    """Several processes of this host serve the port: one of them keeps the instance (True when there is a port). False: this one alone."""
    wait_for_port: bool
    """False: sign in at once, whether the port accepts or not."""


class ServiceOptions(TypedDict, total=False):
    """Which instances of a service are called, and how one of them is picked."""

    version: str
    """A range: `^2.1`, `~2.1.3`, `>=2,<3`, `2.x`, `2.1.0`."""
    prefer: Literal["any", "latest", "oldest"]
    """Of the versions that match: all, only the highest, only the lowest."""
    fallback: str
    """When none matches: `none` (nobody is called), `any`, or another range."""
    tags: Sequence[str]
    labels: Mapping[str, str]
    """Entries of the instance's meta that must be so."""
    zone: str
    """Preferred zone; else the board's."""
    passing_only: bool
    policy: str
    """`peak_ewma` (default), `p2c`, `smooth_wrr`, `weighted_random`."""
    namespace: str
