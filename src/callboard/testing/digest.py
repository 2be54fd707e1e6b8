"""One short text for everything a view holds, to see whether two views hold the same. Pure."""

import hashlib
from collections.abc import Iterator

from msgspec.structs import replace

from callboard.core.catalog.codec import encode
from callboard.core.catalog.view import View
from callboard.model.rows import AUTOPILOT_KEY, ZERO, check_key, coordinate_key, event_key, instance_key, node_key


def digest(view: View) -> str:
    """SHA-256 over keys and values of every row of the catalog: nodes, instances, checks, and what stands beside them.

    The position, every revision and the floors are left out: two catalogs that answer alike have one digest.
    """
    hashed = hashlib.sha256()
    for key, value in sorted(_rows(view)):
        hashed.update(key.encode() + b"\0" + value + b"\n")
    return hashed.hexdigest()


def _rows(view: View) -> Iterator[tuple[str, bytes]]:
    yield from _beside(view)
    for name, node in view.nodes.items():
        yield node_key(name), encode(replace(node, created=ZERO, modified=ZERO))
        for check in view.checks_of_node(name).values():
            yield check_key(check.namespace, name, check.id), encode(replace(check, created=ZERO, modified=ZERO))
    for namespace, space in view.spaces.items():
        for there in space.by_node.values():
            for placed in there.values():
                instance = placed.instance
                yield instance_key(namespace, instance.node, instance.id), encode(replace(instance, created=ZERO, modified=ZERO))
                for check in placed.checks:
                    yield check_key(namespace, check.node, check.id), encode(replace(check, created=ZERO, modified=ZERO))


def _beside(view: View) -> Iterator[tuple[str, bytes]]:
    for slot, event in view.events.items():
        yield event_key(slot), encode(replace(event, modified=ZERO))
    for name, coordinate in view.coordinates.items():
        yield coordinate_key(name), encode(replace(coordinate, modified=ZERO))
    if view.autopilot is not None:
        yield AUTOPILOT_KEY, encode(replace(view.autopilot, created=ZERO, modified=ZERO))
