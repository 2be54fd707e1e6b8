"""The part of docs/reference.md about the native API, from the table that its routes and its OpenAPI document are made of."""

from collections.abc import Iterator

from callboard.frontend.native import table
from callboard.frontend.native.document import document
from callboard.frontend.native.errors import CODES
from callboard.frontend.native.operations import Operation
from callboard.frontend.native.settings import NativeSettings
from callboard.wire import openapi

HEAD = """## Native API

JSON below `/api/v1`; the running server describes it as OpenAPI 3.1 at `/api/v1/openapi.json`, with schemas, limits and examples.
Unknown fields and parameters are refused.
"""


def api() -> Iterator[str]:
    """Operations by subject, their parameters, and the codes of errors."""
    described = document(table.TABLE, NativeSettings())
    yield HEAD
    for tag in described.tags:
        yield f"### {tag.name[0].upper()}{tag.name[1:]}\n"
        yield f"{tag.description}\n"
        yield "| operation | does | body | answer |"
        yield "|---|---|---|---|"
        yield from (line(operation) for operation in table.TABLE if operation.subject == tag.name)
        yield ""
    yield from parameters(described)
    yield "### Errors\n"
    yield "`application/problem+json` (RFC 9457): `type`, `title`, `status`, `detail`, `code`, and `field` when one is to blame.\n"
    yield "| code | status | means |"
    yield "|---|---|---|"
    yield from (f"| `{code}` | {status} | {text} |" for code, (status, text) in sorted(CODES.items()))
    yield ""


def line(operation: Operation) -> str:
    """One row."""
    text = " ".join(part for part in (operation.summary, operation.text) if part)
    body = f"`{operation.body.struct.__name__}`{'' if operation.body.required else ' or none'}" if operation.body is not None else ""
    given = operation.given[0]
    answer = f"`{given.struct.__name__}`" if given.struct is not None else f"`{given.content_type}`"
    return f"| `{operation.method} {operation.path}` | {text} | {body} | {answer} |"


def parameters(described: openapi.Document) -> Iterator[str]:
    """Every parameter, and where it is taken. One that means something else elsewhere has a row of its own."""
    taken: dict[tuple[str, str, str], list[str]] = {}
    for item in described.paths.values():
        for operation in item.values():
            for parameter in operation.parameters:
                taken.setdefault((parameter.name, parameter.place, parameter.description), []).append(operation.operation_id)
    yield "### Parameters\n"
    yield "| parameter | in | what it is | of |"
    yield "|---|---|---|---|"
    for (name, place, text), operations in sorted(taken.items()):
        yield f"| `{name}` | {place} | {text} | {', '.join(operations)} |"
    yield ""
