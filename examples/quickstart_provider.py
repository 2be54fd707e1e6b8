"""A service that signs in: python quickstart_provider.py PORT."""

import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import callboard

port = int(sys.argv[1])
with callboard.connect() as board, board.register("hello", port=port):
    ThreadingHTTPServer(("127.0.0.1", port), SimpleHTTPRequestHandler).serve_forever()
