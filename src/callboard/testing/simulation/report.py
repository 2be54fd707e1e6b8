"""Sums over many runs, as they are written to a file. Grows run by run."""

from typing import Self

from msgspec import Struct

from callboard.testing.simulation.run import Result


class Report(Struct):
    """What a number of runs came to."""

    seeds: int
    broken: int
    seconds: float
    virtual_s: float
    groups: int
    """Groups that landed."""
    commands: int
    turns: int
    """Checks that turned."""
    watched: int
    """Groups that watchers were told."""
    resumed: int
    """Times that a watcher went on at another member."""
    consistent: int
    """Consistent reads."""
    families: dict[str, int]
    """How many runs met each kind of trouble."""
    findings: dict[str, list[int]]
    """By rule: the seeds that broke it, a few of them."""

    @classmethod
    def empty(cls) -> Self:
        """Nothing has run."""
        return cls(
            seeds=0, broken=0, seconds=0.0, virtual_s=0.0, groups=0, commands=0, turns=0, watched=0, resumed=0, consistent=0, families={},
            findings={},
        )  # fmt: skip

    def add(self, result: Result) -> None:
        """One more run."""
        self.seeds += 1
        self.virtual_s = round(self.virtual_s + result.virtual_s, 1)
        self.groups += result.groups
        self.commands += result.wishes
        self.turns += result.turns
        self.watched += result.watched
        self.resumed += result.resumed
        self.consistent += result.consistent
        self.families[result.family] = self.families.get(result.family, 0) + 1
        if result.broken:
            self.broken += 1
            seeds = self.findings.setdefault(result.broken, [])
            if len(seeds) < 20:
                seeds.append(result.seed)
