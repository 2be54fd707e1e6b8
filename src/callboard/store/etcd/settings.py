"""The limits of the etcd store. They live as long as the store."""

from typing import Annotated

from msgspec import Meta, Struct

from callboard.model.errors import InvalidError

Count = Annotated[int, Meta(ge=1)]
Milliseconds = Annotated[int, Meta(ge=1)]
KIB = 1024
MIB = 1024 * KIB


class EtcdSettings(Struct, frozen=True, kw_only=True):
    """Where etcd is, how it is spoken to, and how much of everything there may be."""

    endpoints: tuple[str, ...] = ("127.0.0.1:2379",)
    """HOST:PORT of etcd's members, tried in this order."""
    prefix: str = "callboard"
    """All keys of this registry are below PREFIX/; the rest of etcd may serve others."""
    tls: bool = False
    """Speak TLS; true also when one of the next three is given."""
    tls_ca_path: str = ""
    """Certificates that etcd's is checked against; empty for those of the system."""
    tls_cert_path: str = ""
    """Our own certificate, for an etcd that asks for one, and its key."""
    tls_key_path: str = ""
    tls_server_name: str = ""
    """The name in etcd's certificate where it is not that of the endpoint."""
    user: str = ""
    """Who we are, for an etcd with users."""
    password_path: str = ""
    """File with the password; read again whenever etcd wants to see it."""
    leader_ttl_s: Annotated[int, Meta(ge=2)] = 4
    """Lease of the leader: so long do writes pause when it dies."""
    member_ttl_s: Annotated[int, Meta(ge=2)] = 10
    """Lease of a member: so long is one that died still counted as present."""
    lease_margin_ms: Milliseconds = 200
    """Taken off every lease, for clocks that do not run alike."""
    connect_timeout_ms: Milliseconds = 1_000
    """How long an endpoint may take to be connected, before the next one is tried."""
    read_timeout_ms: Milliseconds = 2_000
    """How long an endpoint may take to answer a read, before the next one is asked."""
    load_timeout_ms: Milliseconds = 20_000
    """The same for one page of a load."""
    commit_timeout_ms: Milliseconds = 2_000
    """When a commit is not answered by then, nobody knows whether it landed; the leader asks with the same group again."""
    open_timeout_ms: Milliseconds = 10_000
    keepalive_ms: Annotated[int, Meta(ge=5_000)] = 5_000
    """A silent connection is pinged so often (etcd takes no less than five seconds)."""
    keepalive_timeout_ms: Milliseconds = 2_000
    """An endpoint that does not answer a ping by then is dead."""
    retry_wait_ms: Milliseconds = 100
    """First wait before something that failed is tried again; it doubles up to the next."""
    retry_wait_max_ms: Milliseconds = 1_000
    check_interval_ms: Milliseconds = 5_000
    """How often a follower that hears nothing asks whether there is something to hear."""
    health_interval_ms: Milliseconds = 10_000
    """How often etcd is asked for its version and size."""
    load_page_max_rows: Count = 5_000
    """Rows that are read at once, unless that would make more pages than the next setting allows."""
    load_pages_max_count: Count = 24
    positions_max_count: Count = 4_096
    """Positions whose place in etcd's history is remembered; others are searched for."""
    request_max_bytes: Annotated[int, Meta(ge=64 * KIB)] = 1_536 * KIB
    """etcd's --max-request-bytes."""
    value_max_bytes: Count = MIB
    """Bytes of one value."""
    group_max_rows: Count = 10_000
    """Rows of a group in one transaction, where etcd's --max-txn-ops takes that many."""
    parts_max_rows: Annotated[int, Meta(ge=0)] = 200_000
    """Rows of a group at all: one that is too large for a transaction is carried in parts. 0: none is."""
    parts_max_bytes: Annotated[int, Meta(ge=0)] = 64 * MIB
    parts_parallel_count: Count = 4
    """Parts that are written at once."""
    database_max_bytes: Annotated[int, Meta(ge=MIB)] = 1_900 * MIB
    """When etcd holds more than this, groups that add are refused, and those that only remove still pass. Keep it below etcd's quota
    (--quota-backend-bytes, 2 GiB if nobody said): an etcd that has reached that takes nothing at all."""
    history_max_count: Annotated[int, Meta(ge=0)] = 0
    """For an etcd that serves nobody else: the leader compacts it, so that so many groups can still be followed. 0: never."""

    def __post_init__(self) -> None:
        if bool(self.tls_cert_path) != bool(self.tls_key_path):
            raise InvalidError("tls_cert_path", "a certificate and its key belong together; give tls_cert_path and tls_key_path")
        if bool(self.user) != bool(self.password_path):
            raise InvalidError("user", "user and password_path belong together; give both")
        if self.value_max_bytes + 4 * KIB > self.request_max_bytes:
            raise InvalidError("value_max_bytes", f"must be less than request_max_bytes ({self.request_max_bytes}) by 4096 at least")

    @property
    def speaks_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.tls or bool(self.tls_ca_path or self.tls_cert_path)
