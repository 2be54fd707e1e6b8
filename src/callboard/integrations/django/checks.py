"""What `manage.py check` finds wrong in the setting CALLBOARD, each with what to do about it."""

import difflib
import os
from collections.abc import Sequence
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004  # Django's names

from callboard.client.board_settings import board_settings
from callboard.client.engine import open_backend
from callboard.client.registering import ServicePlan
from callboard.integrations.base.serving import PORT_VARIABLE, with_port
from callboard.integrations.django.conf import KEYS, SETTING, Conf, options_of, read
from callboard.model.errors import InvalidError

MIDDLEWARE: Final = "callboard.integrations.django.middleware.CallboardMiddleware"


def check_setting(app_configs: object = None, **_kwargs: Any) -> list[CheckMessage]:  # noqa: ANN401  # Django's signature
    """E001: a key or value is wrong. E002: no port. E003: a wrong URL. E004: what no registry takes. W001: no middleware."""
    said = getattr(settings, SETTING, {})
    try:
        conf = read(said)
    except InvalidError as error:
        return [Error(str(error), hint=_hint(said), id="callboard.E001")]
    found = [*_port(conf), *_url(conf)] or [*_refused(conf)]
    if conf.service and conf.enabled and MIDDLEWARE not in settings.MIDDLEWARE:
        hint = f"Put {MIDDLEWARE!r} first into MIDDLEWARE, or use callboard.integrations.gunicorn.hooks."
        found.append(Warning(f"{SETTING} names the service {conf.service!r}, but nothing signs it in.", hint=hint, id="callboard.W001"))
    return found


def _port(conf: Conf) -> Sequence[CheckMessage]:
    if not conf.service or not conf.enabled:
        return []
    try:
        with_port(options_of(conf), os.environ)
    except InvalidError as error:
        hint = (
            f"Set {SETTING}['PORT'], or the environment variable {PORT_VARIABLE}, to the port that callers reach; "
            "or leave SERVICE out, where callboard.integrations.gunicorn.hooks sign in."
        )
        return [Error(f"{SETTING}: {error}", hint=hint, id="callboard.E002")]
    return []


def _url(conf: Conf) -> Sequence[CheckMessage]:
    try:
        board_settings(os.environ, conf.url, conf.token)
    except InvalidError as error:
        hint = f"Set {SETTING}['URL'], or the environment variable CALLBOARD_URL, to something like http://127.0.0.1:8500."
        return [Error(f"{SETTING}: {error}", hint=hint, id="callboard.E003")]
    return []


def _refused(conf: Conf) -> Sequence[CheckMessage]:
    """What would be refused when it is signed in. Asks nobody."""
    if not conf.service or not conf.enabled:
        return []
    told = board_settings(os.environ, conf.url, conf.token)
    try:
        ServicePlan(conf.service, with_port(options_of(conf), os.environ), told, open_backend(told))
    except InvalidError as error:
        return [Error(f"{SETTING}: {error}", hint=f"Its keys are {', '.join(KEYS)}.", id="callboard.E004")]
    return []


def _hint(said: object) -> str:
    """The key that was probably meant; else all there are."""
    for key in said if isinstance(said, dict) else ():
        if key not in KEYS and (near := difflib.get_close_matches(str(key).upper(), KEYS, n=1)):
            return f"Did you mean {near[0]!r} instead of {key!r}?"
    return f"Its keys are {', '.join(KEYS)}."
