"""The words of `/api/v1` with the limits the model sets them, for the description of the API.

What stands in `extra_json_schema` is shown and not enforced here: the model enforces it, and its refusal names the field and the limit. A
test holds the two together. Only what msgspec checks itself (`ge`, `le`) is refused while a body is read. Nothing here lives or changes.
"""

from typing import Annotated, Final

from msgspec import Meta

from callboard.model import check_rules, instance, names
from callboard.model.rows import REVISION_LIMIT

MILLISECONDS_MAX: Final = 315_360_000_000
"""Ten years: longer than any server lives, and far from what a 64-bit count of nanoseconds holds."""
COUNT_MAX: Final = 1_000_000
PRINTABLE: Final = (
    r"^[^\u0000-\u001f\u007f-\u00a0\u00ad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ue000-\uf8ff\ufeff\ufff9-\ufffb]*$"
)
"""No control or format character, no space but the plain one. The model also refuses what Unicode has not assigned, which no pattern says
that all readers of patterns understand."""
_VISIBLE_ASCII: Final = "^[!-~]*$"
_ASCII: Final = "^[ -~]*$"
_TCHAR: Final = "[!#$%&'*+.^_`|~0-9A-Za-z-]"  # RFC 9110 section 5.6.2
_TARGET_MAX_CHARS: Final = names.NAME_MAX_CHARS + len("[]:65535")

Milliseconds = Annotated[int, Meta(ge=0, le=MILLISECONDS_MAX, extra_json_schema={"format": "int64"})]
Count = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
Port = Annotated[int, Meta(ge=0, le=65535)]
PortInUse = Annotated[int, Meta(ge=1, le=65535)]
Revision = Annotated[int, Meta(extra_json_schema={"minimum": 0, "exclusiveMaximum": REVISION_LIMIT, "format": "int64"})]
"""Place in the order of changes; grows only."""
PassingWeight = Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": instance.WEIGHT_MAX})]
WarningWeight = Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": instance.WEIGHT_MAX})]

Name = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": names.NAME_MAX_CHARS, "pattern": PRINTABLE})]
"""A name or id that must be said."""
NameOrNot = Annotated[str, Meta(extra_json_schema={"maxLength": names.NAME_MAX_CHARS, "pattern": PRINTABLE})]
"""One that may be left out, which is the same as empty."""
CheckId = Annotated[str, Meta(extra_json_schema={"maxLength": names.CHECK_ID_MAX_CHARS, "pattern": PRINTABLE})]
Text = Annotated[str, Meta(extra_json_schema={"maxLength": names.TEXT_MAX_CHARS})]
Tag = Annotated[str, Meta(extra_json_schema={"maxLength": names.TAG_MAX_CHARS})]
Tags = Annotated[tuple[Tag, ...], Meta(extra_json_schema={"maxItems": names.TAGS_MAX_COUNT})]
_META_KEYS: Final = {"minLength": 1, "maxLength": names.META_KEY_MAX_CHARS, "pattern": "^[A-Za-z0-9_-]+$"}
Labels = Annotated[
    dict[str, Annotated[str, Meta(extra_json_schema={"maxLength": names.META_VALUE_MAX_CHARS})]],
    Meta(extra_json_schema={"maxProperties": names.META_MAX_COUNT, "propertyNames": _META_KEYS}),
]
"""Meta entries of an instance or node."""

Url = Annotated[str, Meta(extra_json_schema={"maxLength": check_rules.URL_MAX_CHARS, "pattern": _VISIBLE_ASCII})]
Target = Annotated[str, Meta(extra_json_schema={"maxLength": _TARGET_MAX_CHARS, "pattern": PRINTABLE})]
"""`host:port` or `[v6]:port`."""
GrpcTarget = Annotated[str, Meta(extra_json_schema={"maxLength": _TARGET_MAX_CHARS + 1 + names.TEXT_MAX_CHARS})]
"""`host:port` or `host:port/service`."""
Argument = Annotated[str, Meta(extra_json_schema={"maxLength": check_rules.ARGS_MAX_CHARS})]
Arguments = Annotated[tuple[Argument, ...], Meta(extra_json_schema={"maxItems": check_rules.ARGS_MAX_COUNT})]
"""A program and what it is told."""
Method = Annotated[str, Meta(extra_json_schema={"maxLength": check_rules.METHOD_MAX_CHARS, "pattern": f"^{_TCHAR}*$"})]
_FIELD_NAMES: Final = {"minLength": 1, "maxLength": names.NAME_MAX_CHARS, "pattern": f"^{_TCHAR}+$"}
HeaderFields = Annotated[
    dict[str, Annotated[str, Meta(extra_json_schema={"maxLength": names.TEXT_MAX_CHARS, "pattern": _ASCII})]],
    Meta(extra_json_schema={"maxProperties": check_rules.HEADERS_MAX_COUNT, "propertyNames": _FIELD_NAMES}),
]
ProbeBody = Annotated[str, Meta(extra_json_schema={"maxLength": check_rules.BODY_MAX_CHARS})]
