"""Which checks a command is a sign of life for, as far as a view tells. Pure.

A command that waits on its way to the leader is such a sign already: its heartbeats go ahead of it.
"""

from collections.abc import Iterator

from callboard.core.catalog.commands import Command, Register, RegisterCheck, ReportCheck, Target
from callboard.core.catalog.view import View
from callboard.core.liveness import CheckKey
from callboard.model.check import Status
from callboard.model.names import PUBLIC


def signs_of_life(command: Command, view: View) -> Iterator[CheckKey]:
    """The checks it renews when it is planned."""
    if isinstance(command, ReportCheck):
        if not command.nonce and command.status is not Status.CRITICAL:
            yield from _check_of(command.target, view)
    elif isinstance(command, RegisterCheck):
        yield from _registered(command, view)
    elif isinstance(command, Register):
        node = command.node.name.lower()
        for attached in command.checks:
            yield command.namespace if attached.instance else PUBLIC, node, attached.check.id


def _check_of(target: Target, view: View) -> Iterator[CheckKey]:
    """On its node, else wherever it is."""
    node = target.node.lower()
    space = view.spaces.get(target.namespace)
    if space is None or not target.anywhere or target.id in view.holders(target.namespace, node):
        yield target.namespace, node, target.id
        return
    for elsewhere, holders in space.holders.items():
        if target.id in holders:
            yield target.namespace, elsewhere, target.id


def _registered(command: RegisterCheck, view: View) -> Iterator[CheckKey]:
    instance = command.instance
    if instance is None:
        yield PUBLIC, command.node.name.lower(), command.check.id
        return
    node = instance.node.lower()
    space = view.spaces.get(instance.namespace)
    if space is None or not instance.anywhere or instance.id in space.by_node.get(node, ()):
        yield instance.namespace, node, command.check.id
        return
    for elsewhere, there in space.by_node.items():
        if instance.id in there:
            yield instance.namespace, elsewhere, command.check.id
