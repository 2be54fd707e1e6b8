"""What an operation of the native API is: one value that says everything about it, and makes both its route and its description.

So there is no parameter that is taken and not described, and none that is described and not taken. Operations are constants
(`callboard.frontend.native.table`) and live as long as the program.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from msgspec import Struct

from callboard.core.callers import HEADER as NODE_HEADER
from callboard.frontend.native.errors import NOT_READY
from callboard.net.http.message import Brief, Handler, Reply, Request, Route
from callboard.wire import parameters as reading

JSON: Final = "application/json"


class Field(NamedTuple):
    """A header field that a request may have."""

    name: str
    text: str


class Body(NamedTuple):
    """What a request brings."""

    struct: type[Struct]
    required: bool = True


class Given(NamedTuple):
    """An answer that is no error. Without a struct its body is what `content_type` says."""

    text: str
    struct: type[Struct] | None = None
    content_type: str = JSON
    status: int = 200


NODE_FIELD: Final = Field(NODE_HEADER, "The caller's node. Not looked at where the body or `?node=` names one.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One line of the table."""

    name: str
    """Its `operationId`: what generated clients call it."""
    subject: str
    """Its tag: the heading it stands under."""
    method: str
    path: str
    """Template. `{id}` or `{service}` can only be its end, and takes all that is left of the path."""
    summary: str
    text: str = ""
    """What else there is to know, in Markdown."""
    parameters: type[Struct] | None
    """Its query parameters; any other is refused. None: whatever stands in the query is not looked at."""
    fields: tuple[Field, ...] = ()
    """Header fields it looks at."""
    body: Body | None = None
    given: tuple[Given, ...]
    leads_to: tuple[tuple[str, Mapping[str, str]], ...] = ()
    """What can be asked about that which its answer tells of: names of operations, and the fields of the answer by parameter."""
    refusals: tuple[str, ...] = ()
    """Codes of its own refusals, beside those that every operation may answer with (`errors.EVERYWHERE`)."""
    blocking: bool = False
    """A read: its answer has an index, and can be waited for."""
    early: bool = False
    """Answered before the catalog is loaded."""
    quick: bool = True

    @property
    def prefix(self) -> str:
        """The path of its route."""
        return self.path.partition("{")[0]

    @property
    def name_in_path(self) -> str:
        """What the end of the path stands for; empty when all of it is fixed."""
        return self.path.partition("{")[2].removesuffix("}")

    @property
    def known(self) -> frozenset[str] | None:
        """The names of its parameters."""
        return None if self.parameters is None else frozenset(self.parameters.__struct_fields__)


class Served(NamedTuple):
    """An operation, and who carries it out."""

    operation: Operation
    handler: Handler
    brief: Brief | None = None


def route(served: Served, ready: Callable[[], bool]) -> Route:
    """Its line in the table of routes. It is refused while there is no catalog to answer from, and for a parameter it does not have."""
    operation, handler, brief = served
    known, early = operation.known, operation.early

    def guarded(request: Request) -> Reply:
        if not (early or ready()):
            return NOT_READY
        if known is not None:
            reading.known_parameters(request.query, known)
        return handler(request)

    return Route(operation.method, operation.prefix, guarded, quick=operation.quick, brief=brief)
