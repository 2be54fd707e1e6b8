"""Settings of the whole server: flag over environment over file over default, each value with its origin. Made once, at start.

The first level are the flags of `callboard serve`. Below `tune` every room's own limits can be set: `[tune.registry]` in the file,
`CALLBOARD_TUNE_REGISTRY_HISTORY_MAX_COUNT` in the environment.
"""

import re
import tomllib
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

from callboard.core.liveness import LivenessSettings
from callboard.core.opinions import OpinionSettings
from callboard.model.errors import InvalidError
from callboard.net.http.settings import HttpSettings
from callboard.registry.settings import RegistrySettings
from callboard.server.frontends import FRONTENDS
from callboard.server.worker_settings import WORKERS_MAX_COUNT, WorkersSettings
from callboard.store.etcd.settings import EtcdSettings
from callboard.store.memory.settings import MemorySettings
from callboard.store.sqlite.settings import SqliteSettings
from callboard.store.unix.settings import UnixSettings

PREFIX: Final = "CALLBOARD_"
_FILE: Final = "settings file"
NOT_SETTINGS: Final = frozenset(
    f"{PREFIX}{name}"
    for name in ("URL", "TOKEN", "NAMESPACE", "ZONE", "SNAPSHOTS", "SERVICE", "INSTANCE_ID", "ETCD", "CA_FILE", "CERT_FILE", "KEY_FILE")
)
"""Environment of the SDK, of the commands, and of what `callboard run` starts, and of tests; not of the server."""
SERVICE_LINKS: Final = re.compile(PREFIX + r"(PORT|PORT_\d+_(TCP|UDP)(_PROTO|_PORT|_ADDR)?|SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?)")
"""What Kubernetes puts into every pod beside a Service that is called `callboard`."""
ROOMS: Final[dict[str, type[Struct]]] = {
    "registry": RegistrySettings,
    "liveness": LivenessSettings,
    "opinions": OpinionSettings,
    "http": HttpSettings,
    "memory": MemorySettings,
    "sqlite": SqliteSettings,
    "etcd": EtcdSettings,
    "unix": UnixSettings,
    "workers": WorkersSettings,
    **{plugin.name: plugin.settings for plugin in FRONTENDS},
}
FIXED: Final[dict[str, frozenset[str]]] = {
    "registry": frozenset({"member", "worker", "node", "address", "datacenter", "script_checks"}),
    "http": frozenset({"own_hosts", "trusted_proxies"}),
    "sqlite": frozenset({"path"}),
    "etcd": frozenset({"endpoints", "prefix"}),
    "dns": frozenset({"host", "port", "domain", "recursors"}),
    "console": frozenset({"dns", "domain"}),
}
"""Fields of rooms that follow from flags and cannot be set below `tune`."""


class ServerSettings(Struct, frozen=True, kw_only=True):
    """The flags of `callboard serve`."""

    http: tuple[str, ...] = ("127.0.0.1:8500",)
    """Addresses that serve every HTTP protocol."""
    https: tuple[str, ...] = ()
    """Addresses that serve the same over TLS; they need `tls_cert` and `tls_key`."""
    tls_cert: str = ""
    """File with the server's certificate, and those between it and its CA (PEM). Read again when it changes."""
    tls_key: str = ""
    """File with the key of that certificate (PEM, without a password)."""
    tls_client_ca: str = ""
    """File with CAs (PEM): with it, only callers with a certificate of one of them are served over TLS."""
    trusted_proxy: tuple[str, ...] = ()
    """Networks (`10.0.0.0/8`) or addresses of proxies whose X-Forwarded-For says who calls."""
    dns: str = "127.0.0.1:8600"
    """Address of DNS, UDP and TCP; empty for none."""
    store: str = ""
    """`memory:`, `sqlite:///PATH` or `etcd://HOST:PORT[,HOST:PORT]/PREFIX`; empty for SQLite in the data directory."""
    data: str = "./callboard-data"
    """Data directory; one server at a time uses it."""
    dev: bool = False
    """Memory store, nothing on disk."""
    node: str = "callboard"
    """Node of calls that come from this machine."""
    member: str = ""
    """This server's identity; empty for the host name with a random suffix that is kept in the data directory."""
    datacenter: str = "dc1"
    """Name of this data centre."""
    advertise: str = "127.0.0.1"
    """Address at which others reach this machine: that of the server's node."""
    dns_domain: str = "consul"
    """Domain of DNS names."""
    recursor: tuple[str, ...] = ()
    """Name servers (`HOST:PORT`) that are asked for names outside the domain."""
    enable_script_checks: bool = False
    """Checks may run programs on this machine: whoever may register may then run what they like."""
    workers: Annotated[int, Meta(ge=1, le=WORKERS_MAX_COUNT)] = 1
    """Processes that serve the same ports side by side, at most 64; the first holds the store and leads. Not over etcd."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe messages that are logged."""
    log_format: Literal["text", "json"] = "text"
    """Form of the log on stderr."""


class Settings(NamedTuple):
    """Everything that can be set, and where each value comes from."""

    server: ServerSettings
    tune: dict[str, dict[str, Any]]
    origins: dict[str, str]

    def room(self, name: str, **fixed: object) -> Any:  # noqa: ANN401  # the struct that ROOMS names
        """The settings struct of a room; `fixed` are its fields that follow from flags. Raises `InvalidError`."""
        return _convert(f"tune.{name}", {**self.tune.get(name, {}), **fixed}, ROOMS[name])


def load(flags: Mapping[str, object], environment: Mapping[str, str], file: str = "", file_name: str = _FILE) -> Settings:
    """Merge the sources. `flags` holds only what was said on the command line; `file` is the text of a TOML file, which errors name.

    Raises `InvalidError` with the name of the setting and where it was said.
    """
    origins: dict[str, str] = {}
    top: dict[str, Any] = {}
    tune: dict[str, dict[str, Any]] = {}
    try:
        _from_file(file, top, tune, origins)
    except InvalidError as error:
        raise InvalidError(file_name, error.problem if error.field == _FILE else str(error)) from None
    _from_environment(environment, top, tune, origins)
    for name, value in flags.items():
        top[name] = value
        origins[name] = "flag --" + name.replace("_", "-")
    server = _convert("", top, ServerSettings)
    settings = Settings(server, tune, origins)
    for name in ROOMS:
        required = {"member": "m"} if name == "registry" else {"path": "p"} if name == "sqlite" else {}
        settings.room(name, **required)
    return settings


def _from_file(file: str, top: dict[str, Any], tune: dict[str, dict[str, Any]], origins: dict[str, str]) -> None:
    try:
        document = tomllib.loads(file)
    except tomllib.TOMLDecodeError as error:
        raise InvalidError(_FILE, str(error)) from None
    rooms = document.pop("tune", {})
    if not isinstance(rooms, dict):
        raise InvalidError("tune", "must hold tables, as in [tune.registry]")
    for room, values in rooms.items():
        if not isinstance(values, dict):
            raise InvalidError(f"tune.{room}", "must be a table, as in [tune.registry]")
        for field, value in values.items():
            _tune(tune, room, field, value)
            origins[f"tune.{room}.{field}"] = "file"
    for name, value in document.items():
        if name not in ServerSettings.__struct_fields__:
            raise InvalidError(name, f"no such setting in the file; {_meant(name, [*ServerSettings.__struct_fields__, '[tune.*]'])}")
        top[name] = value
        origins[name] = "file"


def _from_environment(
    environment: Mapping[str, str], top: dict[str, Any], tune: dict[str, dict[str, Any]], origins: dict[str, str]
) -> None:
    for variable, value in environment.items():
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS or SERVICE_LINKS.fullmatch(variable):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name in ServerSettings.__struct_fields__:
            top[name] = _spelled(ServerSettings, name, value)
            origins[name] = variable
        elif name.startswith("tune_"):
            room, field = _split(name.removeprefix("tune_"), variable)
            _tune(tune, room, field, _spelled(ROOMS[room], field, value))
            origins[f"tune.{room}.{field}"] = variable
        else:
            near = " or ".join(PREFIX + one.upper() for one in get_close_matches(name, ServerSettings.__struct_fields__))
            hint = f"did you mean {near}?" if near else "`callboard serve --print-config` lists them"
            raise InvalidError(variable, f"no such setting; {hint}")


def _spelled(of: type[Struct], name: str, value: str) -> str | list[str]:
    """A variable's text as the setting wants it: a comma list where there may be several."""
    several = any(field.name == name and isinstance(field.default, tuple) for field in msgspec.structs.fields(of))
    return [part.strip() for part in value.split(",") if part.strip()] if several else value


def _split(name: str, variable: str) -> tuple[str, str]:
    for room in ROOMS:
        if name.startswith(room + "_"):
            return room, name.removeprefix(room + "_")
    raise InvalidError(variable, f"must name one of the rooms {', '.join(ROOMS)}")


def _tune(tune: dict[str, dict[str, Any]], room: str, field: str, value: object) -> None:
    if room not in ROOMS:
        raise InvalidError(f"tune.{room}", f"no such room; {_meant(room, ROOMS)}")
    fields = tunable(room)
    if field not in fields:
        raise InvalidError(f"tune.{room}.{field}", f"no such setting; {_meant(field, fields)}")
    tune.setdefault(room, {})[field] = value


def _meant(name: str, known: Collection[str]) -> str:
    """What to say to whoever wrote a name that is none: what it is nearest to, or else all there are."""
    near = get_close_matches(name, known)
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"


def tunable(room: str) -> list[str]:
    """The fields of a room that can be set below `tune`."""
    return [field for field in ROOMS[room].__struct_fields__ if field not in FIXED.get(room, frozenset())]


def _convert(where: str, values: Mapping[str, object], to: type[Struct]) -> Any:  # noqa: ANN401  # an instance of `to`
    try:
        return msgspec.convert(dict(values), to, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidError(where or "settings", str(error)) from None
