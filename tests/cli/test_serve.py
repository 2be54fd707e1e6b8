import json
import os
import pty
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from callboard.cli.main import main
from callboard.cli.serve import NOT_BUILT
from tests.servers import ENDED_S, running_server, start_server

CLEAN = {name: None for name in os.environ if name.startswith("CALLBOARD_")}


def serve(*arguments: str, **environment: str) -> Result:
    """In this process: what the command does to its signals is undone, or programs of later tests would not hear them."""
    before = signal.getsignal(signal.SIGHUP)
    try:
        return CliRunner().invoke(main, ["serve", *arguments], env={**CLEAN, **environment})
    finally:
        signal.signal(signal.SIGHUP, before)


def printed(*arguments: str, **environment: str) -> dict[str, object]:
    shown = serve("--print-config", *arguments, **environment)
    assert shown.exit_code == 0, shown.stderr
    return tomllib.loads(shown.stdout)


@pytest.mark.parametrize("flag", sorted(NOT_BUILT))
def test_a_flag_whose_part_is_not_built_is_refused_by_name(flag: str) -> None:
    value = () if flag in {"--acl", "--enable-script-checks"} else ("x",)
    shown = serve(flag, *value, "--dev")
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert f"{flag}: {NOT_BUILT[flag]} is not built yet" in shown.stderr


@pytest.mark.parametrize("store", ["postgresql://localhost/x", "zookeeper://127.0.0.1:2181/x", "redis://x"])
def test_a_store_that_is_not_built_is_refused_at_start(store: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "callboard", "serve", "--store", store, "--http", "0", "--dns", "0", "--data", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert store.partition(":")[0] in done.stderr


def test_every_flag_of_the_command_line_is_there() -> None:
    shown = serve("--help").stdout
    flags = (
        "dev http dns grpc store data node member datacenter advertise trusted-proxy acl acl-token-file https tls-cert tls-key "
        "tls-client-ca enable-script-checks dns-domain recursor log-level log-format config print-config version"
    )
    assert [flag for flag in flags.split() if f"--{flag}" not in shown] == []


def test_a_terminal_is_told_what_to_try_and_where() -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "callboard", "serve", "--dev", "--http", "127.0.0.1:0", "--dns", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True) as serving:
        os.close(theirs)
        assert serving.stdout is not None
        (url,) = json.loads(serving.stdout.readline())["http"]
        told = ""
        while "catalog/services" not in told:
            told += os.read(ours, 65536).decode()
        serving.terminate()
        serving.communicate(timeout=ENDED_S)
    os.close(ours)
    assert f"try    export CALLBOARD_URL={url}; callboard register web --port 8080 && callboard services" in told
    assert "data   in memory, gone when it ends" in told


def test_version() -> None:
    assert serve("--version").stdout == CliRunner().invoke(main, ["--version"]).stdout


def test_the_defaults_are_printed() -> None:
    config = printed()
    assert config["http"] == ["127.0.0.1:8500"]
    assert (config["dns"], config["data"], config["datacenter"], config["node"]) == (
        "127.0.0.1:8600",
        "./callboard-data",
        "dc1",
        "callboard",
    )
    tune = config["tune"]
    assert isinstance(tune, dict)
    assert tune["registry"]["history_max_count"] > 0
    assert "member" not in tune["registry"]


def test_precedence_is_flag_environment_file_default(tmp_path: Path) -> None:
    file = tmp_path / "callboard.toml"
    file.write_text('node = "file"\ndatacenter = "file"\nadvertise = "10.0.0.1"\n[tune.registry]\nhistory_max_count = 7\n')
    config = printed("--config", str(file), "--node", "flag", CALLBOARD_NODE="environment", CALLBOARD_DATACENTER="environment")
    assert (config["node"], config["datacenter"], config["advertise"], config["log_level"]) == ("flag", "environment", "10.0.0.1", "info")
    shown = serve("--print-config", "--config", str(file), "--node", "flag", CALLBOARD_DATACENTER="environment").stdout
    assert 'node = "flag"  # flag --node' in shown
    assert 'datacenter = "environment"  # CALLBOARD_DATACENTER' in shown
    assert "history_max_count = 7  # file" in shown


def test_what_is_printed_gives_the_same_settings_again(tmp_path: Path) -> None:
    said = ["--http", "127.0.0.1:0", "--http", ":1", "--data", 'a "b"\\c\té', "--dns", "", "--dev"]
    shown = serve("--print-config", *said).stdout
    file = tmp_path / "again.toml"
    file.write_text(shown, encoding="utf-8")
    assert printed("--config", str(file)) == tomllib.loads(shown)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--config", "/does/not/exist.toml"), "cannot be read"),
        (("--log-level", "loud"), "log_level"),
        (("--http", "nonsense", "--dev"), "HOST:PORT"),
        (("--dev", "--data", "/nowhere"), "--dev keeps nothing on disk"),
        (("--dev", "--store", "memory:"), "--dev keeps nothing on disk"),
        (("surplus",), "surplus"),
    ],
)
def test_wrong_settings_are_refused_with_exit_code_2(arguments: tuple[str, ...], text: str) -> None:
    shown = serve(*arguments)
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert text in shown.stderr


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    file = tmp_path / "b.toml"
    for text, problem in (("node = ", "Invalid value"), ("nodes = 1", "nodes: no such setting")):
        file.write_text(text)
        shown = serve("--print-config", "--config", str(file))
        assert shown.exit_code == 2
        assert f"{file}: {problem}" in shown.stderr


def test_an_unknown_name_in_file_or_environment_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "callboard.toml"
    file.write_text("htpp = []\n")
    assert serve("--print-config", "--config", str(file)).exit_code == 2
    shown = serve("--print-config", CALLBOARD_HTPP="x")
    assert shown.exit_code == 2
    assert "CALLBOARD_HTPP" in shown.stderr
    assert serve("--print-config", CALLBOARD_URL="http://x", CALLBOARD_TOKEN="x").exit_code == 0


def test_one_line_of_json_when_ready_and_exit_0_at_sigterm(tmp_path: Path) -> None:
    server = start_server("--data", str(tmp_path), "--member", "m1")
    assert server.ready["member"] == "m1"
    assert server.ready["pid"] == server.popen.pid
    assert server.ready["http"][0].startswith("http://127.0.0.1:")
    assert server.stop() == 0


def test_ctrl_c_is_a_way_to_stop() -> None:
    with running_server("--dev") as server:
        server.popen.send_signal(signal.SIGINT)
        assert server.popen.wait(60) == 0


def test_python_dash_m_is_the_same_command() -> None:
    done = subprocess.run([sys.executable, "-m", "callboard", "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("callboard ")


@pytest.mark.parametrize(("command", "missing"), [("serve", "uvloop"), ("demo", "rich")])
def test_the_base_install_says_what_to_install(command: str, missing: str) -> None:
    script = f"import sys; sys.modules[{missing!r}] = None; from callboard.cli.main import main; main([{command!r}])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"needs {missing}" in done.stderr
    assert "pip install 'callboard[server]'" in done.stderr
