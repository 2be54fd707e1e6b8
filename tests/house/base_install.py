"""What the base install weighs and loads. Looked at with packages copied from here (tests/house), and from the index (tests/interop)."""

import re
from typing import NamedTuple

from tests.house.installing import Installation

BASE = {"callboard", "click", "msgspec", "semver"}
SDK = "import callboard; callboard.connect"
SDK_ASYNC = "import callboard; callboard.aio.connect"
OPEN = "board = callboard.connect('http://127.0.0.1:1', snapshots='off'); board.service; board.register; board.close()"
_LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| (\s*)(\S+)")
_TIMES_COUNT = 7


class Figures(NamedTuple):
    """Of one installation."""

    install_s: float
    package_bytes: dict[str, int]
    import_ms: float
    """`import callboard; callboard.connect`: what its modules take, beside those Python has loaded at its start. The least of some runs."""
    import_async_ms: float
    python_start_ms: float
    """The same of an empty program, to compare: it is Python's own."""
    modules: int
    """So many modules the SDK loads beyond Python's own at start."""

    def shown(self) -> str:
        """For people."""
        sizes = ", ".join(f"{name} {size / 1024:.0f} KiB" for name, size in self.package_bytes.items())
        return (
            f"base install: {sum(self.package_bytes.values()) / 1024 / 1024:.1f} MiB ({sizes}), installed in {self.install_s:.1f} s; "
            f"import of the SDK {self.import_ms:.0f} ms ({self.modules} modules), of the one for asyncio {self.import_async_ms:.0f} ms; "
            f"Python's own start {self.python_start_ms:.0f} ms"
        )


def loaded(installation: Installation, code: str) -> set[str]:
    """The modules that are there after a program beyond those that Python loads at its start."""
    done = installation.python(f"import sys; before = set(sys.modules); {code}\nprint(*sorted(set(sys.modules) - before))", "-P")
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def import_ms(installation: Installation, code: str) -> float:
    """Milliseconds that the imports of a program take, by Python's own count; the least of some runs, for neighbours only add to it."""
    return min(_import_us(installation, code) for _ in range(_TIMES_COUNT)) / 1000


def figures(installation: Installation) -> Figures:
    """All of it."""
    start = import_ms(installation, "pass")
    return Figures(
        install_s=round(installation.seconds, 2),
        package_bytes=installation.sizes(),
        import_ms=round(import_ms(installation, SDK) - start, 1),
        import_async_ms=round(import_ms(installation, SDK_ASYNC) - start, 1),
        python_start_ms=round(start, 1),
        modules=len(loaded(installation, SDK)),
    )


def _import_us(installation: Installation, code: str) -> int:
    done = installation.python(code, "-P", "-X", "importtime")
    assert done.returncode == 0, done.stderr
    return sum(int(own) for own, *_ in _LINE.findall(done.stderr))
