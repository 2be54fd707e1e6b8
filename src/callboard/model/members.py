"""Members: the servers on one store, and what each tells the others about itself.

A card lives as long as its process is present in the store. It is no row: it is in no view, revision or backup.
"""

from typing import Final

from msgspec import Struct

from callboard.model.time import Timestamp

LEVEL: Final = 2
"""The newest row schemas, derivation rules and peer messages this program speaks."""


class Card(Struct, frozen=True, kw_only=True):
    """What a present member says of itself. `nonce` names its process: a member that was started again is another one."""

    name: str
    nonce: str
    url: str = ""
    """Where other members reach it, as `http://host:port`; empty when they cannot."""
    secret: str = ""
    """With it the others sign what they send to it. Whoever may read the engine is one of us."""
    level: int = LEVEL
    """The newest level it speaks."""
    program: str = ""
    """Version of its program, for people."""
    started: Timestamp = Timestamp(0)
    worker_of: str = ""
    """The member whose worker this is: a process of the same server, which leads nothing and probes nothing. Empty for a server."""
