"""What a board is told: its registry, who it is, and its limits. Made once; a board keeps it for life."""

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from callboard.client.settings import (
    URL_VARIABLE,
    ClientSettings,
    consul_over_tls,
    from_environment,
    over_tls,
    servers_of,
    split_urls,
    tls_of,
    verify_of,
)
from callboard.model.errors import InvalidError

NAMESPACE_VARIABLE: Final = "CALLBOARD_NAMESPACE"
ZONE_VARIABLE: Final = "CALLBOARD_ZONE"
ADVERTISE_VARIABLE: Final = "CALLBOARD_ADVERTISE"
CONSUL_TOKEN_VARIABLE: Final = "CONSUL_HTTP_TOKEN"  # noqa: S105  # the name of a variable, not a token
SNAPSHOTS_VARIABLE: Final = "CALLBOARD_SNAPSHOTS"
_CONSUL: Final = "consul://"


class BoardSettings(Struct, frozen=True, kw_only=True):
    """Raises `InvalidError` when a value breaks its rule."""

    client: ClientSettings = ClientSettings()
    protocol: Literal["callboard", "consul"] = "callboard"
    """What the registry speaks; `consul://` in a URL says the latter."""
    namespace: str = ""
    zone: str = ""
    """Where this process is: put into the registrations it makes, and preferred when it calls."""
    advertise: str = ""
    """The address that registrations say, when they name none themselves."""
    snapshots: str = ""
    """Folder for what was last known of each followed service; empty: below the user's cache; `off`: none is kept."""

    lease_ms: int = 15_000
    """An instance that was not heard from for so long is critical. A third of it passes between two heartbeats."""
    port_wait_ms: int = 60_000
    """A registration waits so long for its port to accept before it says so loudly; it goes on waiting."""
    blocked_after_ms: int = 5_000
    """An event loop that has not turned for so long makes its instance `warning`."""
    takeover_ms: int = 500
    """How often a process that shares an instance looks whether its keeper is gone."""
    drain_notice_ms: int = 2_000
    """After an instance was hidden, its callers are given so long to hear of it."""
    drain_finish_ms: int = 25_000
    """Calls under way at a drain are given so long to end."""

    first_wait_ms: int = 5_000
    """The first pick waits so long for the first picture."""
    snapshot_max_age_ms: int = 7 * 24 * 3_600_000
    """Older snapshots are not used."""
    shrink_share: float = 0.5
    """A new picture that misses more than this share of a service is doubted ..."""
    shrink_hold_ms: int = 30_000
    """... for so long."""
    digest_ms: int = 60_000
    """How often the picture is compared with the registry's; 0: never."""

    attempts_max_count: int = 2
    """Tries of one call, each at another instance."""
    attempt_share: float = 0.5
    """An attempt may take this share of the time that is left, if another one may follow: an instance that hangs is given up in time to try
    another. 1: it may take all, and a call is tried again only when it failed early."""
    retry_share: float = 0.2
    """Retries may add so much to the calls of the last ten seconds ..."""
    retry_floor_per_s: float = 3.0
    """... or so many a second, whichever is more."""
    call_timeout_ms: int = 10_000
    """For one call over all its attempts, unless it says otherwise."""
    panic_share: float = 0.5
    """When fewer instances than this share are well, those that are not are called too."""

    def __post_init__(self) -> None:
        for name in ("lease_ms", "port_wait_ms", "blocked_after_ms", "takeover_ms", "attempts_max_count", "call_timeout_ms"):
            if getattr(self, name) < 1:
                raise InvalidError(name, "must be at least 1")
        for name in (
            "drain_notice_ms", "drain_finish_ms", "first_wait_ms", "snapshot_max_age_ms", "shrink_hold_ms", "digest_ms", "retry_floor_per_s"
        ):  # fmt: skip
            if getattr(self, name) < 0:
                raise InvalidError(name, "must not be negative")
        for name in ("shrink_share", "panic_share", "attempt_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidError(name, "must be a share from 0 to 1")
        if not 0 <= self.retry_share <= 10:
            raise InvalidError("retry_share", "must be from 0 to 10")


def board_settings(
    environment: Mapping[str, str], url: object = "", token: object = "", *, settings: object = None, **others: object
) -> BoardSettings:
    """What is said here first, then `settings`, then the environment. `url` is a comma list. Raises `InvalidError`.

    A Consul server is also sent what CONSUL_HTTP_TOKEN says, when CALLBOARD_TOKEN says nothing; and Consul's variables for TLS hold.
    """
    said = {name: _text(name, value) for name, value in {"url": url, "token": token, **others}.items()}
    base = _settings(settings)
    named = split_urls(said["url"])
    inherits = False
    if not named and base.client.urls == ClientSettings().urls:
        named = servers_of(environment)
        inherits = bool(named) and not environment.get(URL_VARIABLE)
    protocol = base.protocol
    if any(one.startswith(_CONSUL) for one in named):
        protocol = "consul"
        named = tuple(_consul(one, secure=consul_over_tls(environment)) for one in named)
    asked = from_environment(environment, urls=named or base.client.urls)
    own = {
        "namespace": said.get("namespace") or base.namespace or environment.get(NAMESPACE_VARIABLE, ""),
        "zone": said.get("zone") or base.zone or environment.get(ZONE_VARIABLE, ""),
        "advertise": said.get("advertise") or base.advertise or environment.get(ADVERTISE_VARIABLE, ""),
        "snapshots": said.get("snapshots") or base.snapshots or environment.get(SNAPSHOTS_VARIABLE, ""),
    }
    inherited = environment.get(CONSUL_TOKEN_VARIABLE, "") if protocol == "consul" else ""
    consul = inherits or protocol == "consul"
    files = {name: getattr(base.client, name) or file for name, file in tls_of(environment, consul=consul).items()}
    client = replace(
        base.client, urls=asked.urls, token=said["token"] or base.client.token or asked.token or inherited,
        verify=base.client.verify and verify_of(environment, consul=consul), **files,
    )  # fmt: skip
    return replace(base, client=client, protocol=protocol, **own)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        hint = "write a comma list" if isinstance(value, list | tuple) else "leave it out for what the environment says"
        raise InvalidError(name, f"must be a text, is {type(value).__name__}; {hint}")
    return value


def _settings(said: object) -> BoardSettings:
    if said is not None and not isinstance(said, BoardSettings):
        raise InvalidError("settings", f"must be BoardSettings, is {type(said).__name__}; write callboard.BoardSettings(...)")
    return said if said is not None else BoardSettings()


def _consul(url: str, *, secure: bool) -> str:
    """The same in the scheme that the transport knows. Every server of a board speaks one protocol."""
    if "://" in url and not url.startswith(_CONSUL):
        raise InvalidError("url", f"{url!r} beside one that begins with {_CONSUL}: a board speaks one protocol")
    plain = "http://" + _with_port(url.removeprefix(_CONSUL))
    return over_tls(plain) if secure else plain


def _with_port(place: str) -> str:
    """Consul's port when none is said."""
    host, slash, path = place.partition("/")
    bare = host.endswith("]") or ":" not in host
    return f"{host}:8500{slash}{path}" if bare else place
