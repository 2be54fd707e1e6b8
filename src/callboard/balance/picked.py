"""What a pick hands out. It lives as long as the call it was picked for."""

from msgspec import Struct

from callboard.balance.endpoint import Endpoint


class Picked(Struct, eq=False):
    """The endpoint to call. A policy that learns from calls makes a subclass whose `done` closes the loop."""

    endpoint: Endpoint

    def done(self, now: int, *, ok: bool = True) -> None:
        """The call ended at `now`, well or not. Called once; a second time does nothing."""
