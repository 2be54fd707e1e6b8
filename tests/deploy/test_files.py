"""The files below deploy/: each is judged by the program that takes it, and what it says of Callboard is held against Callboard."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from callboard.server.settings import load
from tests.deploy.tools import DEPLOY, hadolint, judged, validator
from tests.house.installing import ROOT, uv
from tests.interop.environments import need
from tests.servers import free_port
from tests.support import poll_until

UNIT = DEPLOY / "systemd" / "callboard.service"
DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
COMPOSE = (DEPLOY / "docker" / "compose.yaml", DEPLOY / "docker" / "compose-cluster.yaml")
MANIFESTS = DEPLOY / "kubernetes" / "callboard.yaml"
_VARIABLE = re.compile(r"(?:name: |^ +)(CALLBOARD_\w+)(?:, value: |: )(?:\"([^\"]*)\"|([^\s}]+))", re.MULTILINE)


# -- what they say of Callboard


@pytest.mark.parametrize("path", [*COMPOSE, MANIFESTS], ids=lambda path: path.name)
def test_variables_are_settings_that_a_server_takes(path: Path) -> None:
    said = {name: quoted or plain for name, quoted, plain in _VARIABLE.findall(path.read_text("utf-8"))}
    load({}, said)
    assert said or path.name == "compose.yaml"


def commands() -> dict[str, list[str]]:
    """What each file starts a server with."""
    compose = re.search(r"^    command: \[(.+)\]$", COMPOSE[0].read_text("utf-8"), re.MULTILINE)
    image = re.search(r"^CMD \[(.+)\]$", DOCKERFILE.read_text("utf-8"), re.MULTILINE)
    unit = re.search(r"^ExecStart=(.+)$", UNIT.read_text("utf-8"), re.MULTILINE)
    assert compose is not None
    assert image is not None
    assert unit is not None
    return {
        "compose": [word.strip().strip('"') for word in compose[1].split(",")],
        "image": [word.strip().strip('"') for word in image[1].split(",")],
        "unit": shlex.split(unit[1])[1:],
    }


@pytest.mark.parametrize("name", ["compose", "image", "unit"])
def test_the_command_is_one_that_callboard_takes(name: str) -> None:
    done = judged(sys.executable, "-m", "callboard", *commands()[name], "--print-config")
    assert done.returncode == 0, done.stderr
    assert "# flag --data" in done.stdout


def test_nothing_is_published_beyond_this_machine() -> None:
    for path in COMPOSE:
        published = re.findall(r"([\d.:]*)\b\d{4}:(?:8500|8600)\b", path.read_text("utf-8"))
        assert set(published) == {"127.0.0.1:"}, "there is no access control"


def test_kubernetes_sets_no_variables_of_its_own() -> None:
    """For a Service called callboard it sets CALLBOARD_PORT, CALLBOARD_SERVICE_HOST ...: a server would refuse to start."""
    assert "enableServiceLinks: false" in MANIFESTS.read_text("utf-8")
    assert re.search(r"kind: Service\nmetadata:\n  name: callboard\n", MANIFESTS.read_text("utf-8"))


def test_its_probes_are_routes_of_ours() -> None:
    assert set(re.findall(r"httpGet: {path: (\S+),", MANIFESTS.read_text("utf-8"))) == {"/health", "/ready"}
    assert "/health" in DOCKERFILE.read_text("utf-8")


# -- what their programs say


@pytest.mark.interop
def test_systemd_takes_the_unit_and_finds_it_closed(tmp_path: Path) -> None:
    program = shutil.which("callboard", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert program is not None
    unit = tmp_path / "callboard.service"
    unit.write_text(UNIT.read_text("utf-8").replace("/opt/callboard/bin/callboard", program), "utf-8")
    analyze = need("systemd-analyze")
    verified = judged(analyze, "verify", "--man=no", str(unit))
    assert (verified.returncode, verified.stderr) == (0, "")
    secure = judged(analyze, "security", "--offline=yes", "--threshold=20", "--no-pager", str(unit))
    assert secure.returncode == 0, secure.stdout[-500:]


@pytest.mark.interop
def test_a_linter_has_nothing_to_say_of_the_dockerfile() -> None:
    done = judged(hadolint(), str(DOCKERFILE))
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


@pytest.mark.interop
def test_kubernetes_and_compose_take_their_files(tmp_path: Path) -> None:
    program = validator(tmp_path)
    manifests = judged(program, "kubernetes", str(MANIFESTS))
    assert manifests.stdout.split("\n")[:-1] == [
        "v1/Service callboard", "v1/Service callboard-members", "apps/v1/StatefulSet callboard", "policy/v1/PodDisruptionBudget callboard",
        "networking.k8s.io/v1/NetworkPolicy callboard",
    ], manifests.stderr  # fmt: skip
    composed = judged(program, "compose", *map(str, COMPOSE))
    assert composed.stdout.split("\n")[:-1] == [
        "callboard callboard", "callboard-cluster etcd", "callboard-cluster m1", "callboard-cluster m2", "callboard-cluster m3",
    ], composed.stderr  # fmt: skip
    for path, kind, right, wrong in ((MANIFESTS, "kubernetes", "replicas:", "replica:"), (COMPOSE[0], "compose", "restart:", "restrat:")):
        mistaken = tmp_path / path.name
        mistaken.write_text(path.read_text("utf-8").replace(right, wrong), "utf-8")
        assert judged(program, kind, str(mistaken)).returncode == 1, "a judge that takes everything is none"


@pytest.mark.interop
def test_the_steps_of_the_image_make_a_server_that_is_well(tmp_path: Path) -> None:
    """Without an engine: what is copied into the build is installed from there, started as the image starts it, and asked how it is."""
    text = DOCKERFILE.read_text("utf-8")
    context, home = tmp_path / "src", tmp_path / "callboard"
    context.mkdir()
    copied = re.search(r"^COPY (pyproject.+) \./$", text, re.MULTILINE)
    assert copied is not None
    for name in copied[1].split():
        shutil.copy(ROOT / name, context / name)
    shutil.copytree(ROOT / "src", context / "src", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "UV_NO_CONFIG": "1", "UV_SYSTEM_CERTS": "1"}
    subprocess.run([uv(), "venv", "--quiet", "--python", sys.executable, str(home)], env=environment, check=True)
    wanted = re.search(r"'(\.\[.+\])'", text)
    assert wanted is not None
    install = [uv(), "pip", "install", "--quiet", "--python", str(home / "bin" / "python"), wanted[1]]
    subprocess.run(install, cwd=context, env=environment, check=True, timeout=300)
    http, dns = free_port(), free_port()
    ports = {"0.0.0.0:8500": f"127.0.0.1:{http}", "0.0.0.0:8600": f"127.0.0.1:{dns}", "/data": str(tmp_path / "data")}
    words = [ports.get(word, word) for word in commands()["image"]]
    check = re.search(r'CMD \["python", "-c", "(.+)"\]$', text, re.MULTILINE)
    assert check is not None
    asking = [str(home / "bin" / "python"), "-c", check[1].replace("8500", str(http))]
    with subprocess.Popen([str(home / "bin" / "callboard"), *words], stdout=subprocess.DEVNULL) as server:
        try:
            poll_until(lambda: judged(*asking).returncode == 0, 60, every_s=0.2)
        finally:
            server.terminate()
    assert server.returncode == 0
    assert judged(*asking).returncode != 0, "it says so when nobody answers"
