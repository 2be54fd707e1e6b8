"""The table of operations: everything the native API can be asked, in the order in which its description tells it.

Each subject's module says which handler carries out which line. Constants; nothing here changes.
"""

from typing import Final

from callboard.frontend.native.operations import JSON, NODE_FIELD, Body, Field, Given, Operation
from callboard.wire import backup, native, native_events, native_server
from callboard.wire.native_parameters import (
    DiagnosisParameters,
    DigestParameters,
    InstanceParameters,
    NoParameters,
    ReadParameters,
    ResolveParameters,
    TargetParameters,
    WatchParameters,
    WriteParameters,
)

_STORING: Final = ("too_large", "deposed", "overloaded", "unknown_outcome", "full")
"""Codes of what goes to the store."""
_FINDING: Final = ("unknown_instance", "ambiguous")
_CHANGING: Final = (*_FINDING, "superseded", *_STORING)
_WRITTEN: Final = Given("It counts, and this server's view shows it.", native.Written)
_OF_INSTANCE: Final = {"id": "id", "node": "node", "namespace": "namespace"}
_OF_SERVICE: Final = {"service": "service", "namespace": "namespace"}
_SIGNED_IN: Final = (
    *((name, _OF_INSTANCE) for name in ("getInstance", "heartbeat", "drainInstance", "undrainInstance", "deregisterInstance")),
    *((name, _OF_SERVICE) for name in ("listInstances", "resolve")),
)
"""What can be asked about an instance that was signed in."""
RESUME: Final = Field("last-event-id", "The id of the last event that was seen: only what changed since is told.")

REGISTER: Final = Operation(
    name="registerInstance", subject="instances", method="PUT", path="/api/v1/instances", parameters=WriteParameters,
    fields=(NODE_FIELD,), body=Body(native.Registration), given=(_WRITTEN,), leads_to=_SIGNED_IN,
    refusals=("superseded", *_STORING),
    summary="Sign an instance in, or replace it.",
    text="Saying the same again changes nothing. An id under another service moves the instance. A check that is there keeps its status.",
)  # fmt: skip
INSTANCE: Final = Operation(
    name="getInstance", subject="instances", method="GET", path="/api/v1/instances/{id}", parameters=InstanceParameters,
    fields=(NODE_FIELD,), given=(Given("The instance.", native.InstanceState),), refusals=_FINDING, blocking=True,
    summary="One instance with its status and its checks.",
)  # fmt: skip
DEREGISTER: Final = Operation(
    name="deregisterInstance", subject="instances", method="DELETE", path="/api/v1/instances/{id}", parameters=TargetParameters,
    fields=(NODE_FIELD,), given=(_WRITTEN,), refusals=_CHANGING,
    summary="Sign an instance out: it goes with its checks.",
)  # fmt: skip
DRAIN: Final = Operation(
    name="drainInstance", subject="instances", method="PUT", path="/api/v1/drain/{id}", parameters=TargetParameters,
    fields=(NODE_FIELD,), given=(_WRITTEN,), refusals=_CHANGING,
    summary="Hide an instance from new picks. Whoever calls it already may finish.",
)  # fmt: skip
UNDRAIN: Final = Operation(
    name="undrainInstance", subject="instances", method="DELETE", path="/api/v1/drain/{id}", parameters=TargetParameters,
    fields=(NODE_FIELD,), given=(_WRITTEN,), refusals=_CHANGING,
    summary="Show a drained instance again.",
)  # fmt: skip
HEARTBEAT: Final = Operation(
    name="heartbeat", subject="heartbeats", method="PUT", path="/api/v1/heartbeat/{id}", parameters=TargetParameters,
    fields=(NODE_FIELD,), body=Body(native.Beat, required=False), given=(Given("Its TTL checks are renewed.", native.Written),),
    refusals=(*_FINDING, "not_ttl", "superseded", *_STORING),
    summary="A sign of life: renew every TTL check of an instance.",
    text="Answered with `unknown_instance`: register again. Without a body the checks pass.",
)  # fmt: skip
HEARTBEATS: Final = Operation(
    name="heartbeats", subject="heartbeats", method="POST", path="/api/v1/heartbeats", parameters=WriteParameters,
    fields=(NODE_FIELD,), body=Body(native.Beats), given=(Given("What was renewed, and what is not known.", native.Renewed),),
    refusals=("not_ttl", "superseded", *_STORING),
    summary="Signs of life of several instances at once.",
)  # fmt: skip
SERVICES: Final = Operation(
    name="listServices", subject="services", method="GET", path="/api/v1/services", parameters=ReadParameters,
    given=(Given("Every service, by name.", native.ServiceList),), blocking=True,
    summary="Every service with its tags, and the number of its instances by status.",
)  # fmt: skip
SERVICE: Final = Operation(
    name="listInstances", subject="services", method="GET", path="/api/v1/services/{service}", parameters=ReadParameters,
    given=(Given("Its instances; none when nobody registered it.", native.ServiceInstances),), blocking=True,
    summary="Every instance of a service with its status and its checks.",
)  # fmt: skip
RESOLVE: Final = Operation(
    name="resolve", subject="services", method="GET", path="/api/v1/resolve/{service}", parameters=ResolveParameters,
    given=(Given("Where to call, and every instance with the reason why it is kept or not.", native.Resolution),), blocking=True,
    summary="Where to call a service now, and why there.",
    text="An instance is judged by tags, labels, version, phase, status, zone, then limit, in this order.",
)  # fmt: skip
NODES: Final = Operation(
    name="listNodes", subject="services", method="GET", path="/api/v1/nodes", parameters=ReadParameters,
    given=(Given("Every node, by name.", native.NodeList),), blocking=True,
    summary="Every node with the number of instances on it.",
)  # fmt: skip
WATCH: Final = Operation(
    name="watch", subject="watch", method="GET", path="/api/v1/watch", parameters=WatchParameters, fields=(RESUME,), quick=False,
    given=(Given("A stream of events without an end.", None, native_events.CONTENT_TYPE.decode()),), refusals=("too_many",),
    summary="Server-sent events of instances that come, change and go.",
    text="`added`, `changed` and `removed` carry an `InstanceEvent`, `ready` and `resync` a `MarkEvent`. First everything there is comes as"
    " `added`, then `ready`; from then on what happens. `resync`: forget everything, it begins anew. The id of an event is sent back as"
    " `Last-Event-ID`.",
)  # fmt: skip
DIGEST: Final = Operation(
    name="digest", subject="watch", method="GET", path="/api/v1/digest", parameters=DigestParameters,
    given=(Given("The digest.", native.Digest),), blocking=True,
    summary="A short text by which a watcher finds out that it missed something.",
)  # fmt: skip
BACKUP: Final = Operation(
    name="backup", subject="server", method="GET", path="/api/v1/backup", parameters=NoParameters, quick=False,
    given=(Given("Lines of JSON. One that was broken off has no trailer.", None, backup.CONTENT_TYPE.decode()),), refusals=("too_many",),
    summary="Everything that is durable, at one revision.",
    text="A header, a line for each row, and a trailer with the number of rows and the SHA-256 of all that came before it.",
)  # fmt: skip
STATUS: Final = Operation(
    name="status", subject="server", method="GET", path="/api/v1/status", parameters=NoParameters, early=True,
    given=(Given("The server that answers.", native_server.ServerStatus),),
    summary="Who this server is, how much it knows, who leads, and how its store is.",
)  # fmt: skip
MEMBERS: Final = Operation(
    name="members", subject="server", method="GET", path="/api/v1/members", parameters=NoParameters, early=True,
    given=(Given("The servers of the cluster.", native_server.MemberList),),
    summary="The servers that are present, and which of them leads.",
)  # fmt: skip
DIAGNOSIS: Final = Operation(
    name="diagnose", subject="server", method="GET", path="/api/v1/diagnosis", parameters=DiagnosisParameters, early=True, quick=False,
    given=(Given("What the server sees.", native_server.Diagnosis),), refusals=("too_many",),
    summary="What only the server can see of how it is placed: its clock, its limits, its disk, and who can be reached from it.",
    text="It asks the address it is advertised at who answers there, and with `port` opens a connection to the caller's own address, over"
    " which nothing is sent; it dials no other. `callboard doctor` judges the answer.",
)  # fmt: skip
OPENAPI: Final = Operation(
    name="openapi", subject="server", method="GET", path="/api/v1/openapi.json", parameters=NoParameters, early=True, quick=False,
    given=(Given("An OpenAPI 3.1 document.", None, JSON),),
    summary="This description.",
)  # fmt: skip
HEALTH: Final = Operation(
    name="health", subject="server", method="GET", path="/health", parameters=None, early=True,
    given=(Given("The process answers.", native_server.Health),),
    summary="Whether the process answers.",
)  # fmt: skip
READY: Final = Operation(
    name="ready", subject="server", method="GET", path="/ready", parameters=None, early=True,
    given=(Given("It is.", native_server.Ready), Given("Not yet, or no longer.", native_server.Ready, status=503)),
    summary="Whether the catalog is loaded and commands are taken.",
)  # fmt: skip

TABLE: Final = (
    REGISTER, INSTANCE, DEREGISTER, DRAIN, UNDRAIN, HEARTBEAT, HEARTBEATS, SERVICES, SERVICE, RESOLVE, NODES, WATCH, DIGEST, BACKUP, STATUS,
    MEMBERS, DIAGNOSIS, OPENAPI, HEALTH, READY,
)  # fmt: skip
