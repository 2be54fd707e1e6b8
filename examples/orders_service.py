"""A service to call: says which instance answers. python orders_service.py PORT VERSION"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import callboard


class Orders(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"{self.path} from {port}, version {version}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


port, version = int(sys.argv[1]), sys.argv[2]
with callboard.connect() as board, board.register("orders", port=port, version=version):
    ThreadingHTTPServer(("127.0.0.1", port), Orders).serve_forever()
