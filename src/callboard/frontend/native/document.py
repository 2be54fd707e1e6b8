"""The OpenAPI document of the native API, made from the table of operations and from the structs that they read and write.

Limits stand on the structs (`wire.native_words`); those that can be set are added here from the settings in force. `default` is not used:
generators take a field that has one for a field that must be sent. What a field is when it is left out stands in its description.
"""

import sys
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from inspect import cleandoc
from typing import Final

import msgspec
from msgspec import Struct, UnsetType

from callboard import __version__
from callboard.frontend.native import examples
from callboard.frontend.native.answering import AGE, INDEX
from callboard.frontend.native.errors import CODES, EVERYWHERE, PROBLEM, RETRY_AFTER
from callboard.frontend.native.examples import Exchange
from callboard.frontend.native.operations import JSON, Given, Operation
from callboard.frontend.native.settings import NativeSettings
from callboard.frontend.native.texts import texts_of
from callboard.wire import native, native_parameters, native_server, openapi
from callboard.wire.native_words import Name, Revision
from callboard.wire.openapi import Schema

_TITLE: Final = "Callboard"
_TEXT: Final = """\
Instances sign in, show that they live with heartbeats, and sign out. Readers list services, resolve one to endpoints, and watch changes.

Unknown fields and parameters are refused. Durations are whole milliseconds. Every error is an `application/problem+json` (RFC 9457), whose
`code` is meant for programs: take a code that is not known for its status. Answers may gain fields."""
_SUBJECTS: Final = {
    "instances": "Sign in and out, and the way out of service.",
    "heartbeats": "Signs of life.",
    "services": "Who is there, and where to call.",
    "watch": "What changes, as it changes.",
    "server": "The servers themselves.",
}
_EVENTS: Final = (native.InstanceEvent, native.MarkEvent)
"""Data of server-sent events: no operation answers with them as such."""
_STRUCTS: Final[dict[str, type[Struct]]] = {
    name: value
    for module in (native, native_server)
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, Struct)
}
"""What schemas are made from, by name."""
_REVISION: Final[Schema] = msgspec.json.schema(Revision)
_INDEX_FIELDS: Final = {
    INDEX.decode().title(): openapi.Header("Send it back as `after` to wait for the next answer.", _REVISION),
    AGE.decode().title(): openapi.Header("How old the answer may be; 0 while the server is in touch with the leader.", {"type": "integer"}),
}
_RETRY_FIELDS: Final = {RETRY_AFTER[0].decode().title(): openapi.Header("Seconds.", {"type": "integer"})}
_RETRIED: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


def document(table: Sequence[Operation], settings: NativeSettings) -> openapi.Document:
    """The document of these operations, with their examples."""
    paths: dict[str, dict[str, openapi.OperationObject]] = {}
    for operation in table:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, examples.of(operation))
    return openapi.Document(
        info=openapi.Info(_TITLE, __version__, _TEXT, openapi.License("Apache License 2.0", "Apache-2.0")),
        servers=(openapi.ServerPlace("/", "The server that serves this document."),),
        tags=tuple(openapi.Tag(name, text) for name, text in _SUBJECTS.items()),
        paths=paths, components=openapi.Components(_schemas(table, settings)),
    )  # fmt: skip


# -- operations


def _operation(operation: Operation, story: Sequence[Exchange]) -> openapi.OperationObject:
    return openapi.OperationObject(
        operation_id=operation.name, summary=operation.summary, description=operation.text, tags=(operation.subject,),
        parameters=(*_in_path(operation, story), *_in_query(operation, story), *_in_head(operation)),
        request_body=_body(operation, story), responses=_responses(operation, story),
    )  # fmt: skip


def _in_path(operation: Operation, story: Sequence[Exchange]) -> Iterable[openapi.Parameter]:
    name = operation.name_in_path
    if name:
        text = "Id of the instance." if name == "id" else "Name of the service."
        said = next((exchange.subject for exchange in story), None)
        yield openapi.Parameter(name=name, place="path", description=text, required=True, schema=msgspec.json.schema(Name), example=said)


def _in_query(operation: Operation, story: Sequence[Exchange]) -> Iterable[openapi.Parameter]:
    if operation.parameters is None:
        return
    texts = texts_of(native_parameters)
    _, named = openapi.schemas_of((operation.parameters,))
    lineage = [each.__name__ for each in operation.parameters.__mro__]
    for name, schema in named[operation.parameters.__name__]["properties"].items():
        text = next((texts[owner, name] for owner in lineage if (owner, name) in texts), "")
        said: object = next((exchange.query[name] for exchange in story if name in exchange.query), None)
        if said is not None and schema.get("type") == "array":
            said = [said]
        yield openapi.Parameter(name=name, place="query", description=_with_default(text, schema), schema=_typed(schema), example=said)


def _in_head(operation: Operation) -> Iterable[openapi.Parameter]:
    for field in operation.fields:
        yield openapi.Parameter(name=field.name.title(), place="header", description=field.text, schema={"type": "string"})


def _body(operation: Operation, story: Sequence[Exchange]) -> openapi.RequestBody | None:
    if operation.body is None:
        return None
    sent = {
        each.name: openapi.Example(examples.shown(each.body), each.summary) for each in story if each.body is not None and each.status < 400
    }
    media = openapi.MediaType(openapi.reference(operation.body.struct.__name__), sent)
    return openapi.RequestBody({JSON: media}, required=operation.body.required)


def _responses(operation: Operation, story: Sequence[Exchange]) -> dict[str, openapi.Response]:
    responses: dict[int, openapi.Response] = {}
    for given in operation.given:
        fields = _INDEX_FIELDS if operation.blocking else {}
        media = openapi.MediaType(_given(given), _answered(story, given.status))
        links = {
            name: openapi.Link(name, {said: f"$response.body#/{field}" for said, field in said_by.items()})
            for name, said_by in operation.leads_to
        }
        responses[given.status] = openapi.Response(given.text, fields, {given.content_type: media}, links)
    for status, codes in _codes(operation).items():
        text = "; ".join(f"`{code}`: {CODES[code][1]}" for code in codes) + "."
        problem = openapi.MediaType(openapi.reference(native.Problem.__name__), _answered(story, status))
        there = responses.get(status)
        said, content = (f"{there.description} Else: {text}", there.content) if there is not None else (text, {})
        retried = _RETRY_FIELDS if status in _RETRIED else {}
        responses[status] = openapi.Response(said, retried, {**content, PROBLEM.decode(): problem})
    return {str(status): responses[status] for status in sorted(responses)}


def _answered(story: Sequence[Exchange], status: int) -> dict[str, openapi.Example]:
    return {each.name: openapi.Example(examples.shown(each.answer), each.summary) for each in story if each.status == status}


def _given(given: Given) -> Schema:
    if given.struct is not None:
        return openapi.reference(given.struct.__name__)
    return {"type": "object"} if given.content_type == JSON else {"type": "string"}


def _codes(operation: Operation) -> dict[int, list[str]]:
    """Codes by status, each once."""
    by_status: dict[int, list[str]] = {}
    waiting = ("too_many",) if operation.blocking else ()
    for code in dict.fromkeys((*operation.refusals, *waiting, *EVERYWHERE)):
        by_status.setdefault(CODES[code][0], []).append(code)
    return by_status


# -- schemas


def _schemas(table: Sequence[Operation], settings: NativeSettings) -> dict[str, Schema]:
    """Every struct that is read or written, as it is enforced here."""
    read = [operation.body.struct for operation in table if operation.body is not None]
    written = [given.struct for operation in table for given in operation.given if given.struct is not None]
    _, told = openapi.schemas_of(read)
    _, named = openapi.schemas_of([*read, *written, *_EVENTS, native.Problem])
    for name, schema in named.items():
        _polish(name, schema, always=name not in told)
    named["Registration"]["properties"]["checks"]["maxItems"] = settings.checks_max_count
    named["Beats"]["properties"]["beats"]["maxItems"] = settings.beats_max_count
    problem = named["Problem"]["properties"]
    problem["code"]["enum"] = sorted(CODES)
    problem["status"] |= {"minimum": 400, "maximum": 599}
    return dict(sorted(named.items()))


def _polish(name: str, schema: Schema, *, always: bool) -> None:
    """Texts of attributes, types of enumerations; with `always`, every field that is written whatever it says is required."""
    schema.pop("title", None)
    if "description" in schema:
        schema["description"] = " ".join(cleandoc(schema["description"]).split("\n"))
    _typed(schema)
    struct = _STRUCTS.get(name)
    texts = texts_of(sys.modules[struct.__module__]) if struct is not None else {}
    for field, of_field in schema.get("properties", {}).items():
        text = _with_default(texts.get((name, field), ""), of_field)
        if text:
            of_field["description"] = text
        _typed(of_field)
    if always and struct is not None:
        schema["required"] = _always_written(struct)
    if not schema.get("required", True):
        del schema["required"]


def _always_written(struct: type[Struct]) -> list[str]:
    """Fields that stand in every answer."""
    fields = msgspec.structs.fields(struct)
    left_out = struct.__struct_config__.omit_defaults
    return [each.encode_name for each in fields if each.required or not (left_out or _may_be_unset(each))]


def _may_be_unset(field: msgspec.structs.FieldInfo) -> bool:
    return UnsetType in getattr(field.type, "__args__", ())


def _typed(schema: Schema) -> Schema:
    """Enumerations are of texts; generators want to be told."""
    if "enum" in schema:
        schema["type"] = "string"
    return schema


def _with_default(text: str, schema: Schema) -> str:
    """The text, and what is meant when nothing is said; empty and null need no words."""
    default = schema.pop("default", None)
    if not default:
        return text
    shown = msgspec.json.encode(default).decode()
    return f"{text} Left out, it is `{shown}`.".lstrip()
