"""Aliases by what they look at: which of them a change of an instance, of a node or of a check may concern.

One index stands in the view and one in the overlay; an entry lives as long as its check, or as its plan. What an alias then says is
`core.catalog.aliasing`.
"""

from collections.abc import Collection
from typing import Final, NamedTuple

from callboard.model.check import AliasCheck, Check

AliasKey = tuple[str, str, str]
"""Namespace, node (lower case) and id of a check that is an alias."""
_NONE: Final[Collection[AliasKey]] = ()


class Aim(NamedTuple):
    """What an alias looks at: an instance with its node, or with an empty id the node alone."""

    namespace: str
    node: str
    instance: str


def aim_of(check: Check, definition: AliasCheck) -> Aim:
    """What this alias looks at."""
    return Aim(check.namespace, definition.alias_node.lower() or check.node, definition.alias_service)


class Aliases:
    """Keys of aliases by the instance and by the node they look at."""

    __slots__ = ("_of_instance", "_of_node")

    def __init__(self) -> None:
        self._of_instance: dict[Aim, dict[AliasKey, None]] = {}
        self._of_node: dict[str, dict[AliasKey, None]] = {}

    def __bool__(self) -> bool:
        return bool(self._of_node)

    def replace(self, before: Check | None, after: Check | None) -> None:
        """A check is another one now; None for not there."""
        if before is not None and isinstance(before.definition, AliasCheck):
            self._forget(_key(before), aim_of(before, before.definition))
        if after is not None and isinstance(after.definition, AliasCheck):
            key, aim = _key(after), aim_of(after, after.definition)
            self._of_node.setdefault(aim.node, {})[key] = None
            if aim.instance:
                self._of_instance.setdefault(aim, {})[key] = None

    def _forget(self, key: AliasKey, aim: Aim) -> None:
        there = self._of_node.get(aim.node)
        if there is None or there.pop(key, key) is key:
            return
        if not there:
            del self._of_node[aim.node]
        if aim.instance:
            of_instance = self._of_instance[aim]
            del of_instance[key]
            if not of_instance:
                del self._of_instance[aim]

    def looking_at(self, changed: Aim) -> Collection[AliasKey]:
        """Those whom a change concerns: of an instance, or with an empty id of the node, its own checks included."""
        return (self._of_instance.get(changed) if changed.instance else self._of_node.get(changed.node)) or _NONE

    def clear(self) -> None:
        """Forget all."""
        self._of_instance.clear()
        self._of_node.clear()


def _key(check: Check) -> AliasKey:
    return check.namespace, check.node, check.id
