"""The limits of what workers and the process that holds the engine tell each other. They live as long as the server."""

from typing import Annotated

from msgspec import Meta, Struct

from callboard.net.channel import Limits

Count = Annotated[int, Meta(ge=1)]


class UnixSettings(Struct, frozen=True, kw_only=True):
    """Of each worker's channel."""

    frame_max_bytes: Count = 268_435_456
    """A message in one piece: the largest group, the largest batch of a load."""
    calls_max_count: Count = 1_024
    """Questions and streams under way."""
    window_bytes: Count = 4_194_304
    """What a feed or a load sends ahead of a worker that is slow to read."""
    unread_max_bytes: Count = 536_870_912
    """What waits for a worker that does not read at all; more, and it is cut off, and started again."""
    groups_encoded_max_bytes: Count = 16_777_216
    """Groups kept as bytes, so that they are put together once for all workers; one group at least."""
    health_interval_ms: Count = 1_000
    """How often workers are told how the engine is, if that has changed."""

    @property
    def limits(self) -> Limits:
        """As the channel wants them."""
        return Limits(self.frame_max_bytes, self.calls_max_count, self.window_bytes, self.unread_max_bytes)
