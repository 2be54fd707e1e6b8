"""How a program written with a foreign client tells its stories: one JSON line each, `failed` empty when it held.

It runs in the environments of such clients, and imports nothing that is not there.
"""

import json
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def tell(stories: "Iterable[Callable[[Any], object]]", client: object) -> None:
    for story in stories:
        failed = ""
        try:
            story(client)
        except Exception:  # noqa: BLE001  # whatever it is, it is told, and the next story comes
            failed = traceback.format_exc(limit=-3)
        sys.stdout.write(json.dumps({"story": story.__name__.replace("_", " "), "failed": failed}) + "\n")
        sys.stdout.flush()


def until(condition: "Callable[[], Any]", patience_s: float = 60) -> Any:
    """What the condition answers once it is true."""
    end = time.monotonic() + patience_s
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not so within {patience_s} s")
        time.sleep(0.05)
    return found


def same(found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"{found!r}, not {expected!r}")


def refused(kind: "type[Exception]", call: "Callable[[], object]") -> str:
    """What a call is refused with."""
    try:
        call()
    except kind as error:
        return str(error)
    raise AssertionError("not refused")
