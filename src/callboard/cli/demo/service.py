"""One of the demo's services, run as a process: a small HTTP server that signs in through the SDK.

`python -m callboard.cli.demo.service URL ID` serves until SIGTERM, or until its standard input ends: then the demo is gone.
"""

import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from callboard.cli.demo.stage import SERVICE
from callboard.client import CheckRequest, Client, ClientSettings, Registration
from callboard.net import threads

TTL_MS: Final = 3_000
INTERVAL_MS: Final = 1_000
TIMEOUT_MS: Final = 1_000
HOST: Final = "127.0.0.1"


class _Handler(BaseHTTPRequestHandler):
    """Answers every GET with the name of its instance."""

    protocol_version = "HTTP/1.1"
    instance = ""

    def do_GET(self) -> None:  # http.server calls it so
        """`/` and `/health` alike."""
        body = self.instance.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's interface
        """Nothing: the demo shows who is called."""


def registration(instance: str, port: int) -> Registration:
    """What a service says about itself."""
    http = CheckRequest(http=f"http://{HOST}:{port}/health", interval_ms=INTERVAL_MS, timeout_ms=TIMEOUT_MS)
    checks = (CheckRequest(ttl_ms=TTL_MS), http)
    return Registration(service=SERVICE, id=instance, address=HOST, port=port, tags=("demo",), checks=checks)


def serve(url: str, instance: str) -> None:
    """Serve on a free port, sign in, and stay until told to leave."""

    def leave(_number: int, _frame: object) -> None:
        raise SystemExit

    signal.signal(signal.SIGTERM, leave)
    server = ThreadingHTTPServer((HOST, 0), type("Handler", (_Handler,), {"instance": instance}))
    threads.start(server.serve_forever, name="demo-service")
    with Client(ClientSettings(urls=(url,))) as client, client.register(registration(instance, server.server_port)):
        sys.stdin.buffer.read()


if __name__ == "__main__":
    serve(*sys.argv[1:])
