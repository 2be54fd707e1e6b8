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


class Behind(NamedTuple):
    """What stands behind a place, and some of those who do: enough to tell whether there are others than the one who looks."""

    worst: Said
    some: tuple[AliasKey, ...]


def settle(draft: Draft, now: Timestamp) -> None:
    """Turn every alias that the changes of this draft concern."""
    if not (draft.aliased or draft.view.aliases or draft.overlay.aliases):
        return
    todo: list[AliasKey] = list(draft.aliased)
    for place in list(draft.touched):
        todo += _looking_at(draft, Aim(*place))
    seen: set[AliasKey] = set()
    known: dict[Aim, Behind] = {}  # it does not change here, for what aliases say themselves is no part of it
    while todo:
        key = todo.pop()
        if key in seen:
            continue
        seen.add(key)
        check = draft.check(*key)
        if check is None or not isinstance(check.definition, AliasCheck):
            continue
        said = say(draft, check, check.definition, known)
        if said != (check.status, check.output):
            turned = now if said.status is not check.status else check.turned
            draft.put_check(replace(check, status=said.status, output=said.output, turned=turned, modified=ZERO), check)
        todo += _looking_at(draft, Aim(check.namespace, check.node, check.instance))


def _looking_at(draft: Draft, aim: Aim) -> Iterator[AliasKey]:
    """Aliases that are there or planned; those of this draft are settled anyway."""
    yield from draft.view.aliases.looking_at(aim)
    yield from draft.overlay.aliases.looking_at(aim)


def say(draft: Draft, alias: Check, definition: AliasCheck, known: dict[Aim, Behind] | None = None) -> Said:
    """The worst of what stands behind an alias, in Consul's words. `known` keeps it for the next alias of the same draft."""
    known = {} if known is None else known
    aim = aim_of(alias, definition)
    missing = _missing(draft, aim, definition.alias_node or alias.node)
    if missing:
        return Said(Status.CRITICAL, clip_output(missing))
    behind = known.get(aim)
    if behind is None:
        behind = known[aim] = _look(draft, aim)
    if behind.worst.status is not Status.PASSING:
        return behind.worst
    return Said(Status.PASSING, ALL_PASSING if any(key != _key(alias) for key in behind.some) else NOTHING_FOUND)


def _look(draft: Draft, aim: Aim) -> Behind:
    """What stands behind a place that is there."""
    worst, some = Said(Status.PASSING, ""), dict[AliasKey, None]()
    for check, said in _behind(draft, aim):
        if len(some) < _OTHERS_COUNT:
            some[_key(check)] = None
        if _RANK[said.status] > _RANK[worst.status]:
            output = clip_output(f'Aliased check "{check.name}" failing: {said.output}')
            worst = Said(Status.WARNING if said.status is Status.WARNING else Status.CRITICAL, output)
        if worst.status is Status.CRITICAL:
            break
    return Behind(worst, tuple(some))


def _behind(draft: Draft, aim: Aim) -> Iterator[tuple[Check, Said]]:
    """Every check behind a place with what it says itself: of an alias, only whether what it looks at is there. Near ones first."""
    todo: deque[tuple[Aim, Check | None, str]] = deque([(aim, None, "")])
    seen: set[Aim] = set()
    while todo:
        at, looking, node = todo.popleft()
        if looking is not None and (missing := _missing(draft, at, node)):
            yield looking, Said(Status.CRITICAL, missing)
        elif at not in seen:
            seen.add(at)
            for check in _checks_at(draft, at):
                if isinstance(check.definition, AliasCheck):
                    todo.append((aim_of(check, check.definition), check, check.definition.alias_node or check.node))
                    yield check, Said(Status.PASSING, "")
                else:
                    yield check, Said(check.status, check.output)


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
