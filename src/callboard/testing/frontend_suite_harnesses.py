"""The harnesses of the frontends that come with Callboard: a new one is tried beside them. They keep nothing, so there is one of each."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from callboard.frontend.consul.plugin import PLUGIN as CONSUL
from callboard.frontend.native.plugin import PLUGIN as NATIVE
from callboard.frontend.prometheus.plugin import PLUGIN as PROMETHEUS
from callboard.model.rows import Revision
from callboard.model.time import Timestamp
from callboard.net.http.message import Answer
from callboard.testing.frontend_suite_kit import Ability, Door, Endpoint, Example, Harness, Sample
from callboard.wire import backup, native, prometheus
from callboard.wire import consul_archive as archive

_READ_ONLY: Final = "Prometheus only asks what there is to scrape"


def expect_ok(answer: Answer) -> bytes:
    """The body of an answer that is no refusal."""
    assert answer.status == 200, f"refused with {answer}"
    return answer.body


class NativeHarness(Harness):
    """`/api/v1`."""

    plugin = NATIVE
    samples: Sequence[Sample] = (
        Sample("PUT", "/api/v1/instances?namespace=public&node=callboard", msgspec.json.encode({
            "service": "web", "id": "web-1", "namespace": "", "node": "", "address": "192.0.2.7", "port": 8080, "tags": ["blue"],
            "meta": {"zone": "a"}, "weights": {"passing": 3, "warning": 1}, "phase": "serving", "replace_checks": True,
            "checks": [
                {"id": "service:web-1", "name": "alive", "notes": "", "status": "critical", "output": "", "ttl_ms": 30000,
                 "deregister_after_ms": 60000},
                {"http": "http://127.0.0.1:8080/health", "method": "GET", "headers": {"x-probe": "1"}, "body": "", "interval_ms": 10000,
                 "timeout_ms": 1000, "success_before_passing": 1, "failures_before_warning": 1, "failures_before_critical": 2},
                {"tcp": "127.0.0.1:8080", "interval_ms": 10000, "status": "passing"},
            ],
        })),
        Sample("GET", "/api/v1/instances/web-1?namespace=public&after=0&wait_ms=10"),
        Sample("GET", "/api/v1/instances/web-1?node=callboard"),
        Sample("PUT", "/api/v1/heartbeat/web-1"),
        Sample("PUT", "/api/v1/heartbeat/web-1?node=callboard", b'{"status":"warning","output":"slow"}'),
        Sample("POST", "/api/v1/heartbeats", b'{"beats":[{"id":"web-1","namespace":"public","node":"callboard"},{"id":"web-2"}]}'),
        Sample("PUT", "/api/v1/drain/web-1"),
        Sample("DELETE", "/api/v1/drain/web-1"),
        Sample("GET", "/api/v1/services?namespace=public&after=0"),
        Sample("GET", "/api/v1/services/web"),
        Sample("GET", "/api/v1/resolve/web?tag=blue&passing_only=true&limit=3"),
        Sample("GET", "/api/v1/resolve/web?version=%5E2.1&prefer=latest&fallback=1.x&label=zone%3Da&zone=a"),
        Sample("GET", "/api/v1/resolve/web"),
        Sample("GET", "/api/v1/nodes?consistency=consistent"),
        Sample("GET", "/api/v1/nodes"),
        Sample("GET", "/api/v1/digest?service=web&service=db&after=0"),
        Sample("GET", "/api/v1/digest"),
        Sample("GET", "/api/v1/status"),
        Sample("GET", "/api/v1/members"),
        Sample("GET", "/api/v1/diagnosis"),
        Sample("GET", "/api/v1/openapi.json"),
        Sample("GET", "/api/v1/backup"),
        Sample("GET", "/api/v1/watch?service=web", headers={"last-event-id": "1"}),
        Sample("GET", "/api/v1/watch"),
        Sample("DELETE", "/api/v1/instances/web-1"),
        Sample("GET", "/health"),
        Sample("GET", "/ready"),
    )  # fmt: skip
    before_ready = frozenset({"/api/v1/status", "/api/v1/members", "/api/v1/diagnosis", "/api/v1/openapi.json", "/health", "/ready"})

    def register(self, door: Door, example: Example) -> None:
        """PUT /api/v1/instances, with a TTL check."""
        body = native.Registration(
            service=example.service, id=example.id, address=example.address, port=example.port, tags=example.tags,
            checks=(native.CheckRequest(ttl_ms=example.ttl_s * 1000),),
        )  # fmt: skip
        expect_ok(door.call("PUT", "/api/v1/instances", msgspec.json.encode(body)))

    def deregister(self, door: Door, example: Example) -> None:
        """DELETE /api/v1/instances/<id>."""
        expect_ok(door.call("DELETE", f"/api/v1/instances/{quote(example.id)}"))

    def heartbeat(self, door: Door, example: Example) -> None:
        """PUT /api/v1/heartbeat/<id>."""
        expect_ok(door.call("PUT", f"/api/v1/heartbeat/{quote(example.id)}"))

    def find(self, door: Door, service: str) -> set[Endpoint]:
        """GET /api/v1/resolve/<name>."""
        body = expect_ok(door.call("GET", f"/api/v1/resolve/{quote(service)}"))
        return {Endpoint(found.address, found.port) for found in msgspec.json.decode(body, type=native.Resolution).endpoints}

    def is_own_error(self, answer: Answer) -> bool:
        """Problem details (RFC 9457)."""
        if answer.content_type != b"application/problem+json":
            return False
        problem = msgspec.json.decode(answer.body, type=native.Problem)
        return problem.status == answer.status and bool(problem.title and problem.detail and problem.code)


class PrometheusHarness(Harness):
    """`/sd/prometheus`."""

    plugin = PROMETHEUS
    cannot: Mapping[Ability, str] = dict.fromkeys((Ability.REGISTER, Ability.DEREGISTER, Ability.HEARTBEAT), _READ_ONLY)
    samples: Sequence[Sample] = (
        Sample("GET", "/sd/prometheus"),
        Sample("GET", "/sd/prometheus?service=web&tag=blue&namespace=public&passing_only=true"),
        Sample("GET", "/sd/prometheus?service=web&service=db"),
    )

    def find(self, door: Door, service: str) -> set[Endpoint]:
        """GET /sd/prometheus, healthy ones only."""
        body = expect_ok(door.call("GET", f"/sd/prometheus?passing_only=true&service={quote(service)}"))
        targets = [target for group in prometheus.decode(body) for target in group.targets]
        return {Endpoint(host, int(port)) for host, _, port in (target.rpartition(":") for target in targets)}

    def is_own_error(self, answer: Answer) -> bool:
        """A line of text."""
        return answer.content_type.startswith(b"text/plain") and answer.body.endswith(b"\n")


_MEANT: Final = (
    b"does not have associated TTL", b"No path to datacenter", b"Raft configuration", b"is no peer any more", b"cannot find peer",
    b"no keyring", b"Failed to join", b"No node found with name", b"tag filter without service filter", b"filter: error parsing regexp",
    b"Network segments are not supported",
)  # fmt: skip
"""Of Consul's errors with status 500."""


def _empty_snapshot() -> bytes:
    """A snapshot of nothing."""
    writer = backup.Writer()
    header = backup.Header(program="suite", store="suite", datacenter="dc1", revision=Revision(1), level=1, time=Timestamp(0))
    state = writer.header(header) + writer.trailer()
    files = {archive.META: b"{}", archive.STATE: state, archive.SUMS: archive.sums(b"{}", sha256(state).hexdigest())}
    packer = archive.packer()
    return packer.compress(b"".join(archive.whole(name, data, 0) for name, data in files.items()) + archive.END) + packer.flush()


class ConsulHarness(Harness):
    """`/v1`."""

    plugin = CONSUL
    samples: Sequence[Sample] = (
        Sample("PUT", "/v1/agent/service/register?replace-existing-checks=true", msgspec.json.encode({
            "ID": "web-1", "Name": "web", "Address": "192.0.2.7", "Port": 8080, "Tags": ["blue"], "Meta": {"zone": "a"},
            "TaggedAddresses": {"wan": {"Address": "198.51.100.7", "Port": 80}}, "Weights": {"Passing": 3, "Warning": 1},
            "EnableTagOverride": False, "Check": {"CheckID": "service:web-1", "TTL": "30s", "Status": "passing"},
            "Checks": [
                {"Name": "asked", "HTTP": "http://127.0.0.1:8080/health", "Method": "GET", "Header": {"X-Probe": ["1"]}, "Interval": "10s",
                 "Timeout": "1s", "DeregisterCriticalServiceAfter": "1m", "FailuresBeforeCritical": 2, "Status": "passing"},
                {"Name": "connected", "TCP": "127.0.0.1:8080", "Interval": "10s", "Status": "passing"},
            ],
        })),
        Sample("PUT", "/v1/agent/check/register", b'{"ID":"disk","Name":"disk","TTL":"30s","Notes":"of the node","Status":"passing"}'),
        Sample("GET", "/v1/agent/services"),
        Sample("GET", "/v1/agent/service/web-1?hash=0&wait=10ms"),
        Sample("GET", "/v1/agent/checks"),
        Sample("GET", "/v1/agent/health/service/id/web-1"),
        Sample("GET", "/v1/agent/health/service/name/web?format=json"),
        Sample("GET", "/v1/agent/self"),
        Sample("GET", "/v1/agent/members"),
        Sample("GET", "/v1/agent/version"),
        Sample("GET", "/v1/agent/host"),
        Sample("GET", "/v1/agent/metrics?format=prometheus"),
        Sample("GET", "/v1/agent/metrics/stream"),
        Sample("GET", "/v1/agent/monitor?loglevel=info&logjson", headers={"accept-encoding": "gzip"}),
        Sample("PUT", "/v1/agent/reload"),
        Sample("PUT", "/v1/agent/join/127.0.0.1:8301?wan=1"),
        Sample("PUT", "/v1/agent/leave"),
        Sample("PUT", "/v1/agent/force-leave/callboard?prune"),
        Sample("PUT", "/v1/agent/token/default", b'{"Token":"t"}'),
        Sample("PUT", "/v1/agent/check/pass/service:web-1?note=fine"),
        Sample("PUT", "/v1/agent/check/warn/service:web-1"),
        Sample("PUT", "/v1/agent/check/fail/disk"),
        Sample("PUT", "/v1/agent/check/update/service:web-1", b'{"Status":"passing","Output":"fine"}'),
        Sample("GET", "/v1/agent/check/pass/service:web-1?note=fine"),
        Sample("GET", "/v1/agent/check/warn/disk"),
        Sample("GET", "/v1/agent/check/fail/disk"),
        Sample("PUT", "/v1/agent/service/maintenance/web-1?enable=true&reason=work"),
        Sample("PUT", "/v1/agent/service/maintenance/web-1?enable=false"),
        Sample("PUT", "/v1/agent/maintenance?enable=true"),
        Sample("PUT", "/v1/agent/maintenance?enable=false"),
        Sample("PUT", "/v1/catalog/register", msgspec.json.encode({
            "Node": "other", "Address": "192.0.2.2", "NodeMeta": {"rack": "7"}, "Datacenter": "dc1",
            "Service": {"ID": "web-2", "Service": "web", "Port": 8081, "Tags": ["green"]},
            "Check": {"CheckID": "alive", "Name": "alive", "Status": "passing", "ServiceID": "web-2"},
        })),
        Sample("GET", "/v1/catalog/datacenters"),
        Sample("GET", "/v1/catalog/nodes?node-meta=rack:7&pretty"),
        Sample("GET", "/v1/catalog/nodes"),
        Sample("GET", "/v1/catalog/services?stale"),
        Sample("GET", "/v1/catalog/services?node-meta=rack:7"),
        Sample("GET", "/v1/catalog/service/web?tag=blue&index=1&wait=10ms&dc=dc1"),
        Sample("GET", "/v1/catalog/service/web?node-meta=rack:7"),
        Sample("GET", "/v1/catalog/node/other"),
        Sample("GET", "/v1/catalog/node-services/callboard"),
        Sample("GET", "/v1/catalog/connect/web?tag=blue&index=1&wait=10ms"),
        Sample("GET", "/v1/catalog/gateway-services/gateway"),
        Sample("GET", "/v1/health/connect/web?passing=true"),
        Sample("GET", "/v1/health/ingress/web"),
        Sample("GET", "/v1/health/service/web?passing=true&tag=blue&node-meta=rack:7"),
        Sample("GET", "/v1/health/service/web?cached&max_stale=5s"),
        Sample("GET", "/v1/health/checks/web?consistent"),
        Sample("GET", "/v1/health/node/callboard"),
        Sample("GET", "/v1/health/state/any"),
        Sample("GET", "/v1/health/state/critical?node-meta=rack:7"),
        Sample("PUT", "/v1/event/fire/deploy?node=n.*&service=web&tag=blue", b"payload"),
        Sample("GET", "/v1/event/list?name=deploy&index=1&wait=10ms"),
        Sample("PUT", "/v1/coordinate/update", msgspec.json.encode({
            "Datacenter": "dc1", "Node": "other", "Segment": "", "Coord": {"Vec": [0.5] * 8, "Error": 1, "Adjustment": 0, "Height": 0.001},
        })),
        Sample("GET", "/v1/coordinate/datacenters"),
        Sample("GET", "/v1/coordinate/nodes?segment=&node-meta=rack:7"),
        Sample("GET", "/v1/coordinate/node/other"),
        Sample("GET", "/v1/operator/raft/configuration?stale"),
        Sample("DELETE", "/v1/operator/raft/peer?id=x"),
        Sample("POST", "/v1/operator/raft/transfer-leader?id=x"),
        Sample("PUT", "/v1/operator/raft/transfer-leader"),
        Sample("GET", "/v1/operator/keyring?relay-factor=1"),
        Sample("POST", "/v1/operator/keyring", b'{"Key":"k"}'),
        Sample("PUT", "/v1/operator/keyring", b'{"Key":"k"}'),
        Sample("DELETE", "/v1/operator/keyring", b'{"Key":"k"}'),
        Sample("GET", "/v1/operator/usage?global"),
        Sample("PUT", "/v1/operator/autopilot/configuration?cas=0", b'{"CleanupDeadServers":true,"LastContactThreshold":"1s"}'),
        Sample("GET", "/v1/operator/autopilot/configuration"),
        Sample("GET", "/v1/operator/autopilot/health"),
        Sample("GET", "/v1/operator/autopilot/state"),
        Sample("GET", "/v1/snapshot"),
        Sample("GET", "/v1/status/leader"),
        Sample("GET", "/v1/status/peers"),
        Sample("PUT", "/v1/catalog/deregister", b'{"Node":"other","ServiceID":"web-2"}'),
        Sample("PUT", "/v1/agent/check/deregister/disk"),
        Sample("PUT", "/v1/agent/service/deregister/web-1"),
        Sample("PUT", "/v1/agent/check/register", b'{"ID":"disk","Name":"disk","TTL":"30s"}'),
        Sample("GET", "/v1/agent/check/deregister/disk"),
        Sample("PUT", "/v1/agent/service/register", b'{"Name":"web"}'),
        Sample("GET", "/v1/agent/service/deregister/web"),
        Sample("PUT", "/v1/snapshot", _empty_snapshot()),
    )  # fmt: skip
    before_ready = frozenset({
        "/v1/status/leader", "/v1/status/peers", "/v1/agent/host", "/v1/agent/metrics", "/v1/agent/metrics/stream", "/v1/agent/monitor",
        "/v1/agent/reload", "/v1/agent/leave", "/v1/agent/join/127.0.0.1:8301", "/v1/agent/force-leave/callboard",
        "/v1/agent/token/default",
    })  # fmt: skip
    refuses: Mapping[str, str] = {
        "PUT /v1/agent/token/": "there is no access control",
        "DELETE /v1/operator/raft/peer": "a member that is gone is no peer any more",
        **dict.fromkeys((f"{method} /v1/operator/raft/transfer-leader" for method in ("POST", "PUT")), "there is nobody else"),
        **dict.fromkeys((f"{method} /v1/operator/keyring" for method in ("POST", "PUT", "DELETE")), "there is no gossip to encrypt"),
    }
    writes_by_get: Mapping[str, str] = dict.fromkeys((
        "/v1/agent/check/pass/", "/v1/agent/check/warn/", "/v1/agent/check/fail/", "/v1/agent/check/deregister/",
        "/v1/agent/service/deregister/",
    ), "consulate still sends these by GET")  # fmt: skip

    def register(self, door: Door, example: Example) -> None:
        """PUT /v1/agent/service/register, with a TTL check."""
        body = {
            "Name": example.service, "ID": example.id, "Address": example.address, "Port": example.port, "Tags": example.tags,
            "Check": {"TTL": f"{example.ttl_s}s"},
        }  # fmt: skip
        expect_ok(door.call("PUT", "/v1/agent/service/register", msgspec.json.encode(body)))

    def deregister(self, door: Door, example: Example) -> None:
        """PUT /v1/agent/service/deregister/<id>."""
        expect_ok(door.call("PUT", f"/v1/agent/service/deregister/{quote(example.id)}"))

    def heartbeat(self, door: Door, example: Example) -> None:
        """PUT /v1/agent/check/pass/<id>."""
        expect_ok(door.call("PUT", f"/v1/agent/check/pass/{quote(example.check)}"))

    def find(self, door: Door, service: str) -> set[Endpoint]:
        """GET /v1/health/service/<name>, healthy ones only."""
        body = expect_ok(door.call("GET", f"/v1/health/service/{quote(service)}?passing"))
        services = [found.service for found in msgspec.json.decode(body, type=list[_ConsulHealth])]
        return {Endpoint(found.address, found.port) for found in services}

    def is_own_error(self, answer: Answer) -> bool:
        """Plain text; agent/health tells health by its status, with the checks as JSON; a coordinate that is not there is an empty 404."""
        if not answer.body:
            return answer.status == 404 and any(name == b"X-Consul-Query-Backend" for name, _ in answer.headers)
        return answer.content_type.startswith(b"text/plain") or _is_agent_health(answer)

    def means_to_fail(self, answer: Answer) -> bool:
        """agent/health of critical instances, and Consul's 500 for what it cannot do."""
        return _is_agent_health(answer) or (answer.status == 500 and any(words in answer.body for words in _MEANT))


def _is_agent_health(answer: Answer) -> bool:
    return any(name == b"X-Consul-Reason" for name, _ in answer.headers)


class _ConsulService(Struct, frozen=True, rename="pascal"):
    address: str
    port: int


class _ConsulHealth(Struct, frozen=True, rename="pascal"):
    service: _ConsulService


HARNESSES: Final[tuple[Harness, ...]] = (ConsulHarness(), NativeHarness(), PrometheusHarness())
