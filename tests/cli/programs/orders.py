"""A small HTTP service that knows nothing of Callboard: it serves on $PORT until SIGTERM, and does what files in its folder tell it.

`ready`: /ready answers 200 when it is there, 503 without. `deaf`: it listens only while it is not there.
Each signal it gets is noted in `signals`. /boom answers 500, /slow after a minute, all else 200 with its name.
"""

import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(sys.argv[1])
EXIT_CODE = int(sys.argv[2]) if len(sys.argv) > 2 else 0
LEAVE_S = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0


class Handler(BaseHTTPRequestHandler):
    """Answers every method."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet

    def do_GET(self) -> None:
        status = 200
        if self.path == "/ready":
            status = 200 if (FOLDER / "ready").exists() else 503
        elif self.path == "/boom":
            status = 500
        elif self.path == "/slow":
            time.sleep(60)
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        told = {
            "/env": ",".join(os.environ.get(name, "") for name in ("PORT", "CALLBOARD_SERVICE", "CALLBOARD_INSTANCE_ID")),
            "/pid": str(os.getpid()),
            "/echo": f"{self.command} {self.headers.get('x-said', '')} {sent}",
        }
        body = told.get(self.path, os.environ.get("NAME", "orders")).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_GET  # noqa: N815  # http.server calls them so

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's interface
        """Silent."""


def noted(number: int, _frame: object) -> None:
    """Into the file; SIGTERM and SIGINT also end it."""
    with (FOLDER / "signals").open("a") as file:
        file.write(f"{signal.Signals(number).name}\n")
    if number in {signal.SIGTERM, signal.SIGINT}:
        threading.Timer(LEAVE_S, lambda: os._exit(EXIT_CODE)).start()


def main() -> None:
    """Listen while nobody says otherwise."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, noted)
    place = ("127.0.0.1", int(os.environ["PORT"]))
    while True:
        while (FOLDER / "deaf").exists():
            time.sleep(0.01)
        server = ThreadingHTTPServer(place, Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        while not (FOLDER / "deaf").exists():
            time.sleep(0.01)
        server.shutdown()
        server.server_close()


main()
