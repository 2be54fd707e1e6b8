import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from callboard.core.health import ProbeResult
from tests.net.running import LOOPS, Run


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Run:
    """A loop of each kind that a server may run on."""

    def runs(work: Coroutine[Any, Any, ProbeResult]) -> ProbeResult:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            return runner.run(work)

    return runs
