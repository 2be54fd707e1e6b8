"""OpenAPI 3.1 documents as values (https://spec.openapis.org/oas/v3.1.1): what a frontend fills in to describe itself. Pure.

Only what we say is here. Schemas are JSON Schema (draft 2020-12), made by msgspec from the structs that requests and answers are read into
and written from. A document lives as long as its description is kept.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct, field

VERSION: Final = "3.1.1"
_REFERENCE: Final = "#/components/schemas/{name}"
Schema = dict[str, Any]
"""A JSON Schema."""


class License(Struct, frozen=True, omit_defaults=True):
    """Of the API."""

    name: str
    identifier: str
    """SPDX."""


class Info(Struct, frozen=True, omit_defaults=True):
    """About the API."""

    title: str
    version: str
    description: str = ""
    license: License | None = None


class ServerPlace(Struct, frozen=True, omit_defaults=True):
    """Where it is served."""

    url: str
    description: str = ""


class Tag(Struct, frozen=True, omit_defaults=True):
    """A heading."""

    name: str
    description: str = ""


class Example(Struct, frozen=True, omit_defaults=True):
    """A value that could be sent or answered."""

    value: Any
    summary: str = ""


class MediaType(Struct, frozen=True, omit_defaults=True):
    """A body of one content type."""

    schema: Schema
    examples: dict[str, Example] = {}


class Header(Struct, frozen=True, omit_defaults=True):
    """A header field of an answer."""

    description: str
    schema: Schema


class Link(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What an answer is good for: an operation, and where in the answer its parameters stand."""

    operation_id: str
    parameters: dict[str, str]


class Response(Struct, frozen=True, omit_defaults=True):
    """An answer."""

    description: str
    headers: dict[str, Header] = {}
    content: dict[str, MediaType] = {}
    links: dict[str, Link] = {}


class RequestBody(Struct, frozen=True, omit_defaults=True):
    """A body that is sent."""

    content: dict[str, MediaType]
    required: bool = False


class Parameter(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Something said in the path, the query or a header field."""

    name: str
    place: str = field(name="in")
    description: str = ""
    required: bool = False
    schema: Schema
    example: Any = None


class OperationObject(Struct, frozen=True, omit_defaults=True, kw_only=True, rename="camel"):
    """A method on a path."""

    operation_id: str
    summary: str
    description: str = ""
    tags: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    request_body: RequestBody | None = None
    responses: dict[str, Response]


class Components(Struct, frozen=True, omit_defaults=True):
    """What is referred to by name."""

    schemas: dict[str, Schema]


class Document(Struct, frozen=True, kw_only=True):
    """The whole."""

    openapi: str = VERSION
    info: Info
    servers: tuple[ServerPlace, ...]
    tags: tuple[Tag, ...]
    paths: dict[str, dict[str, OperationObject]]
    components: Components


def schemas_of(structs: Sequence[type[Struct]]) -> tuple[tuple[Schema, ...], dict[str, Schema]]:
    """A schema for each struct, and the named ones they refer to."""
    return msgspec.json.schema_components(structs, ref_template=_REFERENCE)


def reference(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": _REFERENCE.format(name=name)}
