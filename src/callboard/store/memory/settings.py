"""The limits of the memory store. They live as long as its engine."""

from typing import Annotated

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=1)]


class MemorySettings(Struct, frozen=True, kw_only=True):
    """How much one engine keeps."""

    history_max_count: Count = 10_000
    """Groups that can still be followed."""
    rows_max_count: Count = 10_000_000
    load_batch_max_rows: Count = 5_000
    value_max_bytes: Count = 4 * 1024 * 1024
    group_max_rows: Count = 50_000
    group_max_bytes: Count = 64 * 1024 * 1024
