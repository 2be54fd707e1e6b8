"""A Celery worker that is seen while it takes tasks. celery --app celery_app worker --concurrency 2"""

import os
import time
from pathlib import Path

from celery import Celery

from callboard.integrations.celery import register_worker

Path("queue").mkdir(exist_ok=True)  # a broker for trying it out: files in a folder
app = Celery("shop", broker="filesystem://")
app.conf.broker_transport_options = {"data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "queue"}
register_worker(app, "shop-worker", version="1.4.0")


@app.task(ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types
def pack(seconds: float) -> None:
    """Pack an order."""
    time.sleep(seconds)
    print(f"packed by {os.getpid()}", flush=True)
