"""Writes to Consul over the kept connections of `client.transport`. The token travels in Consul's own header."""

from typing import Final

from msgspec.structs import replace

from callboard.client.consul.refusals import error_of
from callboard.client.settings import ClientSettings
from callboard.client.transport import Call, Reply, Transport

TOKEN_HEADER: Final = "X-Consul-Token"  # noqa: S105  # the name of a header, not a token


class ConsulTransport(Transport):
    """A transport whose refusals are Consul's. It lives as long as its backend."""

    def __init__(self, settings: ClientSettings) -> None:
        super().__init__(replace(settings, token=""))
        if settings.token:
            self._headers[TOKEN_HEADER] = settings.token

    def ask(self, call: Call, timeout_ms: int = 0) -> Reply:
        """A 2xx answer. Raises what `request` raises, and the `ClientError` that a refusal means."""
        reply = self.request(call, timeout_ms)
        if not 200 <= reply.status < 300:
            raise error_of(reply.status, reply.body, reply.url, reply.retry_after)
        return reply
