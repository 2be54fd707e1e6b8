"""One service instance that signs in through a foreign Consul client. Run in that client's own environment; it imports nothing of ours.

    python instance.py CLIENT KIND REGISTRY_PORT OWN_PORT ID SECONDS

CLIENT is python-consul2, py-consul or consulate, KIND is http, tcp or ttl, SECONDS the interval or time limit of its check. It serves
HTTP on OWN_PORT, says "registered", and with a TTL check goes on sending signs of life until it is killed.
"""

import http.server
import importlib
import sys
import threading
import time
from collections.abc import Callable


class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *_: object) -> None: ...


def python_consul(kind: str, registry_port: int, port: int, name: str, seconds: int) -> Callable[[], object]:
    consul = importlib.import_module("consul")

    client = consul.Consul(port=registry_port)
    interval = f"{seconds}s"
    checks = {
        "http": lambda: consul.Check.http(f"http://127.0.0.1:{port}/", interval, timeout="1s"),
        "tcp": lambda: consul.Check.tcp("127.0.0.1", port, interval, timeout="1s"),
        "ttl": lambda: consul.Check.ttl(interval),
    }
    assert client.agent.service.register("web", service_id=name, address="127.0.0.1", port=port, tags=["v1"], check=checks[kind]())
    return lambda: client.agent.check.ttl_pass("service:" + name)


def consulate(kind: str, registry_port: int, port: int, name: str, seconds: int) -> Callable[[], object]:
    consulate = importlib.import_module("consulate")

    client = consulate.Consul(port=registry_port)
    service = client.agent.service
    interval = f"{seconds}s"
    where = {"service_id": name, "address": "127.0.0.1", "port": port, "tags": ["v1"]}
    if kind == "http":
        registered = service.register("web", httpcheck=f"http://127.0.0.1:{port}/", interval=interval, **where)
    elif kind == "ttl":
        registered = service.register("web", ttl=interval, **where)
    else:
        # consulate has no word for a TCP check, so its own transport sends the document.
        check = {"TCP": f"127.0.0.1:{port}", "Interval": interval, "Timeout": "1s"}
        document = {"ID": name, "Name": "web", "Address": "127.0.0.1", "Port": port, "Tags": ["v1"], "Check": check}
        registered = service._put_no_response_body(["register"], None, document)  # noqa: SLF001  # see above
    assert registered
    return lambda: client.agent.check.ttl_pass("service:" + name)


def main(client: str, kind: str, registry_port: str, port: str, name: str, seconds: str) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Healthy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sign_in = {"python-consul2": python_consul, "py-consul": python_consul, "consulate": consulate}[client]
    alive = sign_in(kind, int(registry_port), int(port), name, int(seconds))
    if kind == "ttl":
        alive()
    sys.stdout.write("registered\n")
    sys.stdout.flush()
    while True:
        time.sleep(int(seconds) / 4)
        if kind == "ttl":
            alive()


if __name__ == "__main__":
    main(*sys.argv[1:])
