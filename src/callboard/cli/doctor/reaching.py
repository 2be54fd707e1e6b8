"""Is there a Callboard server at an address, and if not, what keeps it from being asked: name, port, TLS, another program.

Each step needs the one before it, so the first that fails is the cause. A look lives for one server and one run.
"""

import socket
import ssl
import time
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse
from typing import Final, NamedTuple, TypeVar

import msgspec

from callboard.cli.doctor import trusting
from callboard.cli.doctor.findings import Finding, well
from callboard.client.link import BrokenError, Link, reason
from callboard.client.settings import URL_VARIABLE, Base, ClientSettings
from callboard.client.trust import trust_of
from callboard.model.errors import InvalidError
from callboard.net.tls import ClientTrust
from callboard.wire.native_server import ServerStatus

S = TypeVar("S", bound=msgspec.Struct)
STATUS: Final = "/api/v1/status"
_ANSWER_MAX_BYTES: Final = 64 * 1024 * 1024
_STEP_S: Final = 5.0
"""No single step takes longer, also when more time is given for everything."""
DEFAULT_PORT: Final = 8500
_OK: Final = 200


class Fetched(NamedTuple):
    """An answer, and between which moments (seconds since 1970, by this machine's clock) the server made it."""

    status: int
    body: bytes
    server: str
    date: str
    began_s: float
    ended_s: float


class Fetcher:
    """Asks one server; each question on a connection of its own."""

    def __init__(self, base: Base, settings: ClientSettings) -> None:
        """Raises `InvalidError` for files of TLS that cannot be used."""
        self.base = base
        self._token = settings.token
        self._step_s = min(_STEP_S, settings.timeout_ms / 1_000)
        self.trust: ClientTrust | None = trust_of(settings) if base.secure else None
        if self.trust is not None:
            self.trust.context()

    def connect(self) -> socket.socket:
        """A bare connection. Raises `OSError`."""
        return socket.create_connection((self.base.host, self.base.port), timeout=self._step_s)

    def fetch(self, target: str, *, known: bool = False) -> Fetched:
        """Raises `OSError` without a connection, `BrokenError` without a whole answer. The token is for servers that are `known`."""
        deadline = time.monotonic() + self._step_s
        link = Link(self.base, deadline, self.trust)
        began = time.time()
        try:
            headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {self._token}"} if known and self._token else {})
            response: HTTPResponse = link.send_request("GET", target, b"", headers, deadline)
            ended = time.time()
            body = link.read_body(response, _ANSWER_MAX_BYTES, deadline)
        finally:
            link.shut()
        if body is None:
            raise BrokenError(f"an answer of more than {_ANSWER_MAX_BYTES} bytes")
        return Fetched(response.status, body, response.getheader("server") or "", response.getheader("date") or "", began, ended)


class Seen(NamedTuple):
    """What a look at one server has come to. Without `status` it cannot be asked further."""

    base: Base
    reached: bool
    """Somebody took the connection."""
    findings: tuple[Finding, ...]
    status: ServerStatus | None = None
    fetcher: Fetcher | None = None


def look(base: Base, settings: ClientSettings) -> Seen:
    """Name, port, TLS, HTTP, and who answers."""
    url = str(base)
    try:
        fetcher = Fetcher(base, settings)
    except InvalidError as error:
        mend = f"let {error.field} name a file that this user can read and that holds what it should"
        return Seen(base, reached=False, findings=(Finding("tls", "critical", str(error), mend=mend, server=url),))
    try:
        fetcher.connect().close()
    except OSError as error:
        return Seen(base, reached=False, findings=(_unreachable(base, error),))
    try:
        answer = fetcher.fetch(STATUS)
    except ssl.SSLError as error:
        return Seen(base, reached=True, findings=(trusting.refused(base, error, settings),))
    except (OSError, BrokenError) as error:
        return Seen(base, reached=True, findings=(_not_http(base, error),))
    return _who(base, fetcher, answer)


def _who(base: Base, fetcher: Fetcher, answer: Fetched) -> Seen:
    url = str(base)
    try:
        status = msgspec.json.decode(answer.body, type=ServerStatus)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Seen(base, reached=True, findings=(_stranger(base, fetcher, answer),))
    seen = [well("http", f"Callboard {status.version} answers as {status.member}", url)]
    if fetcher.trust is not None:
        seen.append(trusting.certificate(base, fetcher.trust, answer.ended_s))
    seen.append(clock(answer, url))
    return Seen(base, reached=True, findings=tuple(seen), status=status, fetcher=fetcher)


def _unreachable(base: Base, error: OSError) -> Finding:
    url = str(base)
    if isinstance(error, socket.gaierror):
        return Finding(
            "http",
            "critical",
            f"the name {base.host} leads nowhere",
            f"this machine's resolver says: {reason(error)}",
            f"export {URL_VARIABLE}=http://ADDRESS:{base.port}   (or mend the name; look with: getent hosts {base.host})",
            url,
        )
    if isinstance(error, ConnectionRefusedError):
        other = _elsewhere(base)
        if other:
            return Finding(
                "http",
                "critical",
                f"nobody listens at {base.host}:{base.port}",
                f"a Callboard server answers at {other}, another port",
                f"export {URL_VARIABLE}={other}",
                url,
            )
        return Finding(
            "http",
            "critical",
            f"nobody listens at {base.host}:{base.port}",
            "the server is down, or listens at another address or port",
            f"callboard serve --http {base.host}:{base.port}   (is one running elsewhere? ss -ltnp | grep callboard)",
            url,
        )
    return Finding(
        "http",
        "critical",
        f"no connection to {base.host}:{base.port}: {reason(error)}",
        "the machine is down, or a firewall or a route is between; a server that listens on 127.0.0.1 only is not reached from elsewhere",
        f"on that machine: callboard serve --http 0.0.0.0:{base.port}   (then look at the firewall)",
        url,
    )


def _elsewhere(base: Base) -> str:
    """Another usual port of the same host at which Callboard answers; empty when there is none."""
    if base.port == DEFAULT_PORT:
        return ""
    other = Base(base.host, DEFAULT_PORT, "")
    try:
        answer = Fetcher(other, ClientSettings(timeout_ms=1_000)).fetch(STATUS)
        msgspec.json.decode(answer.body, type=ServerStatus)
    except (OSError, BrokenError, msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return str(other)


def _not_http(base: Base, error: Exception) -> Finding:
    """Somebody took the connection, and no HTTP answer came."""
    url = str(base)
    if not base.secure and trusting.speaks_tls(base):
        secure = base._replace(secure=True)
        return Finding(
            "tls",
            "critical",
            f"{base.host}:{base.port} speaks TLS, and was asked without",
            f"{url} says http where https is meant",
            f"export {URL_VARIABLE}={secure}",
            url,
        )
    return Finding(
        "http",
        "critical",
        f"something at {base.host}:{base.port} takes connections, and does not answer as HTTP ({error})",
        "another program has the port, or the server is stopped or so busy that it does not answer",
        f"ss -ltnp 'sport = :{base.port}'   (it names the program; then callboard serve --http {base.host}:PORT at another port)",
        url,
    )


def _stranger(base: Base, fetcher: Fetcher, answer: Fetched) -> Finding:
    """HTTP is spoken, and not by a Callboard server that wants to answer."""
    url = str(base)
    if b"allowed_hosts" in answer.body:
        return Finding(
            "http",
            "critical",
            f"the server does not take {base.host} for its name",
            "a listener on loopback serves only its own names (a guard against DNS rebinding)",
            f"CALLBOARD_TUNE_HTTP_ALLOWED_HOSTS={base.host} callboard serve ...   (or ask it by its address)",
            url,
        )
    if not base.secure and trusting.speaks_tls(base):
        return _not_http(base, ValueError(f"status {answer.status}"))
    name = _name_of(fetcher, answer)
    return Finding(
        "http",
        "critical",
        f"{name} answers at {base.host}:{base.port}, and not Callboard (status {answer.status} at {STATUS})",
        f"another program has the port, or {URL_VARIABLE} names another server",
        f"export {URL_VARIABLE}=http://HOST:PORT   (to find who has the port: ss -ltnp 'sport = :{base.port}')",
        url,
    )


class _Config(msgspec.Struct):
    Version: str = ""


class _Self(msgspec.Struct):
    """What of Consul's `agent/self` names the program."""

    Config: _Config


def _name_of(fetcher: Fetcher, answer: Fetched) -> str:
    try:
        told = msgspec.json.decode(fetcher.fetch("/v1/agent/self").body, type=_Self)
    except (OSError, BrokenError, HTTPException, msgspec.DecodeError, UnicodeDecodeError):
        return answer.server or "an HTTP server that does not say its name"
    return f"Consul {told.Config.Version}".strip()


CLOCK_WARN_S: Final = 2.0
CLOCK_CRITICAL_S: Final = 60.0


def clock(answer: Fetched, url: str) -> Finding:
    """The server's clock against this machine's. The answer was made between two moments, and Date is cut to the second."""
    try:
        said = parsedate_to_datetime(answer.date).timestamp()
    except (ValueError, TypeError):
        return Finding(
            "clock", "warning", "the answer has no Date", "something between this machine and the server takes it away", server=url
        )
    ahead = max(0.0, said - answer.ended_s)
    behind = max(0.0, answer.began_s - (said + 1))
    off = ahead or behind
    if off < CLOCK_WARN_S:
        return well("clock", "this machine and the server have the same time", url)
    return Finding(
        "clock",
        "critical" if off >= CLOCK_CRITICAL_S else "warning",
        f"the server's clock is {off:.0f} s {'ahead of' if ahead else 'behind'} this machine's",
        "one of the two is wrong: certificates and tokens are judged by it, and times that are shown differ (leases and checks do not"
        " depend on it)",
        "timedatectl set-ntp true   (on the machine whose time is wrong; compare both: date -u)",
        url,
    )


def told(fetcher: Fetcher, target: str, to: type[S]) -> S | None:
    """What a known server says; None when it does not."""
    try:
        answer = fetcher.fetch(target, known=True)
        return msgspec.json.decode(answer.body, type=to) if answer.status == _OK else None
    except (OSError, BrokenError, msgspec.DecodeError, UnicodeDecodeError):
        return None
