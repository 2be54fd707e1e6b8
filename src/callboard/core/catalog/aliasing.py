"""What aliases say, as a consequence of every command: planned with it, written in its group, so no reader ever sees them disagree.

An alias is as healthy as everything behind it: the checks of its node and instance, and, where one of these is an alias itself, all that
stands behind that one. Each place is looked at once, so aliases that look at each other, or at themselves, add nothing and end.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from msgspec.structs import replace

from callboard.core.catalog.aliases import Aim, AliasKey, aim_of
from callboard.core.catalog.draft import Draft
from callboard.model.check import AliasCheck, Check, Status, clip_output
from callboard.model.rows import ZERO
from callboard.model.time import Timestamp

NOTHING_FOUND: Final = "No checks found."
ALL_PASSING: Final = "All checks passing."
_RANK: Final = {Status.PASSING: 0, Status.WARNING: 1, Status.CRITICAL: 2, Status.MAINTENANCE: 2}
"""Who looks at something in maintenance is not in maintenance itself: it fails."""

_OTHERS_COUNT: Final = 2


class Said(NamedTuple):
    """What an alias says."""

    status: Status
    output: str


_WELL: Final = Said(Status.PASSING, "")


class Behind(NamedTuple):
    """What stands behind a place, and some of those who do: enough to tell whether there are others than the one who looks."""

    worst: Said
    some: tuple[AliasKey, ...]


class _Way(NamedTuple):
    """From a place on to another one, by an alias that looks there; `missing` says so when nothing is there."""

    aim: Aim
    alias: Check | None
    missing: str


class _Spot(NamedTuple):
    """A place itself: some of its checks, the worst of those that are no aliases, and where its aliases look."""

    some: tuple[AliasKey, ...]
    worst: Said
    ways: tuple[_Way, ...]


def settle(draft: Draft, now: Timestamp) -> None:
    """Turn every alias that the changes of this draft concern."""
    if not (draft.aliased or draft.view.aliases or draft.overlay.aliases):
        return
    todo: list[AliasKey] = list(draft.aliased)
    for place in list(draft.touched):
        todo += _looking_at(draft, Aim(*place))
    seen: set[AliasKey] = set()
    sight = Sight(draft)  # what it has seen does not change here, for what aliases say themselves is no part of it
    while todo:
        key = todo.pop()
        if key in seen:
            continue
        seen.add(key)
        check = draft.check(*key)
        if check is None or not isinstance(check.definition, AliasCheck):
            continue
        said = say(draft, check, check.definition, sight)
        if said != (check.status, check.output):
            turned = now if said.status is not check.status else check.turned
            draft.put_check(replace(check, status=said.status, output=said.output, turned=turned, modified=ZERO), check)
        todo += _looking_at(draft, Aim(check.namespace, check.node, check.instance))


def _looking_at(draft: Draft, aim: Aim) -> Iterator[AliasKey]:
    """Aliases that are there or planned; those of this draft are settled anyway."""
    yield from draft.view.aliases.looking_at(aim)
    yield from draft.overlay.aliases.looking_at(aim)


def say(draft: Draft, alias: Check, definition: AliasCheck, sight: "Sight | None" = None) -> Said:
    """The worst of what stands behind an alias, in Consul's words. `sight` keeps it for the next alias of the same draft."""
    aim = aim_of(alias, definition)
    missing = _missing(draft, aim, definition.alias_node or alias.node)
    if missing:
        return Said(Status.CRITICAL, clip_output(missing))
    behind = (sight or Sight(draft)).behind(aim)
    if behind.worst.status is not Status.PASSING:
        return behind.worst
    return Said(Status.PASSING, ALL_PASSING if any(key != _key(alias) for key in behind.some) else NOTHING_FOUND)


class Sight:
    """What stands behind places, each place looked at once and the farthest first: a long chain of aliases costs its length, not the
    square of it. It lives while the aliases of one draft are settled."""

    __slots__ = ("_draft", "_known", "_spots")

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._known: dict[Aim, Behind] = {}
        self._spots: dict[Aim, _Spot] = {}

    def behind(self, aim: Aim) -> Behind:
        """What stands behind a place that is there."""
        known, entered, todo = self._known, set[Aim](), [aim]
        while todo:
            at = todo[-1]
            if at in known:
                todo.pop()
            elif at in entered:
                known[at] = self._look(at)
            else:
                entered.add(at)
                todo += [way.aim for way in self._spot(at).ways if not way.missing and way.aim not in entered]
        return known[aim]

    def _look(self, aim: Aim) -> Behind:
        """The worst behind a place, near ones first. Nothing new is behind what is known to be well; and when there is only one way to
        go on, what was found from there is what would be found now, for what was passed before leads nowhere else and is no worse."""
        worst, some, seen = _WELL, dict[AliasKey, None](), set[Aim]()
        todo = deque([_Way(aim, None, "")])
        while todo and worst.status is not Status.CRITICAL:
            at, alias, missing = todo.popleft()
            if missing and alias is not None:
                worst = _failing(alias, Status.CRITICAL, missing)
            elif at not in seen:
                seen.add(at)
                known = self._known.get(at)
                if known is not None and (not todo or known.worst.status is Status.PASSING):
                    worst = max(worst, known.worst, key=_rank)  # the first one of equals
                    some.update(dict.fromkeys(known.some))
                else:
                    spot = self._spot(at)
                    worst = max(worst, spot.worst, key=_rank)
                    some.update(dict.fromkeys(spot.some))
                    todo += spot.ways
        return Behind(worst, tuple(some)[:_OTHERS_COUNT])

    def _spot(self, aim: Aim) -> _Spot:
        spot = self._spots.get(aim)
        if spot is None:
            spot = self._spots[aim] = _spot(self._draft, aim)
        return spot


def _spot(draft: Draft, aim: Aim) -> _Spot:
    checks, worst, ways = _checks_at(draft, aim), _WELL, list[_Way]()
    for check in checks:
        definition = check.definition
        if isinstance(definition, AliasCheck):
            there = aim_of(check, definition)
            ways.append(_Way(there, check, _missing(draft, there, definition.alias_node or check.node)))
        elif _RANK[check.status] > _RANK[worst.status]:
            worst = _failing(check, check.status, check.output)
    return _Spot(tuple(map(_key, checks[:_OTHERS_COUNT])), worst, tuple(ways))


def _failing(check: Check, status: Status, output: str) -> Said:
    said = clip_output(f'Aliased check "{check.name}" failing: {output}')
    return Said(Status.WARNING if status is Status.WARNING else Status.CRITICAL, said)


def _rank(said: Said) -> int:
    return _RANK[said.status]


def _missing(draft: Draft, aim: Aim, node: str) -> str:
    if aim.instance:
        there = draft.instance(*aim) is not None
        return "" if there else f"Service {aim.instance} could not be found on node {node}"
    return "" if draft.node(aim.node) is not None else f"Node {node} could not be found"


def _checks_at(draft: Draft, aim: Aim) -> list[Check]:
    of_node = draft.checks_of_node(aim.node)
    return [*of_node, *draft.checks_of(*aim)] if aim.instance else of_node


def _key(check: Check) -> AliasKey:
    return check.namespace, check.node, check.id
