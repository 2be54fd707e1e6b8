"""What happens in a run, drawn from its seed before it begins: who takes part, what breaks, when, and for how long.

A family is a kind of trouble; seeds take turns through the families, so that any hundred of them meet everything. Pure.
"""

import random
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from callboard.testing.simulation.road import Fate

LEADER: Final = "leader"
"""In place of a member's name: whoever leads when the fault begins."""
FOLLOWER: Final = "follower"
WARM_S: Final = 2.5
_FLEET: Final = 18
_EAGER: Final = {"down": 0.3, "blind door": 1.0}
"""How often a lead of which nothing is heard counts as lost by itself."""
_ASKED: Final = (3, 3, 5)
"""Where one is blind, there must be another to ask."""
_MEMBERS: Final = (3, 3, 3, 3, 3, 3, 3, 3, 2, 5)
QUIET_S: Final = 16.0
"""After the last fault: every lease has run out, every dead instance has had TTL + 12 s."""


class Fault(NamedTuple):
    """One thing that breaks, from when on, and for how long. `target` is a member, a client, or a place word."""

    at_s: float
    span_s: float
    kind: str
    target: str = ""
    other: str = ""
    amount: float = 0.0


class Plan(NamedTuple):
    """A whole run."""

    seed: int
    family: str
    members: tuple[str, ...]
    providers: tuple[tuple[float, float, float], ...]
    """TTL, patience, and after how long critical it is to be removed (0: never), of each, in seconds."""
    watchers: int
    readers: int
    fleet: int
    """Instances that are probed."""
    faults: tuple[Fault, ...]
    deaths: tuple[tuple[float, int], ...]
    """When which provider dies."""
    quiet_from_s: float
    history: int
    """Groups the engine keeps."""
    eager: bool
    extends: bool
    slow: bool
    """Whether everything takes tens of milliseconds instead of a few."""
    narrow: bool
    """Whether queues, batches, groups and histories are so short that their limits are met."""

    @property
    def end_s(self) -> float:
        """When the run is over."""
        return self.quiet_from_s + QUIET_S


Draw = Callable[[random.Random], list[Fault]]
HICCUPS: Final[Mapping[Fate, int]] = {
    Fate.LANDS: 10, Fate.REFUSED: 3, Fate.LOST: 3, Fate.UNANSWERED: 3, Fate.LATE: 3, Fate.SLOW: 3,
}  # fmt: skip

TARDY: Final[Mapping[Fate, int]] = {Fate.LANDS: 2, Fate.LATE: 3}


def _somebody(chance: random.Random) -> str:
    return chance.choice([LEADER, LEADER, FOLLOWER])


def _start(chance: random.Random) -> float:
    return WARM_S + chance.uniform(0, 3)


def _calm(_: random.Random) -> list[Fault]:
    return []


def _kill(chance: random.Random) -> list[Fault]:
    return [Fault(_start(chance), chance.choice([0.5, 3, 8, 13]), "kill", _somebody(chance))]


def _pause(chance: random.Random) -> list[Fault]:
    return [Fault(_start(chance), chance.choice([1.5, 3.5, 5, 8, 13]), "pause", _somebody(chance))]


def _cut_off(chance: random.Random) -> list[Fault]:
    return [Fault(_start(chance), chance.choice([1, 3.6, 5, 8, 13]), "cut engine", _somebody(chance))]


def _silent(chance: random.Random) -> list[Fault]:
    return [Fault(_start(chance), chance.choice([1, 4, 9, 13]), "silent", _somebody(chance))]


def _door(chance: random.Random) -> list[Fault]:
    """A member that cannot be reached by the leader, or not by anybody."""
    start, span = _start(chance), chance.choice([2, 5, 9, 12.5])
    if chance.random() < 0.4:
        return [Fault(start, span, "pause", FOLLOWER)]
    kind = chance.choice(["cut to", "cut from", "cut both"])
    faults = [Fault(start, span, kind, FOLLOWER, LEADER)]
    if chance.random() < 0.5:
        faults.append(Fault(start, span, "lonely", FOLLOWER))
    return faults


def _dead_door(chance: random.Random) -> list[Fault]:
    """A member that stops with heartbeats of patient clients in it, and is declared dead."""
    return [Fault(_start(chance), chance.uniform(11, 16), chance.choice(["pause", "lonely dark"]), FOLLOWER)]


def _hiccups(chance: random.Random) -> list[Fault]:
    return [Fault(_start(chance), chance.uniform(3, 9), "hiccups", "")]


def _hiccups_and_kill(chance: random.Random) -> list[Fault]:
    return [*_hiccups(chance), *_kill(chance)]


def _down(chance: random.Random) -> list[Fault]:
    return [Fault(_start(chance), chance.choice([0.8, 3, 5, 6, 12]), "engine down")]


def _compacted(chance: random.Random) -> list[Fault]:
    start, span = _start(chance), chance.choice([1.5, 4, 9])
    return [
        Fault(start, span, chance.choice(["silent", "cut engine"]), _somebody(chance)),
        Fault(start + span * chance.uniform(0.3, 0.95), 0, "compact", amount=chance.choice([0, 1, 4])),
    ]


def _rewound(chance: random.Random) -> list[Fault]:
    start = _start(chance)
    faults = [Fault(start, chance.choice([0.5, 2, 4]), "rewind")]
    if chance.random() < 0.6:
        faults.append(Fault(start - 0.5, chance.choice([3, 6]), chance.choice(["silent", "cut engine", "pause"]), _somebody(chance)))
    return faults


def _full(chance: random.Random) -> list[Fault]:
    return [Fault(_start(chance), chance.uniform(1, 5), "full")]


def _rolling(chance: random.Random) -> list[Fault]:
    start, rest = WARM_S, chance.choice([0.3, 1.0])
    return [Fault(start + turn * (rest + 1.5), rest, "stop", f"m{turn + 1}") for turn in range(2 if chance.random() < 0.1 else 3)]


def _clients_cut(chance: random.Random) -> list[Fault]:
    return [Fault(_start(chance), chance.uniform(2, 8), "cut client", f"p{chance.randrange(4)}", _somebody(chance)) for _ in range(3)]


def _wires(chance: random.Random) -> list[Fault]:
    return [Fault(_start(chance), chance.uniform(3, 9), "wires", amount=chance.choice([0.1, 0.3]))]


def _wires_and_kill(chance: random.Random) -> list[Fault]:
    return [*_wires(chance), Fault(_start(chance) + 1, chance.choice([2, 8]), chance.choice(["kill", "pause", "stop"]), LEADER)]


def _slow_wires(chance: random.Random) -> list[Fault]:
    """What members ask each other is under way for as long as short time limits last."""
    return [Fault(_start(chance), chance.uniform(5, 10), "slow wires", amount=chance.choice([0.9, 1.6]))]


def _calendar(chance: random.Random) -> list[Fault]:
    return [
        Fault(_start(chance), 0, "calendar", _somebody(chance), amount=chance.choice([-3_600_000, -5_000, 5_000, 3_600_000])),
        *chance.choice([_kill, _pause, _rolling])(chance),
    ]  # fmt: skip


def _slow_road(chance: random.Random) -> list[Fault]:
    return [Fault(_start(chance), chance.uniform(3, 8), "slow road", _somebody(chance), amount=chance.choice([0.1, 0.4]))]


def _mixed(chance: random.Random) -> list[Fault]:
    kinds: list[Draw] = [_kill, _pause, _cut_off, _silent, _door, _hiccups, _down, _compacted, _wires, _slow_road, _full, _clients_cut]
    faults: list[Fault] = []
    for draw in chance.sample(kinds, chance.choice([2, 2, 3])):
        later_s = chance.uniform(0, 3)
        faults += [fault._replace(at_s=fault.at_s + later_s) for fault in draw(chance)]
    return faults


def _stale_candidate(chance: random.Random) -> list[Fault]:
    """Who comes to lead has not seen the end of the feed."""
    start = _start(chance)
    return [
        Fault(start, chance.uniform(4, 9), "silent", FOLLOWER),
        Fault(start + chance.uniform(0.5, 2), chance.choice([1, 8]), chance.choice(["kill", "stop", "cut engine"]), LEADER),
    ]


def _blind_door(chance: random.Random) -> list[Fault]:
    """A member's batches arrive, answers to it are lost, and the feed does not tell either; then the lead goes to another."""
    start, span = _start(chance), chance.uniform(5, 7.5)
    return [
        Fault(start, span, "deaf", FOLLOWER, amount=chance.uniform(0.5, 3)),
        Fault(start + chance.uniform(0.8, 2), chance.choice([6, 8]), chance.choice(["cut engine", "cut engine", "pause"]), LEADER),
    ]


def _late(chance: random.Random) -> list[Fault]:
    """Groups arrive long after their leader was told that nobody knows, or was deposed."""
    start = _start(chance)
    return [
        Fault(start, chance.uniform(2, 5), "late", LEADER),
        *([Fault(start + 1, chance.uniform(5, 8), "others cut", LEADER)] if chance.random() < 0.6 else []),
        Fault(start + chance.uniform(0.5, 3), chance.choice([5, 8]), chance.choice(["kill", "pause", "stop"]), LEADER),
    ]


def _blind_eye(chance: random.Random) -> list[Fault]:
    """A member whose probes reach nobody, while some of the fleet is really dead."""
    faults = [
        Fault(_start(chance), chance.uniform(3, 9), "blind", _somebody(chance)),
        Fault(_start(chance), 0, "fleet dies", amount=chance.choice([0, 1, 3])),
    ]
    return [*faults, *(chance.choice([_kill, _pause, _rolling, _door])(chance) if chance.random() < 0.4 else [])]


FAMILIES: Final[Mapping[str, Draw]] = {
    "calm": _calm, "kill": _kill, "pause": _pause, "cut off": _cut_off, "silent": _silent, "door": _door, "dead door": _dead_door,
    "hiccups": _hiccups, "hiccups and kill": _hiccups_and_kill, "down": _down, "compacted": _compacted, "rewound": _rewound, "full": _full,
    "rolling": _rolling, "clients cut": _clients_cut, "wires": _wires, "wires and kill": _wires_and_kill, "slow wires": _slow_wires,
    "calendar": _calendar, "slow road": _slow_road, "stale candidate": _stale_candidate, "blind door": _blind_door, "late": _late,
    "blind eye": _blind_eye, "mixed": _mixed,
}  # fmt: skip
_NAMES: Final = tuple(FAMILIES)


def family_of(seed: int) -> str:
    """Seeds take turns."""
    return _NAMES[seed % len(_NAMES)]


def plan(seed: int) -> Plan:
    """Everything that is decided before a run."""
    chance = random.Random(f"plan {seed}")
    family = family_of(seed)
    faults = tuple(sorted(FAMILIES[family](chance)))
    last_s = max((fault.at_s + fault.span_s + (fault.amount if fault.kind == "deaf" else 0) for fault in faults), default=WARM_S + 4)
    providers = tuple(_provider(chance, patient=family == "dead door") for _ in range(chance.choice([3, 4, 5])))
    deaths = tuple((chance.uniform(WARM_S, last_s + 1), number) for number in range(len(providers)) if chance.random() < 0.3)[:2]
    if faults and chance.random() < 0.4:
        deaths += ((faults[0].at_s - chance.uniform(0, 1), len(providers) - 1),)  # it runs out just when something else is wrong
    count = chance.choice(_ASKED if family == "blind eye" else _MEMBERS)
    return Plan(
        seed=seed, family=family, members=tuple(f"m{number + 1}" for number in range(count)), providers=providers,
        watchers=2, readers=1, fleet=_FLEET if family == "blind eye" else 0, faults=faults, deaths=deaths, quiet_from_s=last_s + 0.5,
        history=chance.choice([8, 1_000, 1_000]), eager=chance.random() < _EAGER.get(family, 0.6),
        extends=chance.random() < 0.6, slow=chance.random() < 0.15, narrow=chance.random() < 0.2,
    )  # fmt: skip


def _provider(chance: random.Random, *, patient: bool) -> tuple[float, float, float]:
    ttl_s = chance.choice([1.2, 2.0, 3.0])
    patience_s = 16.0 if patient and chance.random() < 0.5 else chance.choice([0.4, 1.0, 2.5])
    return ttl_s, patience_s, chance.choice([0, 0, 2.0, 5.0])
