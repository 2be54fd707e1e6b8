"""Who of several does what: every member works out the same answer from the names alone, and when one comes or goes, only what it does
itself changes hands (highest random weight).
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

_WEIGHT_BYTES: Final = 8


def owner(key: str, members: Sequence[str]) -> str:
    """The member that does `key`; the same whatever the order of `members`, of which there must be one at least."""
    if len(members) == 1:
        return members[0]
    hashed = blake2b(key.encode(), digest_size=_WEIGHT_BYTES)
    best, most = "", b""
    for member in members:
        weighed = hashed.copy()
        weighed.update(b"\0" + member.encode())
        weight = weighed.digest()
        if weight > most or (weight == most and member > best):
            best, most = member, weight
    return best
