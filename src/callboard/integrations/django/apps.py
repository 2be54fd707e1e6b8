"""The application, as Django knows it."""

from functools import cached_property
from typing import ClassVar

from django.apps import AppConfig
from django.core import checks

from callboard.integrations.django.checks import check_setting
from callboard.integrations.django.held import LABEL, Held, make_held


class CallboardConfig(AppConfig):  # type: ignore[misc]  # Django has no types
    """Lives as long as the process. Being loaded begins nothing: every command loads it."""

    name: ClassVar[str] = "callboard.integrations.django"
    label: ClassVar[str] = LABEL
    verbose_name: ClassVar[str] = "Callboard"

    def ready(self) -> None:
        """Called by Django when every application is loaded."""
        checks.register(check_setting)

    @cached_property
    def held(self) -> Held:
        """The board and what hangs on it, made when it is first asked for. Raises `InvalidError`."""
        return make_held()
