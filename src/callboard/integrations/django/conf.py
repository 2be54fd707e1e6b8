"""The setting CALLBOARD: read once, when it is first needed."""

from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec
from msgspec import Struct

from callboard.client.options import RegisterOptions
from callboard.model.errors import InvalidError

SETTING: Final = "CALLBOARD"


class Conf(Struct, frozen=True, kw_only=True, rename="upper", forbid_unknown_fields=True):
    """What stands in it, in capitals. Everything may be left out; without SERVICE nothing is signed in."""

    service: str = ""
    url: str = ""
    token: str = ""
    enabled: bool = True
    """False: nothing is signed in, whatever SERVICE says."""
    health_path: str = ""
    ready_path: str = ""

    port: int | None = None
    """Where callers reach the project; else the environment's PORT."""
    address: str = ""
    id: str = ""
    node: str = ""
    namespace: str = ""
    version: str = ""
    zone: str = ""
    tags: tuple[str, ...] = ()
    meta: dict[str, str] = {}
    weight: int = 1
    ready: str = ""
    lease_ms: int | None = None


KEYS: Final = tuple(field.encode_name for field in msgspec.structs.fields(Conf))
_OPTIONS: Final = ("port", "address", "id", "node", "namespace", "version", "zone", "tags", "meta", "weight", "ready", "lease_ms")


def read(said: object) -> Conf:
    """The setting as a value. Raises `InvalidError`, which names the key."""
    if not isinstance(said, Mapping):
        raise InvalidError(SETTING, f"must be a dictionary, not {type(said).__name__}")
    try:
        return msgspec.convert(dict(said), Conf)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `$.")
        raise InvalidError(f"{SETTING}[{place.rstrip('`')!r}]" if place else SETTING, problem) from None


def options_of(conf: Conf) -> RegisterOptions:
    """What `Board.register` is told: what the setting says, and nothing else."""
    untold = Conf()
    said: dict[str, Any] = {name: getattr(conf, name) for name in _OPTIONS if getattr(conf, name) != getattr(untold, name)}
    return cast(RegisterOptions, said)
