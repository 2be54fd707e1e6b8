"""What a run accuses the program of: the rule that was broken, and how. The first accusation ends the run."""

from collections.abc import Callable
from typing import Final

from callboard.model.time import SECOND
from callboard.testing.simulation.loop import SimulationLoop

Stop = Callable[[], None]
RULES: Final = {
    "Durable": "a command whose success was told is in the engine's history, with the revision that was told",
    "Refused": "a command that was told not to count is never applied",
    "Once": "a command is applied once at most",
    "Attributed": "every change of an instance was asked for by its owner, or is the end of a time limit",
    "Answer": "an answer that changed nothing is true of the catalog at the revision it names",
    "RealTime": "who is answered after another was acknowledged is answered from a later catalog",
    "Shown": "the view of the member that answers shows what it answers",
    "Answered": "every command is answered in time",
    "Opened": "the first group of a lead is its opening group",
    "Fenced": "no group of a deposed leader lands",
    "CaughtUp": "a leader plans on the last group there is",
    "Confirmed": "no time limit ends, and no heartbeat is acknowledged, by a lead that is not confirmed",
    "Alive": "who was heard from in time does not run out",
    "FreshTerm": "nobody runs out before a whole time limit has passed in a term",
    "DeadDoor": "what a dead member carried last has a whole time limit from its death",
    "Reaped": "nobody is removed who was not critical for the whole of its time",
    "Opinion": "one member that reaches nobody turns no more than a few critical",
    "Dead": "who is dead turns critical in time",
    "Forward": "no member's revision and no index of a topic goes back",
    "OneView": "members at the same position show the same",
    "History": "what a view shows is the engine's history",
    "Consistent": "a consistent read shows every write acknowledged before it",
    "Ordered": "a watcher is told groups in order, and none twice",
    "Atomic": "a watcher is told the whole of a group",
    "Reliable": "a watcher is told every group, also when it resumes elsewhere",
    "Converged": "at rest all members show the same, and it is right",
    "Left": "who was asked to stop is present no longer when it has stopped",
    "Healthy": "no part of a member fails with an error of the program",
}


class BrokenRuleError(AssertionError):
    """A rule was broken."""

    def __init__(self, rule: str, detail: str, at_s: float) -> None:
        super().__init__(f"{at_s:.3f} s: {rule}: {detail} (rule: {RULES[rule]})")
        self.rule = rule


class Blame:
    """Takes accusations, and the trace of the run if somebody wants to read it."""

    def __init__(self, loop: SimulationLoop, *, tracing: bool) -> None:
        self.tracing = tracing
        self.lines: list[str] = []
        self.broken: BrokenRuleError | None = None
        self.stop: Stop = lambda: None
        """Called once, with the first accusation."""
        self._loop = loop
        self._start_ns = loop.now_ns

    @property
    def elapsed_s(self) -> float:
        """Since the run began."""
        return (self._loop.now_ns - self._start_ns) / SECOND

    def note(self, who: str, what: object) -> None:
        """A line of the trace. Callers ask `tracing` first where making it costs something."""
        if self.tracing:
            self.lines.append(f"{self.elapsed_s:8.3f} {who:6} {what}")

    def blame(self, rule: str, detail: str) -> None:
        """Accuse."""
        if self.broken is None:
            self.broken = BrokenRuleError(rule, detail, self.elapsed_s)
            self.note("judge", self.broken)
            self.stop()
