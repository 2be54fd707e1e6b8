"""Celery: signs a worker in while it takes tasks. Nobody calls it over a port; it is there to be seen, with its queues.

    app = Celery("shop", broker=...)
    register_worker(app, "shop-worker")

Needs the extra `celery`. The worker's main process signs in, once it takes tasks, and not the processes of its pool; each worker of a
host is an instance of its own, named after Celery's own node name. It is shown as draining while it finishes its last tasks.
"""

from typing import Any, Final, Unpack

from callboard.client.board import Board, connect
from callboard.client.board_settings import BoardSettings
from callboard.client.options import RegisterOptions
from callboard.client.registered import Registered
from callboard.integrations.base.needs import needs

with needs("celery"):
    from celery import Celery, signals
    from celery import __version__ as celery_version

_UID: Final = "callboard"


def register_worker(
    app: Celery,
    service: str,
    *,
    url: str = "",
    token: str = "",
    settings: BoardSettings | None = None,
    **options: Unpack[RegisterOptions],
) -> None:
    """Every worker of `app` is an instance of `service`. Its queues are tags, and the meta entry `queues`.

    The other arguments are those of `callboard.connect` and `Board.register`; without `port` nobody is expected to call it.
    """
    worker = _Worker(app, service, (url, token, settings), options)
    signals.worker_ready.connect(worker.ready, weak=False, dispatch_uid=f"{_UID}-{service}-{id(app)}-ready")
    signals.worker_shutting_down.connect(worker.leaving, weak=False, dispatch_uid=f"{_UID}-{service}-{id(app)}-leaving")
    signals.worker_shutdown.connect(worker.ended, weak=False, dispatch_uid=f"{_UID}-{service}-{id(app)}-ended")


class _Worker:
    """What becomes of the signals in one process. Celery sends them in the main process of a worker, and never in its pool's."""

    def __init__(self, app: Celery, service: str, connection: tuple[str, str, BoardSettings | None], options: RegisterOptions) -> None:
        self._app = app
        self._service = service
        self._connection = connection
        self._options = options
        self._board: Board | None = None
        self._registered: Registered | None = None

    def ready(self, sender: Any, **_kwargs: Any) -> None:  # noqa: ANN401  # Celery's consumer, which has no types
        """It takes tasks from now on."""
        if sender.app is not self._app or self._registered is not None:
            return
        url, token, settings = self._connection
        self._board = connect(url, token=token, settings=settings)
        queues = sorted(str(queue.name) for queue in sender.task_consumer.queues)
        told = {"queues": ",".join(queues), "hostname": str(sender.hostname), "celery": celery_version, **self._options.get("meta", {})}
        options: RegisterOptions = {
            "id": f"{self._service}-{sender.hostname}",
            **self._options,
            "tags": (*self._options.get("tags", ()), *queues),
            "meta": told,
        }
        self._registered = self._board.register(self._service, **options)

    def leaving(self, **_kwargs: Any) -> None:  # noqa: ANN401  # as above
        """It takes no more; called in a signal handler, so nothing is waited for."""
        if self._registered is not None:
            self._registered.drain(wait=False)

    def ended(self, **_kwargs: Any) -> None:  # noqa: ANN401  # as above
        """Its last task is done."""
        if self._board is not None:
            self._board.close()
            self._board = self._registered = None
