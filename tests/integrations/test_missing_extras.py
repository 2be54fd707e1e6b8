"""Who has not installed a library is told which extra brings it, by the import itself."""

import json
import subprocess
import sys

import pytest

LIBRARIES = {
    "aiohttp": "aiohttp",
    "celery": "celery",
    "django": "django",
    "django.middleware": "django",
    "fastapi": "fastapi",
    "flask": "flask",
    "grpc": "grpc",
    "httpx": "httpx",
    "httpx2": "httpx2",
    "litestar": "litestar",
    "opentelemetry": "opentelemetry",
    "prometheus": "prometheus_client",
    "requests": "requests",
    "starlette": "starlette",
}
WITHOUT = """
import importlib, json, sys
told, libraries = {}, json.loads(sys.argv[1])

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in libraries.values():
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
for module in libraries:
    try:
        importlib.import_module(f"callboard.integrations.{module}")
    except ModuleNotFoundError as error:
        told[module] = [error.name, str(error)]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told() -> dict[str, tuple[str, str]]:
    """What each import says without its library: which module is missing, and the message."""
    command = [sys.executable, "-c", WITHOUT, json.dumps(LIBRARIES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return {module: (name, message) for module, (name, message) in json.loads(done.stdout).items()}


@pytest.mark.parametrize("module", LIBRARIES)
def test_an_integration_without_its_library_names_the_extra(told: dict[str, tuple[str, str]], module: str) -> None:
    extra, library = module.partition(".")[0], LIBRARIES[module]
    said = f"callboard.integrations.{extra} needs {library}, which is not installed; try: pip install 'callboard[{extra}]'"
    assert told[module] == (library, said)
