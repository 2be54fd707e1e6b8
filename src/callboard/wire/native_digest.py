"""One short text for the instances that a reader knows, to see whether its server knows the same. Pure; both sides use this function.

It is made for one comparison: a stream that died in silence leaves a reader with a picture that no longer grows, and another digest.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

from callboard.wire.native import InstanceState

DIGEST_CHARS: Final = 16
"""64 bits: two pictures that differ have one digest once in 10 million million million comparisons."""
_BETWEEN: Final = "\0"
"""Between the fields of a line; no name contains it."""


def digest_of(instances: Iterable[InstanceState]) -> str:
    """The first 16 hex digits of SHA-256 over what tells instances apart and what callers act on, whatever their order.

    A line each: name space, service, node, id, the revision of its registration, phase and status. Outputs of checks do not count.
    """
    return hashlib.sha256("\n".join(sorted(map(_line, instances))).encode()).hexdigest()[:DIGEST_CHARS]


def _line(of: InstanceState) -> str:
    return _BETWEEN.join((of.namespace, of.service, of.node, of.id, str(of.modified), of.phase.value, of.status.value))
