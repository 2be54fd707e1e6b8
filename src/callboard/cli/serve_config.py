"""`--print-config`: merged settings as a TOML file that would give them again, with the origin of what is not a default."""

import json
from collections.abc import Iterator

import msgspec

from callboard.server.settings import FIXED, ROOMS, Settings, tunable


def config_lines(settings: Settings) -> Iterator[str]:
    """The file's lines. Raises `InvalidError` for a room's settings that contradict each other."""
    for name in settings.server.__struct_fields__:
        yield _line(name, getattr(settings.server, name), settings.origins.get(name, ""))
    for room in ROOMS:
        # Fields that follow from flags are not shown, so that any text does for those that have no default.
        required = {field.name: "-" for field in msgspec.structs.fields(ROOMS[room]) if field.required and field.name in FIXED[room]}
        values = settings.room(room, **required)
        yield ""
        yield f"[tune.{room}]"
        for field in tunable(room):
            yield _line(field, getattr(values, field), settings.origins.get(f"tune.{room}.{field}", ""))


def _line(name: str, value: object, origin: str) -> str:
    return f"{name} = {_toml(value)}" + (f"  # {origin}" if origin else "")


def _toml(value: object) -> str:
    """Numbers, truth values, texts and lists of them; JSON's spelling of these is TOML's, but for one control character."""
    return json.dumps(msgspec.to_builtins(value)).replace("\x7f", "\\u007f")
