"""From values beside the catalog to Consul's answers, and from the bodies that operators send. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from callboard.model.autopilot import Autopilot
from callboard.model.coordinate import Coordinate, Place
from callboard.model.event import Event, event_id
from callboard.model.rows import Revision
from callboard.model.time import Duration, Timestamp
from callboard.wire import consul_admin as admin
from callboard.wire.consul_go import format_duration

DEFAULT_PLACE: Final = Place()


def event(fired: Event) -> admin.Event:
    """An event as it is listed."""
    return admin.Event(
        id=event_id(fired.nonce, fired.modified), name=fired.name, payload=fired.payload or None, node_filter=fired.node_filter,
        service_filter=fired.service_filter, tag_filter=fired.tag_filter, ltime=fired.number,
    )  # fmt: skip


def coord(place: Place) -> admin.Coord:
    """A network coordinate."""
    return admin.Coord(place.vec, place.error, place.adjustment, place.height)


def coordinate(node: str, there: Coordinate) -> admin.Coordinate:
    """Where a node is; its name as it was first spelled."""
    return admin.Coordinate(node, there.segment, coord(there.place))


def place_of(body: admin.CoordBody) -> Place:
    """Raises `InvalidError`."""
    return Place(body.vec, body.error, body.adjustment, body.height)


def autopilot(settings: Autopilot) -> admin.Autopilot:
    """The settings as they are shown."""
    return admin.Autopilot(
        cleanup_dead_servers=settings.cleanup_dead_servers, last_contact_threshold=format_duration(settings.last_contact_threshold),
        max_trailing_logs=settings.max_trailing_logs, min_quorum=settings.min_quorum,
        server_stabilization_time=format_duration(settings.server_stabilization_time), redundancy_zone_tag=settings.redundancy_zone_tag,
        disable_upgrade_migration=settings.disable_upgrade_migration, upgrade_version_tag=settings.upgrade_version_tag,
        create_index=settings.created, modify_index=settings.modified,
    )  # fmt: skip


def autopilot_of(body: admin.AutopilotBody) -> Autopilot:
    """Raises `InvalidError`."""
    return Autopilot(
        cleanup_dead_servers=body.cleanup_dead_servers, last_contact_threshold=Duration(int(body.last_contact_threshold)),
        max_trailing_logs=body.max_trailing_logs, min_quorum=body.min_quorum,
        server_stabilization_time=Duration(int(body.server_stabilization_time)), redundancy_zone_tag=body.redundancy_zone_tag,
        disable_upgrade_migration=body.disable_upgrade_migration, upgrade_version_tag=body.upgrade_version_tag,
    )  # fmt: skip


def metrics(measures: Iterable[tuple[str, float, bool]], now: Timestamp, uptime_s: float) -> admin.Metrics:
    """Of each name, value, and whether it only goes up: then since the server was started, with its mean rate."""
    gauges: list[admin.Gauge] = []
    counters: list[admin.Counter] = []
    for name, value, counts in sorted(measures):
        if counts:
            rate, once = (value / uptime_s if uptime_s > 0 else 0.0), float(value > 0)
            counters.append(admin.Counter(name=name, count=int(value), rate=rate, sum=float(value), min=once, max=once, mean=once))
        else:
            gauges.append(admin.Gauge(name, float(value)))
    return admin.Metrics(timestamp=f"{utc(now):%Y-%m-%d %H:%M:%S} +0000 UTC", gauges=gauges, counters=counters)


def utc(time_ms: int) -> datetime:
    """A moment, for people."""
    return datetime.fromtimestamp(time_ms / 1_000, UTC)


def rfc3339(time_ms: int) -> str:
    """A moment as Go writes one, to the second."""
    return f"{utc(time_ms):%Y-%m-%dT%H:%M:%SZ}"


def fired(name: str, payload: bytes, filters: tuple[str, str, str], nonce: str, revision: Revision) -> admin.Event:
    """An event as its caller is told."""
    node, service, tag = filters
    return admin.Event(
        id=event_id(nonce, revision), name=name, payload=payload or None, node_filter=node, service_filter=service, tag_filter=tag
    )  # fmt: skip
