"""Django: an application that signs the project in when it serves, counts its requests, and finds those it calls.

    INSTALLED_APPS = [..., "callboard.integrations.django"]
    MIDDLEWARE = ["callboard.integrations.django.middleware.CallboardMiddleware", ...]
    CALLBOARD = {"SERVICE": "orders", "PORT": 8000}

    from callboard.integrations.django import service
    with service("users").pick() as endpoint: ...

Needs the extra `django`. It begins in the process that serves, at its first request, which it sends itself: not in `runserver`'s parent,
nor in `migrate`. Under gunicorn use `callboard.integrations.gunicorn.hooks`; the middleware then only counts. What is wrong in CALLBOARD
is found by `manage.py check`.
"""

from typing import Unpack

from callboard.client.board import Board
from callboard.client.options import ServiceOptions
from callboard.client.registered import Registered
from callboard.client.service import Service
from callboard.integrations.base.needs import needs

with needs("django"):
    from django.apps import apps as installed  # `apps` is a module of this package

    from callboard.integrations.django.held import LABEL, Held

__all__ = ["board", "registered", "service"]


def board() -> Board:
    """The project's board. Raises `InvalidError` when CALLBOARD is wrong."""
    return _held().board


def registered() -> Registered | None:
    """The project's registration by this process; None when it has not begun."""
    lazily = _held().lazily
    return lazily.registered() if lazily is not None else None


def service(name: str, **options: Unpack[ServiceOptions]) -> Service:
    """A handle on a service that the project calls: the same one for every request that asks for the same."""
    return _held().services.get(name, options)


def _held() -> Held:
    held: Held = installed.get_app_config(LABEL).held
    return held
