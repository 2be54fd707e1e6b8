"""What counted instructions mean: found against expected, how far apart they may be, and a table for people. Nothing here runs anything.

Figures only compare where the same code ran: the same Python, C libraries and emulated CPU. Then a few per cent are all that chance and
small differences of builds amount to. Elsewhere the work is the same but its price is not, and only what falls off a path (a kept answer
that is rendered each time, a heartbeat that goes the long way) is told from that: the tolerance is wide, and it is said why.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

from msgspec import Struct

TOLERANCE_PERCENT: Final = 15.0
"""Under the conditions the figures were taken under. Twice what the least steady kind of work was seen to change by, on a busy machine."""
ELSEWHERE_PERCENT: Final = 40.0
"""Under others."""

State = Literal["same", "slower", "quicker", "new", "gone"]


class Taken(Struct, frozen=True):
    """Counted instructions per piece of work, and what they depend on."""

    conditions: dict[str, str]
    instructions: dict[str, int]
    commit: str = ""


class Verdict(NamedTuple):
    """One kind of work."""

    name: str
    expected: int | None
    found: int | None
    state: State

    @property
    def change_percent(self) -> float | None:
        """How many more there are; None when there is nothing to compare."""
        return 100.0 * (self.found / self.expected - 1.0) if self.expected and self.found is not None else None


class Judgement(NamedTuple):
    """Every kind of work, and the tolerance that held."""

    verdicts: tuple[Verdict, ...]
    tolerance_percent: float
    differences: tuple[str, ...]
    """What is not as it was when the expected figures were taken."""

    @property
    def failed(self) -> tuple[Verdict, ...]:
        """What must be looked into: slower work, and work or figures without the other."""
        return tuple(verdict for verdict in self.verdicts if verdict.state in {"slower", "new", "gone"})


def judge(expected: Taken, found: Taken, names: Sequence[str] = ()) -> Judgement:
    """Compare; `names` are those that were asked for, none for all."""
    differences = _differences(expected.conditions, found.conditions)
    tolerance = ELSEWHERE_PERCENT if differences else TOLERANCE_PERCENT
    wanted = names or [*found.instructions, *(name for name in expected.instructions if name not in found.instructions)]
    verdicts = (_verdict(name, expected.instructions.get(name), found.instructions.get(name), tolerance) for name in wanted)
    return Judgement(tuple(verdicts), tolerance, differences)


def _verdict(name: str, expected: int | None, found: int | None, tolerance_percent: float) -> Verdict:
    if expected is None or found is None:
        return Verdict(name, expected, found, "new" if expected is None else "gone")
    share = tolerance_percent / 100.0
    state: State = "slower" if found > expected * (1.0 + share) else "quicker" if found < expected * (1.0 - share) else "same"
    return Verdict(name, expected, found, state)


def _differences(then: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    names = sorted({*then, *now})
    return tuple(
        f"{name} was {then.get(name, 'absent')}, is {now.get(name, 'absent')}" for name in names if then.get(name) != now.get(name)
    )  # fmt: skip


def table(judgement: Judgement, what: Mapping[str, str]) -> str:
    """For people: a line for each kind of work, then what follows."""
    width = max([len(verdict.name) for verdict in judgement.verdicts], default=0)
    lines = [f"{'instructions for':{width}}  {'expected':>11}  {'counted':>11}  {'change':>8}"]
    for verdict in judgement.verdicts:
        change = verdict.change_percent
        lines.append(
            f"{verdict.name:{width}}  {_number(verdict.expected):>11}  {_number(verdict.found):>11}  "
            f"{'' if change is None else f'{change:+.1f} %':>8}  {'' if verdict.state == 'same' else verdict.state.upper() + ': '}"
            f"{what.get(verdict.name, '')}"
        )
    return "\n".join([*lines, "", *conclusions(judgement)])


def conclusions(judgement: Judgement) -> list[str]:
    """Sentences: under which conditions it was judged, what is wrong, and what to do about it."""
    lines = []
    if judgement.differences:
        lines.append(
            f"not the conditions the figures were taken under, so {judgement.tolerance_percent:.0f} % may differ instead of "
            f"{TOLERANCE_PERCENT:.0f} %: {'; '.join(judgement.differences)}"
        )
    if quicker := [verdict.name for verdict in judgement.verdicts if verdict.state == "quicker"]:
        lines.append(f"quicker than expected: {', '.join(quicker)}; hold what was gained, take the figures anew: make guard ARGS=--write")
    if slower := [verdict.name for verdict in judgement.failed if verdict.state == "slower"]:
        lines.append(
            f"slower than expected: {', '.join(slower)}; look what is done now that was not done before (make guard ARGS='--keep DIR "
            f"{slower[0]}' keeps the profile), or, if it is worth its price, take the figures anew: make guard ARGS=--write"
        )
    if unmatched := [verdict.name for verdict in judgement.failed if verdict.state != "slower"]:
        lines.append(f"figures and work do not match: {', '.join(unmatched)}; take the figures anew: make guard ARGS=--write")
    count, failed = len(judgement.verdicts), len(judgement.failed)
    lines.append(
        f"guard: {failed} of {count} FAILED" if failed else f"guard: ok, {count} kinds of work within {judgement.tolerance_percent:.0f} %"
    )
    return lines


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
