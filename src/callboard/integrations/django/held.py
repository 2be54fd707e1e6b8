"""What the project holds of the SDK: made when it is first needed, so that commands which need none of it open nothing."""

from typing import Final, NamedTuple

from django.conf import settings

from callboard.client.board import Board, connect
from callboard.client.service import Service
from callboard.integrations.base.lazily import Lazily
from callboard.integrations.base.serving import Handles, Probes
from callboard.integrations.django.conf import SETTING, options_of, read

LABEL: Final = "callboard"
"""The application's label, by which Django finds it."""


class Held(NamedTuple):
    """It lives as long as the process."""

    board: Board
    lazily: Lazily | None
    services: Handles[Service]
    probes: Probes


def make_held() -> Held:
    """What the setting describes. Raises `InvalidError`."""
    conf = read(getattr(settings, SETTING, {}))
    board = connect(conf.url, token=conf.token)
    lazily = Lazily(conf.service, options_of(conf), board) if conf.service and conf.enabled else None
    services: Handles[Service] = Handles(lambda name, options: board.service(name, **options))
    return Held(board, lazily, services, Probes(conf.health_path, conf.ready_path))
