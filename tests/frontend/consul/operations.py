"""What a server offers its frontends, written down instead of done."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from callboard.frontend.base import LogEntry, LogReader, Measure, Operations
from callboard.model.errors import CallboardError
from tests.frontend.consul.harness import Consul

PAGE = b"# TYPE callboard_revision gauge\ncallboard_revision 7.0\n"


@dataclass
class Server:
    """The other end of `Operations`."""

    calls: list[str] = field(default_factory=list)
    readers: dict[LogReader, int] = field(default_factory=dict)
    broken: str = ""
    talks: bool = False
    """Log something as soon as somebody reads."""

    def operations(self) -> Operations:
        return Operations(
            reload=self.reload, leave=lambda: self.calls.append("leave"), measures=self.measures, page=lambda: PAGE, read_log=self.read_log
        )

    def reload(self) -> list[str]:
        if self.broken:
            raise CallboardError(self.broken)
        self.calls.append("reload")
        return []

    def measures(self) -> Iterator[Measure]:
        yield Measure("callboard_revision", 7, counts=False)
        yield Measure("callboard_consul_heartbeats_total", 30, counts=True)

    def read_log(self, level: int, reader: LogReader) -> Callable[[], None]:
        self.readers[reader] = level
        if self.talks:
            self.log("somebody reads", logging.ERROR)

        def end() -> None:
            del self.readers[reader]

        return end

    def log(self, message: str, level: int = logging.INFO) -> None:
        for reader, least in list(self.readers.items()):
            if level >= least:
                reader.take(LogEntry(1_700_000_000_123, level, "callboard.test", message))


def operated(door: Consul) -> Server:
    """Put a server around the frontend."""
    server = Server()
    assert door.frontend.operated is not None
    door.frontend.operated(server.operations())
    return server
