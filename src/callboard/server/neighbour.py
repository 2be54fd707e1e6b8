"""Who has our port? Asked only when a listener could not start, so that the error can name the one who answers there."""

import http.client
import json
from typing import Any

TIMEOUT_S = 1.0


def who_answers(host: str, port: int) -> str:
    """A few words for people: what kind of server speaks HTTP at an address, as far as it tells."""
    if not port:
        return "nobody"
    connection = http.client.HTTPConnection("127.0.0.1" if host in {"", "0.0.0.0", "::"} else host, port, timeout=TIMEOUT_S)  # noqa: S104  # every address means also this one
    try:
        connection.request("GET", "/v1/agent/self")
        response = connection.getresponse()
        body = response.read(65_536)
        software = response.getheader("server") or "an HTTP server that does not say its name"
    except (OSError, http.client.HTTPException):
        return "something that does not answer HTTP"
    finally:
        connection.close()
    return _registry(body) or software


def _registry(body: bytes) -> str:
    try:
        document: dict[str, Any] = json.loads(body)
        version = document["Stats"]["build"].get("callboard")
        return f"Callboard {version}" if version else f"Consul {document['Config']['Version']}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
