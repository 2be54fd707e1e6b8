"""Which level the rows of a command need: a member that speaks less would read them without what it does not know, and so drop it.

A command that needs more than the catalog's level is refused until the last older member has left; what older members know as well is
never refused. Pure.
"""

from typing import Final

from callboard.core.catalog import commands as cmd
from callboard.model.check import Definition, HttpCheck, MaintenanceCheck, ManualCheck, TcpCheck, TlsOptions, TtlCheck
from callboard.model.instance import InstanceSpec

FIRST: Final = 1
_LEVEL_2: Final = 2
_LEVEL_2_COMMANDS: Final = (cmd.FireEvent, cmd.SetCoordinate, cmd.SetAutopilot, cmd.Restore)
_NO_TLS: Final = TlsOptions()


_OLDER_MEMBERS: Final = (
    "this needs level {} and the catalog is at level {}, for an older server is present; finish its upgrade, then try again"
)


def refused_at(level: int, own: int, command: cmd.Command) -> str:
    """Why a catalog at `level` takes no such command of a member that speaks `own`; empty when it takes it."""
    needed = level_of(command) if level < own else FIRST
    return _OLDER_MEMBERS.format(needed, level) if needed > level else ""


def level_of(command: cmd.Command) -> int:
    """The lowest level at which every member understands what the command writes."""
    if isinstance(command, cmd.RegisterCheck):
        return _of_check(command.check.definition)
    if not isinstance(command, cmd.Register):
        return _LEVEL_2 if isinstance(command, _LEVEL_2_COMMANDS) else FIRST
    of_checks = max((_of_check(attached.check.definition) for attached in command.checks), default=FIRST)
    of_instance = _of_instance(command.instance) if command.instance is not None else FIRST
    return max(of_checks, of_instance, _LEVEL_2 if command.sidecar is not None else FIRST)


def _of_instance(spec: InstanceSpec) -> int:
    return _LEVEL_2 if spec.says_more else FIRST


def _of_check(definition: Definition) -> int:
    if isinstance(definition, HttpCheck):
        plain = definition.tls == _NO_TLS and definition.url.startswith("http://")
    elif isinstance(definition, TcpCheck):
        plain = definition.tls is None
    elif isinstance(definition, ManualCheck):
        plain = not definition.shown
    else:
        plain = isinstance(definition, TtlCheck | MaintenanceCheck)
    return FIRST if plain else _LEVEL_2
