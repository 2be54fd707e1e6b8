"""What members show: that it is the engine's history, never goes back, and is the same on every member. It lives for a run."""

from typing import Final

from callboard.core.catalog.changes import Changes
from callboard.core.catalog.connected import connect_index
from callboard.core.catalog.indexes import service_index, table_index
from callboard.model.rows import Revision
from callboard.model.topics import Topic
from callboard.testing.digest import digest
from callboard.testing.simulation.blame import Blame
from callboard.testing.simulation.process import Process
from callboard.testing.simulation.truth import Truth

_SAMPLE: Final = 4
"""One position in so many is compared on all members; which ones, is the same for all."""


class Views:
    """Told of every step of every view."""

    def __init__(self, blame: Blame, truth: Truth) -> None:
        self._blame = blame
        self._truth = truth
        self._digests: dict[bytes, tuple[str, str, tuple[int, ...]]] = {}
        self._indexes: dict[tuple[str, Topic], Revision] = {}
        self._revisions: dict[str, Revision] = {}

    def forget(self) -> None:
        """The engine was put back: a mark may come to stand for something else."""
        self._digests.clear()

    def opened(self, process: Process) -> None:
        """A member serves."""
        registry = process.registry
        assert registry is not None
        self._blame.note(process.name, f"serves at {registry.revision}")
        registry.subscribe(lambda changes: self._published(process, changes))

    def _published(self, process: Process, changes: Changes) -> None:
        registry = process.registry
        assert registry is not None
        view, name = registry.view, process.name
        if self._blame.tracing:
            self._blame.note(name, f"shows {view.revision}")
        if view.revision < self._revisions.get(name, 0):
            self._blame.blame("Forward", f"{name} went from {self._revisions[name]} back to {view.revision}")
        self._revisions[name] = view.revision
        for topic in changes.topics:
            if topic.startswith("t/"):
                index = table_index(view, topic)
            elif topic.startswith("s/"):
                index = service_index(view, *topic[2:].split("/", 1))
            elif topic.startswith("p/"):
                index = connect_index(view, *topic[2:].split("/", 1))
            else:
                continue
            if index < self._indexes.get((name, topic), 0):
                self._blame.blame("Forward", f"{name}: index of {topic} went from {self._indexes[name, topic]} back to {index}")
            self._indexes[name, topic] = index
        place = self._truth.place(view.revision)
        if place is None and view.revision and not self._truth.rewinds:
            self._blame.blame("History", f"{name} shows {view.revision}, which is not in the engine's history")
        if place is not None and place % _SAMPLE == 0:
            self.compare(process)

    def compare(self, process: Process) -> None:
        """The same position, the same picture."""
        registry = process.registry
        assert registry is not None
        view = registry.view
        told = digest(view), tuple(service_index(view, "public", service) for service in ("web", "api"))
        name, picture, indexes = self._digests.setdefault(view.position.mark, (process.name, *told))
        if (picture, indexes) != told:
            self._blame.blame("OneView", f"{name} and {process.name} differ at {view.revision}: {indexes} {told[1]}")
