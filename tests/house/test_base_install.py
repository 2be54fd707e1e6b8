"""The base install: `pip install callboard` is the SDK and the reading commands, and carries nothing of a server."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from callboard.testing.server import Server
from tests.house.base_install import BASE, OPEN, SDK, SDK_ASYNC, figures, loaded
from tests.house.installing import ROOT, Installation, build_wheel, copied

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
SERVER_ROOMS = ("callboard.core", "callboard.frontend", "callboard.registry", "callboard.server", "callboard.store", "callboard.testing")
SERVER_PACKAGES = {"httptools", "prometheus_client", "rich", "starlette", "uvicorn", "uvloop"}
COMMANDS = {"click", "callboard.cli"}
NOT_FOR_THREADS = {"asyncio", "concurrent.futures", "multiprocessing"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("base")
    return copied(folder / "environment", build_wheel(folder))


def of_the_server(modules: set[str]) -> set[str]:
    return {name for name in modules if name.startswith(SERVER_ROOMS) or name.partition(".")[0] in SERVER_PACKAGES}


def test_theme_dependency_weight_the_base_install_asks_for_click_msgspec_and_semver_only(base: Installation) -> None:
    assert {Requirement(text).name for text in PROJECT["dependencies"]} == {"click", "msgspec", "semver"}
    assert base.sizes().keys() == BASE, "what these three require counts too"


def test_theme_dependency_weight_no_base_requirement_is_capped() -> None:
    """A cap of ours would be everybody's cap: nobody could take a security fix of theirs before we say so."""
    assert {one.operator for text in PROJECT["dependencies"] for one in Requirement(text).specifier} == {">="}


@pytest.mark.parametrize("code", [SDK, SDK_ASYNC, f"import callboard; {OPEN}"], ids=["connect", "aio.connect", "a board opened"])
def test_the_sdk_loads_no_module_of_the_server_and_none_of_the_commands(base: Installation, code: str) -> None:
    modules = loaded(base, code)
    assert of_the_server(modules) == set()
    assert modules & COMMANDS == set()


def test_the_sdk_for_threads_loads_no_asyncio(base: Installation) -> None:
    assert loaded(base, f"import callboard; {OPEN}") & NOT_FOR_THREADS == set()


def test_importing_callboard_alone_loads_one_module(base: Installation) -> None:
    assert {name for name in loaded(base, "import callboard") if name.startswith("callboard")} == {"callboard"}


def test_the_reading_commands_work_and_a_server_is_asked_for_by_name(base: Installation, tmp_path: Path) -> None:
    with Server.running(tmp_path) as server:
        done = base.run("callboard", "services", "-o", "json", CALLBOARD_URL=server.url)
    assert done.returncode == 0, done.stderr
    refused = base.run("callboard", "serve", "--dev")
    assert refused.returncode == 1
    assert "pip install 'callboard[server]'" in refused.stderr


def test_a_program_signs_in_and_is_found_with_nothing_but_the_base_install(base: Installation, tmp_path: Path) -> None:
    code = """
import callboard, http.server, threading
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
with callboard.connect() as board, board.register("web", port=server.server_port) as web:
    web.wait(10)
    with board.service("web", version="*", fallback="any").pick() as endpoint:
        print(endpoint.port == server.server_port)
"""
    with Server.running(tmp_path) as server:
        done = base.python(code, CALLBOARD_URL=server.url, CALLBOARD_SNAPSHOTS="off")
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr


def test_its_figures_are_stated(base: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    """Figures are told, not limited: the machine's speed is not ours. Bytes are the same everywhere."""
    found = figures(base)
    with capsys.disabled():
        print(f"\n{found.shown()}")  # noqa: T201  # figures for people
    assert sum(found.package_bytes.values()) < 5 * 1024 * 1024
    assert found.import_ms > 0
