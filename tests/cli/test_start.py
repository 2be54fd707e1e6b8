"""A reading command starts in the blink of an eye: it loads neither a server nor an event loop."""

import json
import subprocess
import sys

import pytest

from tests.servers import ServerProcess

SCRIPT = """
import json, sys
from callboard.cli.main import main
try:
    main()
except SystemExit as end:
    code = end.code
sys.stderr.write(json.dumps([code or 0, sorted(sys.modules)]))
"""
HEAVY = {"httpx", "rich", "asyncio", "importlib.metadata", "uvicorn", "starlette", "subprocess", "multiprocessing", "concurrent"}
OURS = ("callboard.server", "callboard.registry", "callboard.store", "callboard.core", "callboard.frontend", "callboard.net.http")


def loaded(server: ServerProcess, *arguments: str) -> tuple[int, set[str]]:
    """Exit code of a command, and every module it has loaded."""
    command, environment = [sys.executable, "-c", SCRIPT, *arguments], {"CALLBOARD_URL": server.url}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    code, modules = json.loads(done.stderr.splitlines()[-1])
    return code, set(modules)


@pytest.mark.parametrize(
    "arguments",
    [
        ("services",),
        ("services", "-o", "json"),
        ("instances", "consul"),
        ("resolve", "consul"),
        ("status",),
        ("members",),
        ("register", "web"),
        ("drain", "web"),
        ("deregister", "web"),
        ("--help",),
        ("--version",),
        ("watch", "--help"),
        ("run", "--help"),
        ("call", "--help"),
    ],
    ids=" ".join,
)
def test_a_command_that_asks_loads_nothing_heavy(server: ServerProcess, arguments: tuple[str, ...]) -> None:
    code, modules = loaded(server, *arguments)
    assert code == 0
    assert modules & HEAVY == set()
    assert [module for module in modules if module.startswith(OURS)] == []


def test_the_client_package_loads_nothing_heavy_either() -> None:
    script = "import json, sys, callboard.client; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    modules = set(json.loads(done.stdout))
    assert modules & HEAVY == set()
    assert [module for module in modules if module.startswith((*OURS, "callboard.cli.", "click"))] == []


def test_help_loads_no_client() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, "--help"], capture_output=True, text=True, timeout=60, check=True)
    _, modules = json.loads(done.stderr.splitlines()[-1])
    assert [module for module in modules if module.startswith(("callboard.client", "http"))] == []
