"""What clients ask for, one request at a door at a time, and what is said to them. A wish lives as long as the run."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from callboard.model.rows import CommandId, Key, Outcome, Revision, check_key, instance_key
from callboard.testing.simulation.process import Process
from callboard.testing.simulation.signs import Sign
from callboard.testing.simulation.truth import State


@dataclass(slots=True, eq=False)
class Wish:
    """What a client asked one door for, and what became of it."""

    kind: str
    node: str
    name: str
    version: str
    process: Process
    entered_s: float
    floor: Revision
    """The highest revision anybody had been told of before."""
    sign: Sign | None = None
    id: CommandId | None = None
    outcome: Outcome | None = None
    rewinds: int = 0
    rows: Mapping[Key, State] = field(default_factory=dict)
    """Of a restore: all there will be of instances and checks."""

    def __str__(self) -> str:
        told = self.outcome
        said = "no answer" if told is None else told.refusal.reason if told.refusal is not None else f"done at {told.revision}"
        return f"{self.kind} {self.name} {self.version} at {self.process.name} of {self.entered_s:.3f} ({self.id}: {said})"

    @property
    def instance(self) -> Key:
        """Key of its instance."""
        return instance_key("public", self.node, self.name)

    @property
    def check(self) -> Key:
        """Key of its check."""
        return check_key("public", self.node, self.name)
