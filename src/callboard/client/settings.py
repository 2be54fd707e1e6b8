"""What a client is told: where the servers are, who asks, and its limits. Made once; a client keeps it for life."""

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from msgspec import Struct

from callboard.model.errors import InvalidError

DEFAULT_URL: Final = "http://127.0.0.1:8500"
URL_VARIABLE: Final = "CALLBOARD_URL"
CONSUL_VARIABLE: Final = "CONSUL_HTTP_ADDR"
CA_VARIABLE: Final = "CALLBOARD_CA_FILE"
CERT_VARIABLE: Final = "CALLBOARD_CERT_FILE"
KEY_VARIABLE: Final = "CALLBOARD_KEY_FILE"
CONSUL_SSL_VARIABLE: Final = "CONSUL_HTTP_SSL"
CONSUL_VERIFY_VARIABLE: Final = "CONSUL_HTTP_SSL_VERIFY"
_CONSUL_FILES: Final = {CA_VARIABLE: "CONSUL_CACERT", CERT_VARIABLE: "CONSUL_CLIENT_CERT", KEY_VARIABLE: "CONSUL_CLIENT_KEY"}
_TRUE: Final = frozenset({"1", "t", "true"})
_FALSE: Final = frozenset({"0", "f", "false"})
TOKEN_VARIABLE: Final = "CALLBOARD_TOKEN"  # noqa: S105  # the name of a variable, not a token
URLS_MAX_COUNT: Final = 64


class Base(NamedTuple):
    """A server's base URL, taken apart. `path` has no slash at its end."""

    host: str
    port: int
    path: str
    secure: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}{self.path}"


class ClientSettings(Struct, frozen=True, kw_only=True):
    """Raises `InvalidError` when a value breaks its rule."""

    urls: tuple[str, ...] = (DEFAULT_URL,)
    """Servers of one cluster, tried in turn; the one that answered last is asked first."""
    token: str = ""
    """Sent as `Authorization: Bearer`, if not empty."""
    ca_file: str = ""
    """CAs (PEM) of servers with an https URL; empty: those of the system."""
    cert_file: str = ""
    """Certificate (PEM) shown to servers that want one."""
    key_file: str = ""
    """Its key; empty: it is in the same file."""
    verify: bool = True
    """False: take any certificate of a server, so that nobody knows who answers. For trials."""
    timeout_ms: int = 10_000
    """For one request, over all servers that are tried."""
    silence_max_ms: int = 40_000
    """A watch that hears nothing for so long (the server says `alive` every 15 s) connects again."""
    answer_max_bytes: int = 256 * 1024 * 1024
    """Largest answer that is read."""
    idle_max_count: int = 4
    """Connections that are kept open between requests."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.urls) <= URLS_MAX_COUNT:
            raise InvalidError(URL_VARIABLE, f"must name 1 to {URLS_MAX_COUNT} servers, names {len(self.urls)}")
        for url in self.urls:
            parse_base(url)
        if not self.token.isprintable() or not self.token.isascii():
            raise InvalidError(TOKEN_VARIABLE, "must contain only printable ASCII characters")
        for name in ("timeout_ms", "silence_max_ms", "answer_max_bytes"):
            if getattr(self, name) < 1:
                raise InvalidError(name, "must be at least 1")
        if self.idle_max_count < 0:
            raise InvalidError("idle_max_count", "must not be negative")

    def __repr__(self) -> str:
        """Without the token: settings are shown in logs and tracebacks."""
        said = {name: getattr(self, name) for name in self.__struct_fields__} | {"token": "***" if self.token else ""}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in said.items())})"

    @property
    def bases(self) -> tuple[Base, ...]:
        """The servers, taken apart."""
        return tuple(parse_base(url) for url in self.urls)


def parse_base(text: str) -> Base:
    """`http://HOST[:PORT][/PATH]` or `https://...` (without port 80 and 443, as in every URL), or `HOST[:PORT]` as Consul's clients write
    it (without port 8500). Raises `InvalidError`."""
    schemed = "://" in text
    try:
        parts = urlsplit(text if schemed else f"http://{text}")
        port = parts.port
    except ValueError as error:
        raise InvalidError("url", f"{text!r} is none ({error}); write http://HOST:PORT") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not text.isprintable():
        raise InvalidError("url", f"{text!r} must be http://HOST:PORT or https://HOST:PORT")
    if parts.query or parts.fragment or parts.username is not None or " " in text:
        raise InvalidError("url", f"{text!r} must have no user, query, fragment or space; a token goes into {TOKEN_VARIABLE}")
    secure = parts.scheme == "https"
    default = (443 if secure else 80) if schemed else 8500
    return Base(parts.hostname, default if port is None else port, parts.path.rstrip("/"), secure)


def split_urls(text: str) -> tuple[str, ...]:
    """The servers of a comma list."""
    return tuple(url.strip() for url in text.split(",") if url.strip())


def servers_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """CALLBOARD_URL, or else CONSUL_HTTP_ADDR, which means https where CONSUL_HTTP_SSL says so. Raises `InvalidError`."""
    if own := split_urls(environment.get(URL_VARIABLE) or ""):
        return own
    named = split_urls(environment.get(CONSUL_VARIABLE) or "")
    return tuple(over_tls(url) for url in named) if consul_over_tls(environment) else named


def consul_over_tls(environment: Mapping[str, str]) -> bool:
    """Whether CONSUL_HTTP_SSL says so. Raises `InvalidError`."""
    return _truth(environment, CONSUL_SSL_VARIABLE, default=False)


def over_tls(url: str) -> str:
    """A URL of Consul's with https, and the same port."""
    scheme, there, rest = url.rpartition("://")
    if there and scheme != "http":
        return url
    base = parse_base(url if there else rest)
    return str(base._replace(secure=True))


def tls_of(environment: Mapping[str, str], *, consul: bool) -> dict[str, str]:
    """The files that CALLBOARD_CA_FILE and its like name. With `consul`, what Consul's variables name comes after them."""
    other = _CONSUL_FILES if consul else {}
    return {
        name: environment.get(variable) or environment.get(other.get(variable, ""), "")
        for name, variable in (("ca_file", CA_VARIABLE), ("cert_file", CERT_VARIABLE), ("key_file", KEY_VARIABLE))
    }


def verify_of(environment: Mapping[str, str], *, consul: bool) -> bool:
    """False when Consul's variables count, and say so. Raises `InvalidError`."""
    return _truth(environment, CONSUL_VERIFY_VARIABLE, default=True) if consul else True


def _truth(environment: Mapping[str, str], variable: str, *, default: bool) -> bool:
    text = environment.get(variable, "").lower()
    if text and text not in _TRUE | _FALSE:
        raise InvalidError(variable, f"{text!r} must be true or false")
    return text in _TRUE if text else default


def from_environment(environment: Mapping[str, str], *, urls: tuple[str, ...] = (), timeout_ms: int = 0) -> ClientSettings:
    """What is said here first; then CALLBOARD_URL, or else CONSUL_HTTP_ADDR; CALLBOARD_TOKEN, and the files for TLS.

    Consul's variables for TLS count where its address does. Raises `InvalidError`.
    """
    defaults = ClientSettings()
    consul = not urls and not environment.get(URL_VARIABLE) and bool(environment.get(CONSUL_VARIABLE))
    files = tls_of(environment, consul=consul)
    return ClientSettings(
        urls=urls or servers_of(environment) or defaults.urls,
        token=environment.get(TOKEN_VARIABLE, ""),
        timeout_ms=timeout_ms or defaults.timeout_ms,
        verify=verify_of(environment, consul=consul),
        ca_file=files["ca_file"],
        cert_file=files["cert_file"],
        key_file=files["key_file"],
    )
