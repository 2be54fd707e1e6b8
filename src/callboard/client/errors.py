"""What can go wrong between a client and its servers. The message of each names the next step."""

from collections.abc import Sequence
from typing import ClassVar, Final

from callboard.model.errors import CallboardError

_REASONS_MAX_COUNT: Final = 5
_CERTIFICATE: Final = "certificate"
"""What a reason speaks of when a server answers and one of both does not trust the other; it says itself what is to be named."""
_IN_CLEAR: Final = "does not speak TLS"
"""What the handshake's reason ends with when a URL says https where http is meant."""


class ClientError(CallboardError):
    """Root of what the client raises, beside `InvalidError` for arguments nobody could send."""

    code: ClassVar[str] = "client"


class UnreachableError(ClientError):
    """No server could be asked, or none answered. `reasons` says for each URL why; `sent`: one of them perhaps did what it was asked."""

    code: ClassVar[str] = "unreachable"

    def __init__(self, reasons: dict[str, str], *, sent: bool = False) -> None:
        said = "; ".join(f"{url}: {reason}" for url, reason in reasons.items())
        clear = [url for url, reason in reasons.items() if reason.endswith(_IN_CLEAR)]
        if clear and len(clear) == len(reasons):
            text = "; ".join(f"{url} {_IN_CLEAR}; ask http{url.removeprefix('https')}" for url in clear)
        elif reasons and all(_CERTIFICATE in reason for reason in reasons.values()):
            text = said
        else:
            text = f"no server answers ({said}); start one with `callboard serve`, or say where it is with CALLBOARD_URL"
        super().__init__(text)
        self.reasons = reasons
        self.sent = sent


class UnknownOutcomeError(ClientError):
    """A change was sent, and no answer came or none that tells: it was perhaps made."""

    code: ClassVar[str] = "unknown_outcome"

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url} did not say how it ended ({reason}): the change was perhaps made; look before you repeat it")
        self.url = url


class ProtocolError(ClientError):
    """Something answered, but not as /api/v1 does: another program, another version, or a proxy between."""

    code: ClassVar[str] = "protocol"

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url} does not answer as a Callboard server does ({reason}); check CALLBOARD_URL")
        self.url = url


class SpeaksTlsError(ProtocolError):
    """The port speaks TLS, and was asked without."""

    def __init__(self, url: str) -> None:
        ClientError.__init__(self, f"{url} speaks TLS; ask https{url.removeprefix('http')}")
        self.url = url


class ProblemError(ClientError):
    """A server refused, and said why (RFC 9457). Those that programs tell apart have classes of their own."""

    code: ClassVar[str] = "problem"

    def __init__(self, status: int, code: str, detail: str, field: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.problem_code = code
        """Stable, for programs: `unknown_instance`, `invalid` ..."""
        self.field = field
        """The parameter or body field that is meant; may be empty."""


class InvalidRequestError(ProblemError):
    """400, 413 and the rest of 4xx: the request will not be accepted as it is."""


class DeniedError(ProblemError):
    """401 or 403: not with this token."""


class NotFoundError(ProblemError):
    """404: there is no such thing."""


class AmbiguousError(ProblemError):
    """409: several nodes have an instance of this id; name one."""


class UnavailableError(ProblemError):
    """429, 503 and other 5xx: not now. `retry_after_s` is the server's wish, 0 when it has none."""

    def __init__(self, status: int, code: str, detail: str, field: str = "", retry_after_s: int = 0) -> None:
        super().__init__(status, code, detail, field)
        self.retry_after_s = retry_after_s


# -- of a handle on a service


class NoPictureError(ClientError):
    """Nothing is known of a service yet: the registry was not heard, and no snapshot of an earlier run is there."""

    code: ClassVar[str] = "no_picture"

    def __init__(self, service: str, reason: str, *, closed: bool = False) -> None:
        hint = "Open another with callboard.connect()" if closed else "It goes on trying: call again, or wait() for it"
        super().__init__(f"nothing is known of service {service!r}: {reason}. {hint}")
        self.service = service
        self.reason = reason


class NoInstanceError(ClientError):
    """The service is known, and none of its instances can be called. `reasons` says of each why."""

    code: ClassVar[str] = "no_instance"

    def __init__(self, service: str, reasons: Sequence[str]) -> None:
        said = "; ".join(reasons[:_REASONS_MAX_COUNT]) or "nobody is registered"
        rest = len(reasons) - _REASONS_MAX_COUNT
        more = f"; and {rest} more" if rest > 0 else ""
        super().__init__(f"no instance of {service!r} can be called ({said}{more}); look at `callboard instances {service}`")
        self.service = service
        self.reasons = tuple(reasons)


class DeadlineError(ClientError):
    """The time for a call was over before it was tried."""

    code: ClassVar[str] = "deadline"

    def __init__(self, service: str) -> None:
        super().__init__(f"no time is left to call {service!r}: its deadline has passed; give the call more time, or do less before it")
        self.service = service
