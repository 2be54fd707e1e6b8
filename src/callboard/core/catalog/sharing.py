"""What a row repeats becomes one object: a check says the id and the nonce of its instance again, a row that is written anew most of what
it said before. At a million instances that is a third of their memory.

Asked where rows are placed in a view. Parts that have nothing to do with each other but are equal are the matter of `codec.Shared`.
"""

from typing import Final

from msgspec.structs import force_setattr

from callboard.model.check import Check
from callboard.model.instance import Instance

_KEPT_OF_INSTANCE: Final = ("id", "nonce", "address", "created")
_KEPT_OF_CHECK: Final = ("id", "nonce", "notes", "created", "turned")


def with_instance(check: Check, instance: Instance) -> None:
    """Let a new check of an instance share with it."""
    force_setattr(check, "instance", instance.id)
    nonce = instance.nonce
    if check.nonce == nonce:
        force_setattr(check, "nonce", nonce)
    if check.parent == nonce:
        force_setattr(check, "parent", nonce)
    if check.created == instance.created:
        force_setattr(check, "created", instance.created)
    if check.modified == instance.modified:
        force_setattr(check, "modified", instance.modified)


def with_instance_before(after: Instance, before: Instance) -> None:
    """Let an instance share with what its row was before."""
    for field in _KEPT_OF_INSTANCE:
        part: object = getattr(before, field)
        if getattr(after, field) == part:
            force_setattr(after, field, part)


def with_check_before(after: Check, before: Check) -> None:
    """Let a check share with what its row was before."""
    for field in _KEPT_OF_CHECK:
        part: object = getattr(before, field)
        if getattr(after, field) == part:
            force_setattr(after, field, part)
