"""What the commands tell at their end; `-o json` prints it as it is."""

from msgspec import Struct


class Saved(Struct, frozen=True, kw_only=True):
    """A backup that was written."""

    file: str
    rows: int
    revision: int
    store: str
    """Id of the store it was taken of."""


class Moved(Struct, frozen=True, kw_only=True):
    """A store that was filled, and read back."""

    target: str
    rows: int
    replaced: int
    """Rows that were there before."""
    revision: int
    """From here on it counts."""
    store: str
    """Its id now."""
    digest: str
    """SHA-256 of all rows, as they were read back."""
