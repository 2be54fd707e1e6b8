"""Examples of the native API's description: one story, told in the order in which it happens on an empty catalog.

They are no illustrations: a test sends every one of them, and the answer must be the one that stands here, but for revisions, times and
versions. Constants; nothing here changes.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from callboard import __version__
from callboard.frontend.native import table
from callboard.frontend.native.operations import Operation
from callboard.model.check import Status
from callboard.model.instance import Phase
from callboard.wire import native, native_events, native_server

VARYING: Final = frozenset(
    {"revision", "created", "modified", "since_ms", "started_ms", "time_ms", "digest", "version", "program", "level"}
)
"""Fields of answers that tell another value each time."""


class Exchange(NamedTuple):
    """A request and its answer. Of a stream the answer is how it begins."""

    name: str
    operation: Operation
    summary: str
    answer: Struct | str
    subject: str = ""
    """What the end of the path stands for."""
    query: Mapping[str, str] = {}
    body: Struct | Mapping[str, object] | None = None
    status: int = 200


_AT: Final = 1_767_225_600_000
_NODE: Final = "callboard"


def _written(instance: str, revision: int, *, service: str = "", changed: bool = True) -> native.Written:
    return native.Written(id=instance, node=_NODE, namespace="public", service=service, revision=revision, changed=changed)


def _problem(status: int, title: str, code: str, detail: str, field: str = "") -> native.Problem:
    return native.Problem(type=f"urn:callboard:{code}", title=title, status=status, detail=detail, code=code, field=field)


_SERVER: Final = native.CheckState(
    id="serfHealth", name="Serf Health Status", kind="manual", status=Status.PASSING, output="Agent alive and reachable", notes="",
    since_ms=_AT, of_node=True,
)  # fmt: skip
_ALIVE: Final = native.CheckState(
    id="service:web-1", name="Service 'web' check", kind="ttl", status=Status.PASSING, output="", notes="", since_ms=_AT, ttl_ms=10_000
)  # fmt: skip
_ASKED: Final = native.CheckState(
    id="service:web-2", name="Service 'web' check", kind="http", status=Status.CRITICAL, output="", notes="", since_ms=_AT,
    target="GET http://192.0.2.8:8080/health", interval_ms=10_000, timeout_ms=1_000,
)  # fmt: skip
_WEB_1: Final = native.InstanceState(
    id="web-1", service="web", namespace="public", node=_NODE, address="192.0.2.7", port=8080, tags=("blue",),
    meta={"version": "2.1.0", "zone": "a"}, weights=native.Weights(), phase=Phase.SERVING, status=Status.PASSING,
    checks=(_SERVER, _ALIVE), created=2, modified=2,
)  # fmt: skip
_WEB_2: Final = native.InstanceState(
    id="web-2", service="web", namespace="public", node=_NODE, address="192.0.2.8", port=8080, tags=(), meta={}, weights=native.Weights(),
    phase=Phase.SERVING, status=Status.CRITICAL, checks=(_SERVER, _ASKED), created=3, modified=3,
)  # fmt: skip
_STREAM: Final = b"".join(
    (
        native_events.event("added", native_events.data(native.InstanceEvent(5, _WEB_1))),
        native_events.event("added", native_events.data(native.InstanceEvent(5, _WEB_2))),
        native_events.event("ready", native_events.data(native.MarkEvent(5))),
    )
).decode()

STORY: Final = (
    Exchange(
        "ttl", table.REGISTER, "An instance that will send heartbeats", _written("web-1", 2, service="web"),
        body=native.Registration(
            service="web", id="web-1", address="192.0.2.7", port=8080, tags=("blue",), meta={"version": "2.1.0", "zone": "a"},
            checks=(native.CheckRequest(ttl_ms=10_000, status="passing"),),
        ),
    ),
    Exchange(
        "probed", table.REGISTER, "An instance that the servers ask how it is", _written("web-2", 3, service="web"),
        body=native.Registration(
            service="web", id="web-2", address="192.0.2.8", port=8080,
            checks=(native.CheckRequest(http="http://192.0.2.8:8080/health", interval_ms=10_000, timeout_ms=1_000),),
        ),
    ),
    Exchange(
        "mistyped", table.REGISTER, "A field that there is not", _problem(400, "Bad Request", "invalid", "prot: no such field", "prot"),
        body={"service": "web", "prot": 8080}, status=400,
    ),
    Exchange("alive", table.HEARTBEAT, "A plain sign of life", _written("web-1", 3, service="web", changed=False), "web-1"),
    Exchange(
        "warning", table.HEARTBEAT, "It lives, but", _written("web-1", 4, service="web"), "web-1",
        body=native.Beat(status="warning", output="the queue is long"),
    ),
    Exchange(
        "forgotten", table.HEARTBEAT, "Of an instance that is not known",
        _problem(404, "Not Found", "unknown_instance", "no instance 'web-9' is known here; register it again"), "web-9", status=404,
    ),
    Exchange(
        "several", table.HEARTBEATS, "One of them is not known",
        native.Renewed(1, (native.UnknownBeat(id="web-9", namespace="public", node=_NODE, reason="unknown_instance"),)),
        body=native.Beats((native.BeatTarget(id="web-1"), native.BeatTarget(id="web-9"))),
    ),
    Exchange("one", table.INSTANCE, "An instance", _WEB_1, "web-1"),
    Exchange(
        "services", table.SERVICES, "One service",
        native.ServiceList((
            native.ServiceSummary(
                name="web", namespace="public", tags=("blue",), instances=2, passing=1, warning=0, critical=1, maintenance=0, draining=0
            ),
        ), 5),
    ),
    Exchange(
        "both", table.SERVICE, "Two instances",
        native.ServiceInstances(service="web", namespace="public", revision=5, instances=(_WEB_1, _WEB_2)), "web",
    ),
    Exchange(
        "newest", table.RESOLVE, "Only of version 2",
        native.Resolution(
            service="web", namespace="public", revision=5,
            endpoints=(
                native.Endpoint(
                    id="web-1", node=_NODE, address="192.0.2.7", port=8080, tags=("blue",), weight=1, status=Status.PASSING,
                    version="2.1.0", zone="a",
                ),
            ),
            considered=(
                native.Considered(id="web-1", node=_NODE, kept=True, reason="passing"),
                native.Considered(id="web-2", node=_NODE, kept=False, reason="has no version, ^2 is wanted"),
            ),
        ), "web", {"version": "^2"},
    ),
    Exchange(
        "nodes", table.NODES, "One node",
        native.NodeList((native.NodeSummary(name=_NODE, address="127.0.0.1", meta={}, instances=2, implicit=False),), 3),
    ),
    Exchange("begin", table.WATCH, "What is there, before anything happens", _STREAM, query={"service": "web"}),
    Exchange("of-one", table.DIGEST, "Of one service", native.Digest(5, 2, "f2d61824f360f4d9"), query={"service": "web"}),
    Exchange("drained", table.DRAIN, "It is hidden", _written("web-1", 6), "web-1"),
    Exchange("shown", table.UNDRAIN, "It is shown", _written("web-1", 7), "web-1"),
    Exchange("gone", table.DEREGISTER, "It is gone", _written("web-1", 8), "web-1"),
    Exchange(
        "unknown", table.INSTANCE, "Nobody has this id",
        _problem(404, "Not Found", "unknown_instance", "no instance 'web-1' is known here; `callboard instances SERVICE` lists the ids"),
        "web-1", status=404,
    ),
    Exchange(
        "alone", table.STATUS, "A server that is alone",
        native_server.ServerStatus(
            member="member-1", node=_NODE, datacenter="dc1", version=__version__, ready=True, leader="member-1", revision=8, services=1,
            instances=1, checks=2, nodes=1, leading=True, members=1, age_ms=0,
            store=native_server.StoreState(reachable=True, detail="", version="", size_bytes=0, size_max_bytes=0),
        ),
    ),
    Exchange(
        "members", table.MEMBERS, "A server that is alone",
        native_server.MemberList(
            members=(native_server.MemberState(name="member-1", url="", level=1, program=__version__, started_ms=_AT, leading=True),),
            leader="member-1",
        ),
    ),
    Exchange(
        "placed", table.DIAGNOSIS, "A server without a machine",
        native_server.Diagnosis(member="member-1", version=__version__, level=1, time_ms=_AT),
    ),
    Exchange("passing", table.HEALTH, "The only answer", native_server.Health("passing")),
    Exchange("ready", table.READY, "It is ready", native_server.Ready(ready=True)),
)  # fmt: skip


def of(operation: Operation) -> Sequence[Exchange]:
    """The exchanges of one operation."""
    return [exchange for exchange in STORY if exchange.operation is operation]


def shown(value: Struct | Mapping[str, object] | str | None) -> object:
    """As JSON says it."""
    return msgspec.to_builtins(value)
