"""What an integration says when the library that it speaks to is not installed."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """For the imports of a library, which `callboard[extra]` brings. Raises `ModuleNotFoundError` that says so."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("callboard"):
            raise
        advice = f"callboard.integrations.{extra} needs {error.name}, which is not installed; try: pip install 'callboard[{extra}]'"
        raise ModuleNotFoundError(advice, name=error.name, path=error.path) from error
