"""Connections to etcd's endpoints: options, encryption and who we are. Connections live as long as the client that made them.

The event loop and the thread that renews leases have connections of their own, so that neither waits for the other.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio

from callboard.model.errors import UnavailableError
from callboard.store.etcd.messages import MESSAGES
from callboard.store.etcd.settings import EtcdSettings

Metadata = Sequence[tuple[str, str]]

HAS_LEADER: Final = ("hasleader", "true")
"""A stream with it ends when its endpoint has lost the others; without it, it would be silent."""

UNARY: Final = {
    "Range": ("KV", "RangeRequest", "RangeResponse"),
    "Txn": ("KV", "TxnRequest", "TxnResponse"),
    "Compact": ("KV", "CompactionRequest", "CompactionResponse"),
    "LeaseGrant": ("Lease", "LeaseGrantRequest", "LeaseGrantResponse"),
    "LeaseRevoke": ("Lease", "LeaseRevokeRequest", "LeaseRevokeResponse"),
    "Status": ("Maintenance", "StatusRequest", "StatusResponse"),
    "Authenticate": ("Auth", "AuthenticateRequest", "AuthenticateResponse"),
}
"""Calls with one question and one answer: their service and messages."""
WATCH: Final = ("Watch", "WatchRequest", "WatchResponse")
KEEP_ALIVE: Final = ("Lease", "LeaseKeepAliveRequest", "LeaseKeepAliveResponse")


def options(settings: EtcdSettings) -> list[tuple[str, int | str]]:
    """Of every channel. Without the ping timeout, gRPC waits a minute for the answer to a ping, whatever the keepalive says."""
    found: list[tuple[str, int | str]] = [
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        ("grpc.keepalive_time_ms", settings.keepalive_ms),
        ("grpc.keepalive_timeout_ms", settings.keepalive_timeout_ms),
        ("grpc.http2.ping_timeout_ms", settings.keepalive_timeout_ms),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", settings.retry_wait_ms),
        ("grpc.min_reconnect_backoff_ms", settings.connect_timeout_ms),
        ("grpc.max_reconnect_backoff_ms", settings.retry_wait_max_ms),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_http_proxy", 0),
    ]
    if settings.tls_server_name:
        found.append(("grpc.ssl_target_name_override", settings.tls_server_name))
    return found


def read_file(path: str, what: str) -> bytes:
    """A file that the settings name. Raises `UnavailableError`."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UnavailableError(f"etcd: {what} {path} cannot be read ({error}); see [tune.etcd]") from error


def credentials(settings: EtcdSettings) -> Any:  # noqa: ANN401  # gRPC has no types
    """What TLS needs; None without TLS. Raises `UnavailableError`."""
    if not settings.speaks_tls:
        return None
    authority = read_file(settings.tls_ca_path, "tls_ca_path") if settings.tls_ca_path else None
    own = key = None
    if settings.tls_cert_path:
        own = read_file(settings.tls_cert_path, "tls_cert_path")
        key = read_file(settings.tls_key_path, "tls_key_path")
    return grpc.ssl_channel_credentials(authority, key, own)


def open_channel(endpoint: str, settings: EtcdSettings) -> Any:  # noqa: ANN401  # gRPC has no types
    """A channel of the running event loop."""
    secured = credentials(settings)
    if secured is None:
        return grpc.aio.insecure_channel(endpoint, options(settings))
    return grpc.aio.secure_channel(endpoint, secured, options(settings))


def open_blocking_channel(endpoint: str, settings: EtcdSettings) -> Any:  # noqa: ANN401  # gRPC has no types
    """A channel for a thread."""
    secured = credentials(settings)
    if secured is None:
        return grpc.insecure_channel(endpoint, options(settings))
    return grpc.secure_channel(endpoint, secured, options(settings))


def bind(maker: Callable[..., Any], service: str, method: str, question: str, answer: str) -> Any:  # noqa: ANN401  # gRPC has no types
    """One method of a channel; `maker` is its `unary_unary` or `stream_stream`."""
    return maker(f"/etcdserverpb.{service}/{method}", MESSAGES[question].SerializeToString, MESSAGES[answer].FromString)


def bind_unary(channel: Any, method: str) -> Any:  # noqa: ANN401  # gRPC has no types
    """One call of `UNARY`."""
    return bind(channel.unary_unary, UNARY[method][0], method, *UNARY[method][1:])
