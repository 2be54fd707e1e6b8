"""The query parameters of `/api/v1`, as structs: one for each set of them that an operation takes.

Nobody decodes a request into them: handlers read the few parameters they need (`wire.parameters`). They say which names there are, so that
any other is refused, and the description of the API is made from them. Nothing here lives or changes.
"""

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from callboard.wire.native_words import Name, NameOrNot, PortInUse, Tag

NUMBER_MAX: Final = 10**18 - 1
"""The highest number a parameter may be: 18 digits (`wire.parameters.number`)."""
RANGE_MAX_CHARS: Final = 256
"""Of a version range, as `callboard.balance.versions` takes it."""

Number = Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": NUMBER_MAX, "format": "int64"})]
Limit = Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": NUMBER_MAX, "format": "int64"})]
Range = Annotated[str, Meta(extra_json_schema={"maxLength": RANGE_MAX_CHARS})]
Pair = Annotated[str, Meta(extra_json_schema={"pattern": "^[^=]+=.*$"})]


class NoParameters(Struct):
    """None."""


class WriteParameters(Struct):
    """Of bodies that say themselves what they are about: meant where they do not."""

    namespace: NameOrNot = ""
    """The name space, where the body names none; left out, empty or `default` it is `public`."""
    node: NameOrNot = ""
    """The node, where the body names none; left out, the caller's own."""


class TargetParameters(Struct):
    """Of a change to one instance."""

    namespace: NameOrNot = ""
    """The name space; left out, empty or `default` it is `public`."""
    node: NameOrNot = ""
    """Look there and nowhere else; left out, on the caller's node first, then wherever the id is alone."""


class ReadParameters(Struct):
    """Of every read that can wait for the next answer."""

    namespace: NameOrNot = ""
    """The name space; left out, empty or `default` it is `public`."""
    after: Number | UnsetType = UNSET
    """The `Callboard-Index` of an earlier answer: this one comes when there is another, or when `wait_ms` are over."""
    wait_ms: Number | UnsetType = UNSET
    """How long to wait at most when `after` is said; left out, what the server is set to, and never longer than that allows."""
    consistency: Literal["default", "stale", "consistent"] = "default"
    """`consistent` shows everything that was acknowledged to anybody before; the other two are answered from what this server knows."""


class InstanceParameters(ReadParameters):
    """Of one instance."""

    node: NameOrNot = ""
    """Look there and nowhere else; left out, on the caller's node first, then wherever the id is alone."""


class ResolveParameters(ReadParameters):
    """Of a look-up of endpoints."""

    tag: tuple[Tag, ...] = ()
    """Keep instances that have the tag; repeat it for all of several."""
    label: tuple[Pair, ...] = ()
    """`KEY=VALUE`: keep instances whose meta has this entry; repeat it for all of several, each key once."""
    version: Range = ""
    """Keep instances whose meta `version` is in the range: `>=2,<3`, `^2.1`, `~2.1.3`, `2.x`, `2.1.0`."""
    prefer: Literal["any", "latest", "oldest"] = "any"
    """Keep only the highest, only the lowest version among those that are fit to be called."""
    fallback: Range = "none"
    """When nobody fit to be called is in the range of `version`: those in this one, `any` or `none` of them."""
    zone: str = ""
    """`zone` or `region/zone`: keep instances there, if enough of them are fit; with less, all, in proportion."""
    passing_only: bool = False
    """Keep those that pass, not those with a warning."""
    limit: Limit | UnsetType = UNSET
    """At most so many; left out, all."""


class DigestParameters(ReadParameters):
    """Of the digest of a watch."""

    service: tuple[Name, ...] = ()
    """A service that is watched; repeat it for several. Left out, all of the name space."""


class DiagnosisParameters(Struct):
    """Of a diagnosis."""

    port: PortInUse | UnsetType = UNSET
    """Also try to open a connection to the caller's own address at this port."""


class WatchParameters(Struct):
    """Of a watch."""

    namespace: NameOrNot = ""
    """The name space; left out, empty or `default` it is `public`."""
    service: tuple[Name, ...] = ()
    """A service to watch; repeat it for several. Left out, all of the name space."""
