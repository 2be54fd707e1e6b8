"""`/api/v1/openapi.json`: the native API's description of itself. Made when it is first asked for, and kept as long as the server."""

from functools import cached_property

import msgspec

from callboard.frontend.native import table
from callboard.frontend.native.document import document
from callboard.frontend.native.operations import Served
from callboard.frontend.native.settings import NativeSettings
from callboard.net.http.message import Answer, Reply, Request


class Describing:
    """Its handler; lives as long as the server."""

    def __init__(self, settings: NativeSettings) -> None:
        self._settings = settings

    def operations(self) -> tuple[Served, ...]:
        """Its line of the table."""
        return (Served(table.OPENAPI, self.describe),)

    def describe(self, _request: Request) -> Reply:
        """The document."""
        return self._answer

    @cached_property
    def _answer(self) -> Answer:
        return Answer(200, msgspec.json.encode(document(table.TABLE, self._settings)))
