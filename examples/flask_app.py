"""A Flask service that is found while it serves. PORT=8000 flask --app flask_app run --port 8000"""

import os
import time

from flask import Flask, request

from callboard.integrations.flask import Callboard

app = Flask(__name__)
callboard = Callboard(app, service="orders", version="1.4.0", health_path="/health", ready_path="/ready")


@app.get("/")
def index() -> dict[str, int]:
    return {"pid": os.getpid()}


@app.get("/slow")
def slow() -> dict[str, int]:
    time.sleep(float(request.args.get("seconds", "1")))
    return {"pid": os.getpid()}


@app.get("/next")
def next_one() -> dict[str, str]:
    with callboard.service("orders", version="^1.0").pick() as endpoint:
        return {"call": f"http://{endpoint.address}:{endpoint.port}"}
