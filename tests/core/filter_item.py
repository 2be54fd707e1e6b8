"""The item that the table of expressions is asked of: a field of every kind, and some that are named like the language's words."""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from callboard.core.filter_values import Primitive
from callboard.core.filtering import Field, Kind, ListOf, MapOf, Record

TEXT, FLAG, INT = Primitive.TEXT, Primitive.FLAG, Primitive.INT


def record(fields: Mapping[str, Kind]) -> Record:
    return Record({name: Field(_getter(name), kind) for name, kind in fields.items()})


def _getter(name: str) -> Any:
    return itemgetter(name)


INNER = record({"Name": TEXT, "Port": INT, "On": FLAG, "Meta": MapOf(TEXT), "Tags": ListOf(TEXT)})
RECORD = record({
    "Name": TEXT, "Empty": TEXT, "Long": TEXT, "Accent": TEXT, "Port": INT, "Negative": INT, "Zero": INT, "Small": Primitive.UINT8,
    "Wide": Primitive.UINT16, "On": FLAG, "Off": FLAG, "Tags": ListOf(TEXT), "NoTags": ListOf(TEXT), "Ports": ListOf(INT),
    "NoPorts": ListOf(INT), "Flags": ListOf(FLAG), "Meta": MapOf(TEXT), "NoMeta": MapOf(TEXT), "Inner": INNER, "Inners": ListOf(INNER),
    "NoInners": ListOf(INNER), "Places": MapOf(INNER), "Lists": MapOf(ListOf(TEXT)), "Maps": MapOf(MapOf(TEXT)), "not": ListOf(TEXT),
    "in": ListOf(TEXT), "is": TEXT, "and": TEXT, "or": TEXT, "empty": ListOf(TEXT), "contains": ListOf(TEXT), "matches": TEXT,
})  # fmt: skip
FIRST = {"Name": "a", "Port": 1, "On": True, "Meta": {"k": "v"}, "Tags": ["x", "y"]}
SECOND = {"Name": "b", "Port": 2, "On": False, "Meta": {}, "Tags": []}
ITEM = {
    "Name": "web", "Empty": "", "Long": "The quick brown fox", "Accent": "caf\u00e9", "Port": 80, "Negative": -5, "Zero": 0, "Small": 7,
    "Wide": 8300, "On": True, "Off": False, "Tags": ["v1", "Blue", "a b"], "NoTags": [], "Ports": [80, 443], "NoPorts": [], "Flags": [True],
    "Meta": {
        "env": "prod", "Env": "other", "empty": "", "a.b": "dotted", "two words": "yes", "1": "one", "not": "negated",
    },
    "NoMeta": {}, "Inner": {"Name": "in", "Port": 1, "On": True, "Meta": {"k": "v"}, "Tags": ["t"]}, "Inners": [FIRST, SECOND],
    "NoInners": [], "Places": {"lan": FIRST, "wan": SECOND}, "Lists": {"full": ["1", "2"], "none": []},
    "Maps": {"one": {"k": "v"}, "none": {}},
    "not": ["in", "x"], "in": ["not"], "is": "is", "and": "and", "or": "or", "empty": [], "contains": ["contains"], "matches": "matches",
}  # fmt: skip
