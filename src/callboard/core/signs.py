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
    if not target.anywhere or target.namespace not in view.spaces or target.id in view.holders(target.namespace, node):
        yield target.namespace, node, target.id
        return
    for elsewhere in view.nodes_of_check(target.namespace, target.id):
        yield target.namespace, elsewhere, target.id


def _registered(command: RegisterCheck, view: View) -> Iterator[CheckKey]:
    instance = command.instance
    if instance is None:
        yield PUBLIC, command.node.name.lower(), command.check.id
        return
    node = instance.node.lower()
    if not instance.anywhere or instance.namespace not in view.spaces or instance.id in view.on_node(instance.namespace, node):
        yield instance.namespace, node, command.check.id
        return
    for elsewhere in view.nodes_of_instance(instance.namespace, instance.id):
        yield instance.namespace, elsewhere, command.check.id
